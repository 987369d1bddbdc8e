"""Whether the patient lies on the side: Patient Position, Patient Orientation Modifier (PS3.3 C.7.3.1.1.2, C.8.4.6)."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom import Dataset

ON_THE_SIDE = frozenset({"HFDL", "HFDR", "FFDL", "FFDR"})
DECUBITUS = frozenset({"102535000", "102536004", "F-10317", "F-10319"})
"""Right and left lateral decubitus (CID 20), in SNOMED CT and as it was coded before."""


def lies_on_side(sources: Iterable[Dataset]) -> bool:
    """On any of the images; of what they do not say nothing is supposed."""
    return any(_on_side(source) for source in {id(source): source for source in sources}.values())


def _on_side(source: Dataset) -> bool:
    if str(source.get("PatientPosition") or "").strip().upper() in ON_THE_SIDE:
        return True
    return any(
        str(modifier.get("CodeValue") or "").strip() in DECUBITUS
        for orientation in source.get("PatientOrientationCodeSequence") or ()
        for modifier in orientation.get("PatientOrientationModifierCodeSequence") or ())
