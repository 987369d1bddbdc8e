"""Whether the patient lies on the side, as the images say."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from vigil.imaging.lying import lies_on_side


def image(position: str | None = None, modifier: str | None = None) -> Dataset:
    """``modifier``: of the recumbent patient, as enhanced images say it."""
    made = Dataset()
    if position is not None:
        made.PatientPosition = position
    if modifier is not None:
        made.PatientOrientationCodeSequence = [Dataset()]
        made.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = [Dataset()]
        made.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence[0].CodeValue = modifier
    return made


@pytest.mark.parametrize(("images", "so"), [
    ([image("HFDL")], True), ([image("HFDR")], True), ([image("FFDL")], True), ([image("FFDR ")], True),
    ([image("HFS"), image("HFDL")], True), ([image(modifier="102536004")], True), ([image(modifier="F-10317")], True),
    ([image("HFS")], False), ([image("FFP")], False), ([image("")], False), ([image()], False), ([], False),
    ([image(modifier="40199007")], False),
])
def test_who_lies_on_the_side(images: list[Dataset], so: bool) -> None:
    assert lies_on_side(images) is so
