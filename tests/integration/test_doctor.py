"""The doctor and the support bundle beside a running Orthanc: a healthy hospital, one whose libraries are shadowed, and what
leaves the house in an archive."""

from __future__ import annotations

import datetime as dt
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hospital import modality
from hospital.census import wait_settled
from hospital.command import vigil
from hospital.ct_series import Patient
from hospital.hospital import MODEL, Hospital
from hospital.orthanc import REPOSITORY, Orthanc, runtime_site_packages
from hospital.patients import head_study
from vigil.domain.clock import SystemClock
from vigil.oversight.doctor.check import in_lines
from vigil.oversight.doctor.examine import examine
from vigil.oversight.doctor.site import Surroundings

AROUND = Surroundings(SystemClock(), REPOSITORY / "models", lambda: True, ())
PATIENTS = (Patient(name="Unmistakable^Zoë^Q", patient_id="UNMISTAKABLE-4711", issuer="UNMISTAKABLE-CLINIC"),
            Patient(name="Ohnegleichen^Jürgen", patient_id="OHNEGLEICHEN-0815", issuer="OHNEGLEICHEN-KLINIK"))
ACCESSIONS = ("UNMISTACC815", "OHNEGLACC4711")
SECRETS = ("s3cret-of-a-user", "s3cret-of-an-index", "s3cret-in-a-file", "s3cret-misplaced", "s3cret-in-the-environment",
           "dr.who@hospital.example", "Professor Unheard-of")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hospital, list[str]]]:
    """A hospital that knows secrets, through which two patients went, and a study that is too old to be analysed."""
    folder = tmp_path_factory.mktemp("doctor")
    secret = folder / "pager"
    secret.write_text("s3cret-in-a-file\n")
    secret.chmod(0o600)
    override = {"By": "Professor Unheard-of", "Reason": "Asked for by Professor Unheard-of", "Date": "2026-11-23"}
    vigil = {"Models": {MODEL: {"Stage": "live", "AlertOverride": override}},
             "Escalation": {"Webhooks": {"pager": {"Url": "http://127.0.0.1:9/", "SecretFile": str(secret)}},
                            "Mail": {"desk": {"Host": "127.0.0.1", "Port": 9, "Sender": "dr.who@hospital.example",
                                              "To": ["dr.who@hospital.example"]}}}}
    configuration = {"RegisteredUsers": {"vigil": "s3cret-of-a-user"}, "PostgreSQL": {"Password": "s3cret-of-an-index"}}
    with Hospital(folder / "hospital", vigil=vigil, configuration=configuration) as hospital:
        marks = []
        for number, patient in enumerate(PATIENTS):
            images = head_study(f"support-{number}", patient=patient, accession=ACCESSIONS[number])
            assert modality.send(images, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet).all_stored
            wait_settled(hospital, str(images[0].StudyInstanceUID))
            marks += [str(images[0].StudyInstanceUID), str(images[0].SeriesInstanceUID),
                      *(str(image.SOPInstanceUID) for image in images)]
        old = head_study("support-old", patient=PATIENTS[0], started=dt.datetime.now(dt.UTC) - dt.timedelta(days=400))
        assert modality.send(old, "127.0.0.1", hospital.orthanc.dicom_port, hospital.orthanc.aet).all_stored
        marks += [str(old[0].StudyInstanceUID), *hospital.orthanc.studies()]
        yield hospital, marks


def test_a_healthy_hospital_that_runs_is_not_complained_of(hospital: Hospital) -> None:
    config = hospital.orthanc.configuration_path
    checks = examine(config, AROUND)
    assert [check for check in checks if check.level != "good"] == [], in_lines(checks)
    told = in_lines(checks)
    for words in ("runs in Orthanc, and is ready", "its session is ONNX Runtime", "answers C-ECHO", "takes an MLLP connection",
                  "Orthanc's process: imports every library from"):
        assert words in told
    assert not hospital.ris.received()

    said = vigil("doctor", "--json", "--config", str(config))
    content = json.loads(said.stdout)
    assert said.returncode == content["exit_code"]
    # Whether a time service keeps this machine's clock is the machine's own affair.
    assert {item["subject"] for item in content["checks"] if item["level"] != "good"} <= {"clock"}

    hospital.orthanc.kill()
    stopped = {(check.subject, check.level) for check in examine(config, AROUND) if check.level != "good"}
    assert stopped == {("orthanc", "warning")}


