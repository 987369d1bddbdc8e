from __future__ import annotations

from typing import Any

from vigil.cli import words


def study(**delivery: Any) -> list[dict[str, Any]]:
    objects = [{"role": role, "index": index, "sop_instance_uid": f"2.25.{number}", "stored_at": "now"}
               for number, (role, index) in enumerate([("summary", 0), ("key-slice", 0), ("key-slice", 1), ("segmentation", 0)])]
    told = {"destination": "pacs", "kind": "dicom", "state": "parked", "attempts": 3, "committed": 0, "acknowledgement": None,
            "reason": {"category": "destination-refused", "text": "refused 2 of 4 objects"}, "statuses": {}, **delivery}
    analysis = {
        "analysis_id": "a1", "created_at": "now", "model_id": "m", "answer": {"kind": "positive", "sentence": "Twenty."},
        "state": "stored", "predecessor_id": None, "superseded_by": None, "images": 40, "weights_sha256": "w",
        "operating_point": "default", "settings_sha256": "s", "objects": objects, "deliveries": [told]}
    return [{"orthanc_study_id": "s", "last_image_at": None, "evaluated_at": None, "next_look_at": None, "decisions": [],
             "analyses": [analysis], "audit": []}]


def test_each_object_that_was_not_taken_has_its_reason_in_words() -> None:
    lines = words.studies(study(statuses={"2.25.0": 0, "2.25.1": 0xB000, "2.25.2": 0xA700, "2.25.3": 0x0122})).splitlines()
    assert [line.strip() for line in lines if "not taken" in line] == [
        "not taken: key-slice 2: out of resources (0xA700)", "not taken: segmentation 1: SOP class not supported"]


def test_what_the_pacs_has_confirmed_is_told() -> None:
    assert "to pacs (dicom): delivered after 1 attempts, 4 objects confirmed" in words.studies(
        study(state="delivered", attempts=1, committed=4, reason=None))
    assert "confirmed" not in words.studies(study())
