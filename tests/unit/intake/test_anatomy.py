"""Each code of a body part means that part in pydicom's dictionaries of PS3.16, or was looked up by a person."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from vigil.intake.anatomy import _BODY_PARTS

MEANINGS = {code: meaning for entries in concepts["SCT"].values() for code, (meaning, _) in entries.items()}
LEGACY: dict[str, str] = mapping["SRT"]
MEANT = {
    "HEAD": "Head structure", "BRAIN": "Brain structure", "SKULL": "Skull", "NECK": "Neck structure",
    "HEADNECK": "Head and neck structure", "CHEST": "Thoracic structure", "LUNG": "Lung structure", "HEART": "Heart structure",
    "BREAST": "Breast structure", "ABDOMEN": "Abdom", "LIVER": "Liver structure", "KIDNEY": "Kidney structure", "PELVIS": "Pelvi",
    "PROSTATE": "Prostatic structure", "SPINE": "Structure of vertebral column",
    "CSPINE": "Structure of cervical vertebral column", "TSPINE": "Thoracic spine structure", "LSPINE": "Lumbar spine structure",
    "HIP": "Hip joint structure", "KNEE": "Knee region structure", "SHOULDER": "Shoulder region structure",
    "HAND": "Hand structure", "FOOT": "Foot structure", "ANKLE": "Ankle joint structure",
}
"""How pydicom's dictionary words each part: what it begins with."""
REVIEWED = {"T-9200B": "PROSTATE"}
"""Not in pydicom's dictionaries: the prostate of older editions of PS3.16, as older software writes it (now T-92000)."""


@pytest.mark.parametrize(("code", "part"), sorted(_BODY_PARTS.items()))
def test_a_code_is_of_its_body_part(code: str, part: str) -> None:
    if code in REVIEWED:
        assert code not in LEGACY, "pydicom knows it now: take it out of the reviewed ones"
        assert REVIEWED[code] == part
        return
    meant = MEANINGS[LEGACY.get(code, code)]
    assert meant.startswith(MEANT[part])


def test_each_part_is_known_by_its_old_code_also() -> None:
    """The legacy code that pydicom maps a code of ours to means the same part."""
    of_sct: dict[str, str] = mapping["SCT"]
    for code, part in _BODY_PARTS.items():
        if code in of_sct:
            assert _BODY_PARTS.get(of_sct[code]) == part, f"{of_sct[code]} for {code}"
