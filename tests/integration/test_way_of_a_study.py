"""The whole way on real protocols: modality, Orthanc, PACS (dcmtk) and RIS (python-hl7)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import hl7
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from hospital import modality
from hospital.census import Census, analyses, take_census, wait_settled, wait_until
from hospital.ct_series import Acquisition, Patient, ct_series
from hospital.enhanced import enhanced_ct
from hospital.hospital import MODEL, Hospital
from hospital.orthanc import Orthanc
from hospital.patients import head_study
from hospital.phantom import Head, phantom

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}
LABEL = "vigil-analysed"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with Hospital(tmp_path_factory.mktemp("hospital"), vigil=QUICK | {"AnalysedLabel": LABEL}) as running:
        yield running


def send(hospital: Hospital, images: list[Dataset]) -> None:
    orthanc = hospital.orthanc
    assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored


def settle(hospital: Hospital, images: list[Dataset], count: int = 1) -> Census:
    uid = str(images[0].StudyInstanceUID)
    wait_settled(hospital, uid, count=count)
    return take_census(hospital, uid, {str(image.SOPInstanceUID) for image in images})


def test_a_head_with_a_hyperdense_insert_is_positive_shown_and_alerted_once(hospital: Hospital) -> None:
    images = head_study("positive")
    send(hospital, images)

    census = settle(hospital, images)
    census.exactly_once()
    answer = census.analyses[0]["answer"]
    assert answer["kind"] == "positive"
    assert answer["measured"]["value"] == pytest.approx(20, rel=0.2)
    assert {item["role"] for item in census.analyses[0]["objects"]} >= {"summary", "key-slice", "segmentation", "report"}
    alert = next(item for item in census.analyses[0]["deliveries"] if item["kind"] == "hl7")
    assert alert["acknowledgement"]["code"] == "AA"
    message = hl7.parse(hospital.ris.received()[-1].read_bytes().decode())
    assert str(message["PID"][0][3]).startswith("VIGIL-positive")
    assert "19" in str(message) or "20" in str(message)
    # None: an Orthanc without labels, where the rest is as it is elsewhere.
    assert hospital.orthanc.labels(census.analyses[0]["orthanc_study_id"]) in ([LABEL], None)


def middle_of(segmentation: Dataset) -> NDArray[np.float64]:
    """Of all that is outlined, in patient coordinates, frame by frame (PS3.3 C.7.6.2.1.1)."""
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    row_mm, column_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    directions = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    places = []
    for frame, pixels in zip(segmentation.PerFrameFunctionalGroupsSequence, segmentation.pixel_array, strict=True):
        corner = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = np.nonzero(pixels)
        places.append(corner + np.outer(columns * column_mm, directions[:3]) + np.outer(rows * row_mm, directions[3:]))
    return np.concatenate(places).mean(axis=0)


def test_a_head_of_a_tilted_gantry_is_measured_and_outlined_where_it_lies(hospital: Hospital) -> None:
    """Each slice of the phantom is moved by a row, and its position by as much: 24 degrees."""
    head = Head(insert_ml=20.0)
    moved = np.stack([np.roll(plane, 20 - index, axis=0) for index, plane in enumerate(phantom(head))])
    down_mm = head.spacing_mm[1]
    images = list(ct_series(moved, Acquisition(
        "tilted", spacing_mm=head.spacing_mm, drift=(0.0, down_mm / head.spacing_mm[0]), accession="ACC-TILT",
        origin_mm=(-64 * 1.8 + 0.9, -64 * 1.8 + 0.9 - 20 * down_mm, -78.0)), Patient(patient_id="VIGIL-TILT")))
    send(hospital, images)

    census = settle(hospital, images)
    census.exactly_once()
    answer = census.analyses[0]["answer"]
    assert answer["kind"] == "positive"
    assert answer["measured"]["value"] == pytest.approx(20, abs=1.0)
    np.testing.assert_allclose(middle_of(outlined(hospital, census)), head.insert_at_mm, atol=1.5)


def outlined(hospital: Hospital, census: Census) -> Dataset:
    drawn = next(item for item in census.analyses[0]["objects"] if item["role"] == "segmentation")
    found, = hospital.orthanc.post("/tools/lookup", drawn["sop_instance_uid"].encode())
    return dcmread(BytesIO(hospital.orthanc.get_bytes(f"/instances/{found['ID']}/file")))


def test_a_head_as_one_multi_frame_image_is_measured_and_outlined_where_it_lies(hospital: Hospital) -> None:
    """Its frames from the vertex down: against the order of the volume."""
    half_mm = 64 * 1.8 - 0.9
    image = enhanced_ct(head_study("enhanced", origin_mm=(-half_mm, -half_mm, -78.0))[::-1])
    send(hospital, [image])

    census = settle(hospital, [image])
    census.exactly_once()
    answer = census.analyses[0]["answer"]
    assert answer["kind"] == "positive"
    assert answer["measured"]["value"] == pytest.approx(20, abs=1.0)
    drawn = outlined(hospital, census)
    np.testing.assert_allclose(middle_of(drawn), Head().insert_at_mm, atol=1.5)
    for groups in drawn.PerFrameFunctionalGroupsSequence:
        (source,) = groups.DerivationImageSequence[0].SourceImageSequence
        frame = image.PerFrameFunctionalGroupsSequence[int(source.ReferencedFrameNumber) - 1]
        assert groups.PlanePositionSequence[0].ImagePositionPatient == frame.PlanePositionSequence[0].ImagePositionPatient


def test_a_head_without_it_is_negative_shown_and_alerts_nobody(hospital: Hospital) -> None:
    images = head_study("negative", insert_ml=None)
    send(hospital, images)

    census = settle(hospital, images)
    assert census.kinds == {"negative": 1}
    assert "does not exclude" in census.analyses[0]["answer"]["sentence"]
    assert census.in_orthanc == census.in_pacs == census.made
    assert not census.control_ids


def test_the_same_images_sent_again_change_nothing(hospital: Hospital) -> None:
    images = head_study("again")
    send(hospital, images)
    settle(hospital, images).exactly_once()
    send(hospital, images)
    wait_until("the second stable study was evaluated", lambda: True)

    settle(hospital, images).exactly_once()


def test_our_own_objects_that_come_back_from_the_pacs_are_known(hospital: Hospital) -> None:
    images = head_study("echo")
    send(hospital, images)
    before = settle(hospital, images)
    uid = str(images[0].StudyInstanceUID)
    returned = [dataset for dataset in map(dcmread, hospital.pacs.objects())  # type: ignore[union-attr]
                if dataset.StudyInstanceUID == uid]
    assert returned
    send(hospital, returned)
    hospital.orthanc.restart()
    hospital.orthanc.wait_ready()

    assert settle(hospital, images) == before


def test_late_images_make_a_new_analysis_that_names_what_it_supersedes(hospital: Hospital) -> None:
    images = head_study("late")
    send(hospital, images[:36])
    settle(hospital, images[:36])
    send(hospital, images[36:])

    census = settle(hospital, images, count=2)
    newest, *between, first = census.analyses  # between: where a busy machine let the last four come apart
    for later, earlier in pairwise(census.analyses):
        assert later["predecessor_id"] == earlier["analysis_id"]
        assert earlier["superseded_by"] == later["analysis_id"]
    assert newest["revision"] == 2 + len(between)
    assert newest["images"] == 40
    assert not {item["sop_instance_uid"] for item in newest["objects"]} & {
        item["sop_instance_uid"] for item in first["objects"]}
    assert census.in_orthanc == census.in_pacs == census.made
    assert 2 <= len(set(census.control_ids)) <= 2 + len(between), "the correction is a message of its own"


def test_a_corrected_patient_id_is_a_new_study(hospital: Hospital) -> None:
    images = head_study("corrected")
    send(hospital, images)
    first = settle(hospital, images)
    corrected = head_study("corrected", patient=Patient(patient_id="VIGIL-RIGHT"))
    study = hospital.orthanc.post("/tools/lookup", str(images[0].StudyInstanceUID).encode())[0]["ID"]
    hospital.orthanc.delete(f"/studies/{study}")
    send(hospital, corrected)

    census = settle(hospital, corrected, count=2)
    studies = {item["orthanc_study_id"] for item in census.analyses}
    assert len(studies) == 2
    assert {item["analysis_id"] for item in first.analyses} < {item["analysis_id"] for item in census.analyses}
    assert len(census.control_ids) == len(set(census.control_ids)) == 3, "told, taken back, told of the right patient"


def test_a_study_that_is_deleted_in_mid_analysis_ends_as_such_and_does_not_come_back(tmp_path: Path) -> None:
    with Hospital(tmp_path, vigil=QUICK) as hospital:
        images = head_study("deleted")
        uid = str(images[0].StudyInstanceUID)
        send(hospital, images)
        wait_until("an analysis has begun", lambda: analyses(hospital.orthanc, uid))
        for study in hospital.orthanc.studies():
            hospital.orthanc.delete(f"/studies/{study}")
        found = wait_until("an end", lambda: [item for item in analyses(hospital.orthanc, uid)
                                              if item["state"] in ("ended-study-deleted", "stored")])
        if found[0]["state"] == "stored":
            pytest.skip("the analysis was quicker than the deletion")
        assert hospital.orthanc.studies() == []
        assert not hospital.ris.received()


def test_shadow_answers_in_the_ledger_and_nowhere_else(tmp_path: Path) -> None:
    with Hospital(tmp_path, vigil={**QUICK, "Models": {MODEL: {"Stage": "shadow"}}}) as hospital:
        images = head_study("shadow")
        send(hospital, images)

        census = settle(hospital, images)
        assert census.kinds == {"positive": 1}
        assert census.analyses[0]["state"] == "shadow"
        assert not census.in_orthanc
        assert not census.in_pacs
        assert not census.control_ids


def test_a_research_model_without_an_override_is_shown_and_pages_nobody(tmp_path: Path) -> None:
    with Hospital(tmp_path, vigil={**QUICK, "Models": {MODEL: {"Stage": "live"}}}) as hospital:
        images = head_study("no-override")
        send(hospital, images)

        census = settle(hospital, images)
        assert census.in_pacs == census.made
        alert = next(item for item in census.analyses[0]["deliveries"] if item["kind"] == "hl7")
        assert alert["state"] == "suppressed"
        assert "override" in alert["reason"]["text"]
        assert not census.control_ids


def test_a_model_that_is_off_does_nothing(tmp_path: Path) -> None:
    with Hospital(tmp_path, vigil={**QUICK, "Models": {}}) as hospital:
        images = head_study("off")
        send(hospital, images)
        study = hospital.orthanc.studies()[0]
        wait_until("the study was looked at", lambda: hospital.orthanc.get(f"/vigil/studies/{study}")["evaluated_at"])

        assert hospital.orthanc.get("/vigil/analyses") == []
        assert len(hospital.orthanc.instances()) == len(images)


def test_a_fresh_installation_into_an_orthanc_with_ten_old_studies_alarms_nobody(tmp_path: Path) -> None:
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=400)
    with Hospital(tmp_path, vigil=QUICK) as hospital:
        hospital.orthanc.kill()
        bare = Orthanc(tmp_path / "orthanc", name="ORTHANC", script=None)
        olds = [head_study(f"old-{number}", started=long_ago if number % 2 else dt.datetime.now(dt.UTC))
                for number in range(10)]
        import shutil

        shutil.rmtree(tmp_path / "orthanc" / "vigil")
        with bare:
            for images in olds:
                assert modality.send(images, "127.0.0.1", bare.dicom_port, bare.aet).all_stored
            bare.terminate()
        hospital.orthanc.start()
        hospital.orthanc.wait_ready()
        fresh = head_study("fresh")
        send(hospital, fresh)

        settle(hospital, fresh).exactly_once()
        assert {item["study_instance_uid"] for item in hospital.orthanc.get("/vigil/analyses")} == {
            str(fresh[0].StudyInstanceUID)}
        assert len(hospital.ris.received()) == 1
