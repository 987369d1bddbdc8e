"""Beside what a router's Orthanc does already: forwarding, deleting, filtering, another index, other routes.

What each test shows an operator reads in docs/coexistence.md.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from hospital import modality
from hospital.census import analyses, take_census, wait_settled, wait_until
from hospital.hospital import Hospital
from hospital.orthanc import BUNDLE_SCRIPT, OrthancRefused, runtime_site_packages
from hospital.pacs import Pacs
from hospital.patients import head_study

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}
INSIDE = Path(__file__).resolve().parent / "inside"

FORWARDS_EVERY_INSTANCE = """
function OnStoredInstance(instanceId, tags, metadata, origin)
  SendToModality(instanceId, 'router')
end
"""
FORWARDS_BUT_OURS = """
function OnStoredInstance(instanceId, tags, metadata, origin)
  if origin['RequestOrigin'] ~= 'Plugins' then
    SendToModality(instanceId, 'router')
  end
end
"""
DELETES_WHAT_IT_FORWARDED = """
function OnStableStudy(studyId, tags, metadata)
  RestApiPost('/modalities/router/store', studyId)
  RestApiDelete('/studies/' .. studyId)
end
"""
DELETES_EACH_AT_ONCE = """
function OnStoredInstance(instanceId, tags, metadata, origin)
  Delete(SendToModality(instanceId, 'router'))
end
"""
TAKES_CT_ALONE = """
function ReceivedInstanceFilter(dicom, origin)
  return dicom['Modality'] == 'CT'
