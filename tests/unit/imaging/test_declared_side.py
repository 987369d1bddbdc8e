"""Which side images say that they show."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from vigil.imaging.declared_side import DeclaredSide, declared_side


def image(**attributes: str) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def frames(*sides: str, shared: str = "") -> Dataset:
    """An enhanced multi-frame image."""
    made, groups = Dataset(), []
    for side in (*sides, shared):
        group, anatomy = Dataset(), Dataset()
        anatomy.FrameLaterality = side
        group.FrameAnatomySequence = [anatomy]
        groups.append(group)
    made.SharedFunctionalGroupsSequence = groups[-1:] if shared else [Dataset()]
    made.PerFrameFunctionalGroupsSequence = groups[:-1]
    return made


@pytest.mark.parametrize(("images", "side"), [
    ([image(ImageLaterality="L")], DeclaredSide.LEFT), ([image(Laterality="R")], DeclaredSide.RIGHT),
    ([image(ImageLaterality="R", Laterality="")] * 2, DeclaredSide.RIGHT), ([frames("L", "L")], DeclaredSide.LEFT),
    ([frames("", shared="R")], DeclaredSide.RIGHT),
    ([image()], DeclaredSide.NONE), ([], DeclaredSide.NONE), ([image(ImageLaterality="U")], DeclaredSide.NONE),
    ([image(ImageLaterality="B")], DeclaredSide.NONE), ([image(ImageLaterality="X")], DeclaredSide.NONE),
    ([image(ImageLaterality="L", Laterality="R")], DeclaredSide.CONTRADICTORY),
    ([image(Laterality="L"), image(Laterality="R")], DeclaredSide.CONTRADICTORY),
    ([image(ImageLaterality="L"), image(ImageLaterality="B")], DeclaredSide.CONTRADICTORY),
    ([frames("L", "R")], DeclaredSide.CONTRADICTORY),
])
def test_what_all_images_together_declare(images: list[Dataset], side: DeclaredSide) -> None:
    assert declared_side(images) is side
