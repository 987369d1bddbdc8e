"""The volumes of a model's inputs, all on the voxels of the first: what is prepared, and what a network is given as channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vigil.domain.errors import Category
from vigil.domain.manifest import Manifest, TensorPreprocessing
from vigil.imaging.colour import COLOURS
from vigil.imaging.onto import onto, uncovered_share
from vigil.imaging.volume import Volume
from vigil.inference.errors import InferenceFailed, NothingToSee


@dataclass(frozen=True, eq=False)
class Aligned:
    """``reference``: the volume of the first input, as it came. ``further``: those of the others, by name, on its voxels; also
    those of its colours."""

    reference: Volume
    further: Mapping[str, Volume] = field(default_factory=dict)


def aligned(reference: Volume, further: Mapping[str, Volume], manifest: Manifest) -> Aligned:
    """``further``: by the name of the input, wherever they lie in the reference's frame of reference.

    Raises: InferenceFailed where one was not handed in; NothingToSee where one leaves out more of the reference than its manifest
    allows.
    """
    input_ = manifest.preprocessing
    outside = input_.outside if isinstance(input_, TensorPreprocessing) else 0.0
    brought: dict[str, Volume] = {}
    for wanted in manifest.inputs[1:]:
        volume = further.get(wanted.name)
        if volume is None:
            raise InferenceFailed(f"the volume of the input '{wanted.name}' is missing")
        share = uncovered_share(volume, reference)
        if share > wanted.largest_uncovered_share:
            raise NothingToSee(
                f"the {wanted.name} series leaves out {share:.0%} of what the {manifest.reference.name} series shows; this model "
                f"takes at most {wanted.largest_uncovered_share:.0%}", category=Category.TRUNCATED_ANATOMY)
        brought[wanted.name] = onto(volume, reference, outside)
    for key in colours_of(manifest):
        if key not in further:
            raise InferenceFailed(f"the colours '{key}' are missing")
        brought[key] = further[key]
    return Aligned(reference, brought)


def colours_of(manifest: Manifest) -> tuple[str, ...]:
    """The names under which the colours of the model's inputs are handed in, beside those of the inputs themselves."""
    return tuple(colour_of(wanted.name, colour) for wanted in manifest.inputs if wanted.colour == "rgb" for colour in COLOURS)


def colour_of(name: str, colour: str) -> str:
    return f"{name}:{colour}"
