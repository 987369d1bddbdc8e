"""A RIS that was down while several alerts waited for it gets them in order, each once, when it is back."""

from __future__ import annotations

from pathlib import Path

import hl7
import pytest

from hospital import modality
from hospital.census import analyses, wait_until
from hospital.hospital import Hospital
from hospital.patients import head_study

SITE = {
    "Retry": {"FirstDelaySeconds": 1.0, "MaximumDelaySeconds": 2.0}, "Reconcile": {"IntervalSeconds": 2.0},
}


@pytest.mark.timeout(240)
def test_urgent_orders_first_and_each_order_in_its_own_order(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, vigil=SITE)
    ris = hospital.orthanc.vigil["Ris"]
    assert isinstance(ris, dict)
    ris["ris"]["Profile"]["AnswerKinds"] = ["positive", "negative"]
    orthanc = hospital.orthanc
    with hospital:
        hospital.ris.stop()
        uids = []
        for seed, insert_ml, accession in (("first", None, "ORDER-1"), ("second", 20.0, "ORDER-2"), ("third", None, "ORDER-3"),
                                           ("fourth", 20.0, "ORDER-3")):
            images = head_study(seed, insert_ml=insert_ml, accession=accession)
            assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
            uid = str(images[0].StudyInstanceUID)
            wait_until("it waits", lambda uid=uid: [item for each in analyses(orthanc, uid) for item in each["deliveries"]
                                                    if item["kind"] == "hl7"], 90)
            uids.append(uid)
        orthanc.kill()
        orthanc.start()
        hospital.ris.start()
        received = [hl7.parse(path.read_bytes().decode()) for path in hospital.ris.wait_for(4, 90)]
        wait_until("an end of all", lambda: all(
            item["state"] == "delivered" for uid in uids for each in analyses(orthanc, uid) for item in each["deliveries"]))

        order = [next(index for index, uid in enumerate(uids) if uid in str(message)) for message in received]
        assert order == [1, 2, 3, 0], "the third is of one order with the urgent fourth, and was before it"
        assert len(hospital.ris.received()) == len({str(message["MSH"][0][10]) for message in received}) == 4
