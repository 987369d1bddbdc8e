"""A T1 MR head travels the whole way: measured, shown, sent to the PACS, and nobody is alarmed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hospital import modality
from hospital.census import take_census, wait_settled
from hospital.hospital import BRAIN_MODEL, LIVE, MODEL, Hospital
from hospital.watching import t1_head

GOLDEN = Path(__file__).resolve().parents[2] / "models" / BRAIN_MODEL / "golden" / "ch2.json"


def test_a_t1_head_is_measured_shown_and_alarms_nobody(tmp_path: Path) -> None:
    # With an override: what keeps it silent is its kind of answer, and that it may not notify.
    with Hospital(tmp_path, vigil={"Models": {MODEL: LIVE, BRAIN_MODEL: LIVE}}) as hospital:
        head = t1_head()
        assert modality.send(head.images, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet).all_stored
        wait_settled(hospital, head.study_uid)
        census = take_census(hospital, head.study_uid, {str(image.SOPInstanceUID) for image in head.images})
        assert census.in_orthanc == census.in_pacs == census.made
        assert not census.control_ids
        (analysis,) = census.analyses
        assert analysis["model_id"] == BRAIN_MODEL
        assert analysis["answer"]["kind"] == "measured"
        expected = json.loads(GOLDEN.read_text())["volume_cm3"]
        assert analysis["answer"]["measured"]["value"] == pytest.approx(expected, abs=0.1)
        assert {item["role"] for item in analysis["objects"]} == {
            "summary", "key-slice", "segmentation", "presentation-state", "report"}
        assert hospital.ris.received() == []