end
"""


class Router:
    """A hospital whose Orthanc runs a script of the site's, and a node that the script forwards to."""

    def __init__(self, folder: Path, script: str, *, stable_age_s: int = 1, **vigil: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.node = Pacs(folder / "router", aet="ROUTER", unique_names=True)
        self.node.start()
        lua = folder / "site.lua"
        lua.write_text(script)
        self.hospital = Hospital(folder / "hospital", vigil=QUICK | vigil, configuration={
            "StableAge": stable_age_s, "LuaScripts": [str(lua)],
            "DicomModalities": {"router": ["ROUTER", "127.0.0.1", self.node.port]}})

    def __enter__(self) -> Router:
        self.hospital.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.hospital.kill()
        self.node.stop()

    def arrived(self) -> Counter[str]:
        """How often each object reached the node."""
        return Counter(str(dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID) for path in self.node.objects())


def send(hospital: Hospital, study: str | list[Dataset]) -> tuple[str, set[str]]:
    orthanc, images = hospital.orthanc, head_study(study) if isinstance(study, str) else study
    assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
    return str(images[0].StudyInstanceUID), {str(image.SOPInstanceUID) for image in images}


def missing(hospital: Hospital) -> str:
    try:
        return str(hospital.orthanc.get("/vigil/health/ready")["missing"])
    except OrthancRefused as refusal:
        return refusal.said()


@pytest.mark.parametrize(("script", "ours_too"), [(FORWARDS_EVERY_INSTANCE, True), (FORWARDS_BUT_OURS, False)])
def test_a_script_that_forwards_every_instance_forwards_results_unless_it_leaves_them_out(
    tmp_path: Path, script: str, ours_too: bool,
) -> None:
    with Router(tmp_path, script) as router:
        uid, sent = send(router.hospital, f"forwards-{ours_too}")
        wait_settled(router.hospital, uid)
        census = take_census(router.hospital, uid, sent)
        census.exactly_once()
        wanted = Counter(sent | (set(census.made) if ours_too else set()))
        wait_until("the script's node has all", lambda: set(router.arrived()) >= set(wanted))
        assert router.arrived() == wanted


def test_a_study_deleted_after_forwarding_is_answered_where_the_site_says_so(tmp_path: Path) -> None:
    with Router(tmp_path, DELETES_WHAT_IT_FORWARDED, stable_age_s=3, DeletedStudies="deliver") as router:
        hospital = router.hospital
        uid, sent = send(hospital, "deleted-after-forwarding")
        wait_until("answered, and told", lambda: (found := analyses(hospital.orthanc, uid)) and found[0]["deliveries"] and all(
            item["state"] == "delivered" for item in found[0]["deliveries"]))
        wait_until("Orthanc holds nothing", lambda: not hospital.orthanc.studies())
        census = take_census(hospital, uid, sent)
        assert census.kinds == {"positive": 1}
        assert census.in_pacs == census.made
        assert len(set(census.control_ids)) == 1
        assert set(router.arrived()) >= sent


def test_images_deleted_before_they_could_be_looked_at_are_told_as_a_fault(tmp_path: Path) -> None:
    with Router(tmp_path, DELETES_EACH_AT_ONCE, DeletedStudies="deliver") as router:
        uid, sent = send(router.hospital, "deleted-at-once")
        wait_until("all was forwarded", lambda: set(router.arrived()) >= sent)
        wait_until("it is told", lambda: "before a model could look at them" in missing(router.hospital))
        assert not analyses(router.hospital.orthanc, uid), "nothing was begun that could be answered"


def test_a_filter_by_modality_keeps_results_out_of_orthanc_and_no_alert_back(tmp_path: Path) -> None:
    with Router(tmp_path, TAKES_CT_ALONE) as router:
        hospital = router.hospital
        uid, sent = send(hospital, "filtered")
        found = wait_settled(hospital, uid)[0]
        census = take_census(hospital, uid, sent)
        assert census.kinds == {"positive": 1}
        assert census.in_pacs == census.made
        assert len(set(census.control_ids)) == 1
        assert "filter" in found["reason"]["text"]
        modalities = {item["MainDicomTags"]["Modality"] for item in hospital.orthanc.get("/series?expand")}
        assert modalities == {"CT"}


def test_the_routes_of_another_plugin_change_nothing_for_vigil(tmp_path: Path) -> None:
    """Also where they stand in the place of those that Vigil itself asks Orthanc for."""
    hospital = Hospital(tmp_path, vigil=QUICK, configuration={
        "Site": {"Path": [str(runtime_site_packages()), str(BUNDLE_SCRIPT.parent)]}})
    hospital.orthanc.script = INSIDE / "other_routes.py"
    with hospital:
        assert hospital.orthanc.get("/changes") == {"site": "/changes"}
        uid, _ = send(hospital, "other-routes")
        found = wait_settled(hospital, uid)[0]
        assert found["answer"]["kind"] == "positive"
        assert {str(dcmread(path).SOPInstanceUID) for path in hospital.pacs.objects()} == {  # type: ignore[union-attr]
            item["sop_instance_uid"] for item in found["objects"]}
        assert hospital.orthanc.get("/site/worklist") == {"site": "/site/worklist"}


def test_compressed_storage_and_overwritten_instances_bring_nothing_twice(tmp_path: Path) -> None:
    with Hospital(tmp_path, vigil=QUICK, configuration={"StorageCompression": True, "OverwriteInstances": True}) as hospital:
        images = head_study("compressed")
        uid, sent = send(hospital, images)
        wait_settled(hospital, uid)
        take_census(hospital, uid, sent).exactly_once()
        arrived = last_image_at(hospital, uid)
        send(hospital, images)
        wait_until("looked at again", lambda: last_image_at(hospital, uid) > arrived and looked_again(hospital, uid))
        wait_settled(hospital, uid)
        take_census(hospital, uid, sent).exactly_once()
        assert len(hospital.pacs.objects()) == len(analyses(hospital.orthanc, uid)[0]["objects"])  # type: ignore[union-attr]


def study(hospital: Hospital, uid: str) -> dict[str, Any]:
    return dict(hospital.orthanc.get(f"/vigil/studies/{analyses(hospital.orthanc, uid)[0]['orthanc_study_id']}"))


def last_image_at(hospital: Hospital, uid: str) -> str:
    return str(study(hospital, uid)["last_image_at"])


def looked_again(hospital: Hospital, uid: str) -> bool:
    found = study(hospital, uid)
    return bool(found["evaluated_at"] > found["last_image_at"])