def test_an_older_library_that_goes_before_ours_in_orthanc_is_found_there(tmp_path: Path) -> None:
    """The site's script puts a folder of its own first, after the bundle's: only the process itself knows."""
    name, shadow = "prometheus_client", tmp_path / "dist-packages"
    shutil.copytree(runtime_site_packages() / name, shadow / name)
    (shadow / f"{name}-0.9.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: prometheus_client\nVersion: 0.9.0\n"
    (shadow / f"{name}-0.9.0.dist-info" / "METADATA").write_text(metadata)
    script = tmp_path / "site_script.py"
    script.write_text("import sys\nimport orthanc\n"
                      f"sys.path[:0] = [{str(shadow)!r}, {str(runtime_site_packages())!r}, {str(REPOSITORY / 'plugin')!r}]\n"
                      "from vigil.host.entry import install\ninstall(orthanc)\n")
    with Orthanc(tmp_path / "orthanc", script=script, vigil={"Models": {"absent": {"Stage": "live"}}}) as orthanc:
        checks = examine(orthanc.configuration_path, AROUND)
    errors = {check.where: check for check in checks if check.level == "error"}
    assert "imports 0.9.0 from" in errors["prometheus-client"].what
    assert "first in sys.path" in errors["prometheus-client"].remedy
    assert "not installed" in errors["absent"].what


def test_a_command_line_without_its_libraries_says_which_and_what_to_do() -> None:
    said = vigil("doctor", python=Path("/usr/bin/python3"))
    assert said.returncode == 2
    assert "cannot be imported" in said.stderr
    assert "install the bundle again" in said.stderr


def test_the_support_bundle_holds_no_patient_and_no_secret_and_what_helps(
    lived: tuple[Hospital, list[str]], tmp_path: Path,
) -> None:
    hospital, marks = lived
    written = json.loads(hospital.orthanc.configuration_path.read_text())
    written["Vigil"] |= {"ApiKay": "s3cret-misplaced"}  # a key that nobody knows
    written["Vigil"]["DicomWeb"] = {"archive": {"Url": "https://me:s3cret-misplaced@127.0.0.1:9/"}}
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(written))
    identities = {mark.lower().encode() for patient in PATIENTS
                  for mark in (patient.patient_id, patient.issuer, *patient.name.replace("^", " ").split()) if len(mark) > 2}
    sought = identities | {mark.lower().encode() for mark in (*ACCESSIONS, *SECRETS, *marks)}
    received = b"".join(path.read_bytes().lower() for path in hospital.ris.received())
    assert sum(mark in received for mark in sought) >= 6, "the search would find them"

    for config in (hospital.orthanc.configuration_path, wrong):
        archive = tmp_path / f"{config.stem}-bundle.tar.gz"
        said = vigil("support-bundle", str(archive), "--config", str(config))
        assert said.returncode == 0, said.stderr
        assert archive.stat().st_mode & 0o777 == 0o600
        files = unpacked(archive)
        for name, body in files.items():
            for text in (body.lower(), body.decode().encode("utf-16-le").lower()):
                assert [mark for mark in sought if mark in text] == [], name
        helps(files, hospital)

    again = vigil("support-bundle", str(archive), "--config", str(config))
    assert (again.returncode, "is there already" in again.stderr) == (1, True)


def helps(files: dict[str, bytes], hospital: Hospital) -> None:
    ledger: dict[str, Any] = json.loads(files["ledger.json"])
    assert ledger["counts"]["analyses"] == {"stored": 2}
    assert ledger["counts"]["deliveries"] == {"delivered": 4}
    versions = json.loads(files["versions.json"])
    assert versions["orthanc"]["process"]["libraries"]["pydicom"]["version"]
    assert {item["id"] for item in json.loads(files["models.json"])} >= {MODEL}
    settings = json.loads(files["configuration.json"])
    assert settings["Vigil"]["Pacs"]["pacs"]["Port"] == hospital.pacs_port
    assert settings["Vigil"]["Models"][MODEL]["AlertOverride"]["By"] == "(left out)"
    assert "RegisteredUsers" in settings["(other keys)"]
    actions = [json.loads(line)["action"] for line in files["log.jsonl"].splitlines()]
    assert {"started", "answered", "stored", "delivery-delivered"} <= set(actions)
    assert b"orthanc-" in files["log.jsonl"], "a study has a name in the log that is good for this bundle"
    assert b"vigil doctor" in files["README.txt"]
    assert b"desk" in files["doctor.txt"] or b"ApiKay" in files["doctor.txt"]


def unpacked(archive: Path) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as opened:
        files = {Path(item.name).name: opened.extractfile(item) for item in opened.getmembers()}
        return {name: file.read() for name, file in files.items() if file is not None}
