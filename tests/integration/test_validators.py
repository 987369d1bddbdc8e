"""What the PACS received, judged by validators that the project did not write: every object of every kind of answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from hospital import modality
from hospital.census import wait_settled
from hospital.ct_series import Patient, dicom_bytes
from hospital.hospital import Hospital
from hospital.patients import head_study
from validators.dcmtk import dsrdump
from validators.dicom3tools import dcentvfy, dciodvfy
from validators.pixelmed import validate_reports

SR = "1.2.840.10008.5.1.4.1.1.88.34"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"
KINDS = {SR: "report", SEG: "segmentation"}
STUDIES = {
    "positive": head_study("valid-positive"),
    "negative": head_study("valid-negative", insert_ml=None),
    "not-analysed": head_study("valid-child", patient=Patient(
        name="Grüße^Jörg=山田^太郎", patient_id="VIGIL-CHILD", age="010Y", birth_date="20161001")),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """For each kind of answer a folder with the images that were sent (``image-*``) and what the PACS was sent of them."""
    base = tmp_path_factory.mktemp("validators")
    with Hospital(base / "hospital") as hospital:
        for images in STUDIES.values():
            orthanc = hospital.orthanc
            assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet, associations=3).all_stored
        kinds = {kind: wait_settled(hospital, str(images[0].StudyInstanceUID))[0]["answer"]["kind"]
                 for kind, images in STUDIES.items()}
        assert kinds == {kind: kind for kind in STUDIES}
        folders = {kind: base / kind for kind in STUDIES}
        for kind, images in STUDIES.items():
            folders[kind].mkdir()
            for index, image in enumerate(images):
                (folders[kind] / f"image-{index:03}.dcm").write_bytes(dicom_bytes(image))
        uids = {str(images[0].StudyInstanceUID): kind for kind, images in STUDIES.items()}
        for path in hospital.pacs.objects():
            found = dcmread(path, specific_tags=["StudyInstanceUID", "SOPClassUID", "SOPInstanceUID"])
            name = f"{KINDS.get(found.SOPClassUID, 'capture')}-{found.SOPInstanceUID[-12:]}.dcm"
            (folders[uids[str(found.StudyInstanceUID)]] / name).write_bytes(path.read_bytes())
    yield folders


@pytest.mark.parametrize("kind", STUDIES)
def test_dciodvfy_finds_no_error_in_any_object(folders: dict[str, Path], kind: str) -> None:
    results = [path for path in folders[kind].iterdir() if not path.name.startswith("image")]
    assert len(results) >= 2
    assert any(path.name.startswith("segmentation") for path in results) == (kind == "positive")
    for path in results:
        assert dciodvfy(path).errors == (), path.name


@pytest.mark.parametrize("kind", STUDIES)
def test_dcentvfy_finds_the_study_whole(folders: dict[str, Path], kind: str) -> None:
    assert dcentvfy(sorted(folders[kind].iterdir())).errors == ()


def test_pixelmed_and_dsrdump_find_no_error_in_the_reports(folders: dict[str, Path]) -> None:
    reports = {kind: next(folder.glob("report-*")) for kind, folder in folders.items()}
    for path in reports.values():
        assert dsrdump(path).errors == ()
    verdicts = validate_reports([reports["positive"]])
    assert verdicts[reports["positive"]].errors == ()
