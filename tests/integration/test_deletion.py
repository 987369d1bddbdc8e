"""A study that is deleted and sent again: it is owed an answer like any other."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread

from hospital import modality
from hospital.census import analyses, take_census, wait_until
from hospital.hospital import Hospital
from hospital.patients import head_study

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}


def test_a_study_deleted_in_mid_analysis_and_sent_again_is_analysed(tmp_path: Path) -> None:
    with Hospital(tmp_path, vigil=QUICK) as hospital:
        orthanc = hospital.orthanc
        images = head_study("deleted-and-sent-again")
        uid = str(images[0].StudyInstanceUID)
        assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        wait_until("an analysis has begun", lambda: analyses(orthanc, uid))
        for study in orthanc.studies():
            orthanc.delete(f"/studies/{study}")
        wait_until("its end", lambda: [item for item in analyses(orthanc, uid) if item["state"] == "ended-study-deleted"])
        assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        wait_until("everything delivered", lambda: [
            item for item in analyses(orthanc, uid) if item["state"] == "stored"
            and all(each["state"] == "delivered" for each in item["deliveries"])])

        census = take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})
        newest, ended = census.analyses
        assert ended["state"] == "ended-study-deleted"
        assert newest["answer"]["kind"] == "positive"
        shown = {item["sop_instance_uid"] for item in newest["objects"]}
        assert census.in_orthanc == census.in_pacs == shown
        assert len(census.control_ids) == 1
        reports = [found for path in hospital.pacs.objects() if (found := dcmread(path)).Modality == "SR"]  # type: ignore[union-attr]
        assert reports
        assert not any("PredecessorDocumentsSequence" in report for report in reports), "nobody saw the one that ended"
