"""One thing is made wrong at a time, for real; the doctor names it, with its remedy, and complains of nothing else."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from doctor_cases import Clinic, WebServer
from doctor_faults import FAULTS, ledger_from_tomorrow, quarantine

from hospital.disk import DiskUnavailable, SmallDisk
from hospital.hospital import BRAIN_MODEL, MODEL
from hospital.orthanc import REPOSITORY, runtime_site_packages
from hospital.ris import Certificates, Ris
from vigil.oversight.doctor.check import Check, error, exit_code, good, in_lines, warning
from vigil.oversight.doctor.examine import examine, look_at_orthanc
from vigil.oversight.doctor.libraries import MODULES, look_at_process, look_in_folder, pins
from vigil.oversight.doctor.models import installed, look_at_models
from vigil.oversight.doctor.running import Running
from vigil.oversight.doctor.site import Site
from vigil.oversight.doctor.versions import look_at_versions
from vigil.records.state import StatePaths
from vigil.settings import load


def test_a_healthy_hospital_is_not_complained_of(clinic: Clinic) -> None:
    clinic.vigil["Models"][BRAIN_MODEL] = {"Stage": "shadow"}
    assert clinic.complaints() == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_with_its_remedy_and_nothing_else_is(clinic: Clinic, name: str) -> None:
    fault = FAULTS[name]
    fault.seed(clinic)

    complaints = clinic.complaints()

    assert len(complaints) == 1, in_lines(complaints)
    found = complaints[0]
    assert (found.subject, found.level) == (fault.subject, fault.level)
    assert found.where.endswith(fault.where)
    assert fault.what in found.what
    assert fault.remedy in found.remedy
    assert "hunter2" not in in_lines(complaints)


@pytest.mark.parametrize(("size_mib", "level"), [(8, "error"), (400, "warning")])
def test_a_disk_that_is_full_or_nearly(clinic: Clinic, size_mib: int, level: str) -> None:
    disk = SmallDisk(clinic.folder / "disk", size_mib=size_mib)
    clinic.whole["StorageDirectory"] = str(disk.folder)
    try:
        disk.__enter__()
    except DiskUnavailable as unavailable:
        pytest.skip(str(unavailable))
    try:
        found, = clinic.complaints()
    finally:
        disk.__exit__(None, None, None)
    assert (found.subject, found.level, found.what) == ("disk", level, f"{size_mib} MiB are free")
    assert "make room" in found.remedy


@pytest.mark.parametrize(("days_ago", "level", "subject", "words", "remedy"), [
    (2, "error", "ris", "its certificate has expired", "must be renewed at the receiver"),
    (0, "warning", "certificate", "that 127.0.0.1", "renewed there"),
])
def test_a_certificate_that_a_receiver_shows(
    clinic: Clinic, days_ago: int, level: str, subject: str, words: str, remedy: str,
) -> None:
    certificate, key = clinic.authority.issue("ris", days_ago=days_ago)
    with Ris(clinic.folder / "ris", certificates=Certificates(certificate, key)) as ris:
        clinic.vigil["Ris"]["ris"] = {"Host": "127.0.0.1", "Port": ris.port, "Tls": {"AuthorityFile": str(clinic.authority.file)}}
        complaints = [check for check in clinic.complaints() if "AuthorityFile" not in check.where]  # good for a day, too
    found = [check for check in complaints if check.subject == subject]
    assert [check.level for check in found] == [level], in_lines(complaints)
    assert words in found[0].what
    assert remedy in found[0].remedy


def test_a_server_whose_clock_is_wrong_is_told_from_ours(clinic: Clinic) -> None:
    class Behind(WebServer):
        date = format_datetime(datetime.now(UTC) - timedelta(hours=3), usegmt=True)

    web = ThreadingHTTPServer(("127.0.0.1", 0), Behind)
    Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
    clinic.vigil["DicomWeb"]["archive"]["Url"] = f"http://127.0.0.1:{web.server_port}/"
    try:
        found, = clinic.complaints()
    finally:
        web.shutdown()
    assert "is 180 minutes ahead of DICOMweb 'archive'" in found.what


@pytest.mark.parametrize("text", [
    "{ no JSON", "[]", "{}", '{"Vigil": {"Password": "hunter2", "DicomWeb": {"p": {"Url": "https://me:hunter2@archive/"}}}}'])
def test_it_still_looks_where_the_configuration_is_broken_and_shows_no_secret(clinic: Clinic, text: str) -> None:
    clinic.write("orthanc.json", text)
    checks = examine(clinic.config, clinic.around())
    assert {"versions", "libraries", "settings", "disk", "clock", "orthanc"} <= {check.subject for check in checks}
    assert exit_code(checks) == 2
    assert "doctor" not in {check.subject for check in checks}
    assert "hunter2" not in in_lines(checks)


def test_a_library_of_the_distribution_s_that_shadows_ours_is_found_in_the_process(tmp_path: Path) -> None:
    """Real imports, in a process whose path is as it is where a site's script gets it wrong."""
    ours, version = runtime_site_packages(), f"{sys.version_info.major}.{sys.version_info.minor}"
    shadow = tmp_path / "dist-packages"
    (shadow / "pydicom-2.3.1.dist-info").mkdir(parents=True)
    (shadow / "pydicom").mkdir()
    (shadow / "pydicom" / "__init__.py").write_text("__version__ = '2.3.1'\n")
    (shadow / "pydicom-2.3.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: pydicom\nVersion: 2.3.1\n")

    def checks(*path: Path) -> list[Check]:
        said = subprocess.run(
            [sys.executable, "-I", "-S", "-c", "import json, sys; sys.path[:0] = sys.argv[1:]; "
             "from vigil.oversight.doctor.libraries import environment; print(json.dumps(environment()))",
             *map(str, path), str(REPOSITORY / "plugin")], check=True, capture_output=True, text=True)
        return look_at_process(json.loads(said.stdout), ours, pins(version))

    assert [check.level for check in checks(ours, shadow)] == ["good"]
    found, = checks(shadow, ours)
    assert (found.subject, found.where, found.level) == ("libraries", "pydicom", "error")
    assert f"imports 2.3.1 from {shadow}" in found.what
    assert "first in sys.path" in found.remedy


def test_a_library_in_another_version_than_was_tested_is_told() -> None:
    pinned = pins("3.11") | {"pydicom": "2.4.4"}
    found, = look_in_folder(runtime_site_packages(), pinned)
    assert (found.where, found.level) == ("pydicom", "error")
    assert "was tested with 2.4.4" in found.what


def test_every_library_that_the_bundle_asks_for_is_looked_at() -> None:
    import tomllib

    wanted = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {item.split("=")[0].split(">")[0].lower() for item in wanted}
    assert names == set(MODULES)


def running_site(clinic: Clinic, running: Running) -> Site:
    settings = load(clinic.whole)
    return Site(clinic.config, clinic.whole, settings, running, clinic.clock.at)


def test_a_session_of_the_running_orthanc_on_another_provider_or_with_other_weights_is_an_error(clinic: Clinic) -> None:
    clinic.vigil["Runtime"] = {"Provider": "cuda", "AllowCpuFallback": True}
    health = {"ready": True, "models": [{"id": MODEL, "weights_sha256": "0" * 64, "runtime": "ONNX Runtime 1.26.0 CPU"}]}
    site = running_site(clinic, Running({"Version": "1.12.7"}, "5.0", health))
    assert site.settings is not None
    found = [check for check in look_at_models(site, site.settings, installed(site.settings, clinic.models))
             if check.level == "error"]
    assert ["other weights" in found[0].what, "CUDA was asked for" in found[1].what] == [True, True]
    assert found[0].remedy == "restart Orthanc"


def test_a_model_that_is_switched_on_and_not_loaded_in_the_process_is_told(clinic: Clinic) -> None:
    health = {"ready": True, "models": [{"id": MODEL, "weights_sha256": None, "runtime": "not loaded"}]}
    site = running_site(clinic, Running({"Version": "1.12.7"}, "5.0", health))
    assert site.settings is not None
    found, = (check for check in look_at_models(site, site.settings, installed(site.settings, clinic.models))
              if check.level == "error")
    assert "has not loaded it" in found.what


@pytest.mark.parametrize(("running", "level", "words"), [
    (Running(refused=True), "warning", "lets nobody in"),
    (Running({"Version": "1.12.7"}, "5.0"), "error", "it does not run Vigil"),
    (Running({"Version": "1.12.7"}, "5.0", {"ready": False, "missing": ["the model is gone"]}), "error",
     "not ready: the model is gone"),
    (Running({"Version": "1.12.7"}, "5.0", {"ready": True}), "good", "is ready"),
])
def test_what_the_running_orthanc_says_of_vigil_is_told(clinic: Clinic, running: Running, level: str, words: str) -> None:
    found, = look_at_orthanc(running_site(clinic, running))
    assert (found.level, words in found.what) == (level, True)
    assert (found.remedy == "") == (level == "good")


def test_a_library_that_the_process_cannot_import_is_told() -> None:
    found, = look_at_process({"libraries": {"pydicom": {"at": None, "version": None}}}, runtime_site_packages(), {})
    assert (found.where, found.level) == ("pydicom", "error")
    assert "cannot be imported" in found.what


def test_a_library_of_ours_in_another_version_in_the_process_is_told() -> None:
    at = str(runtime_site_packages() / "pydicom" / "__init__.py")
    found, = look_at_process({"libraries": {"pydicom": {"at": at, "version": "2.4.4"}}}, runtime_site_packages(),
                             {"pydicom": "3.0.2"})
    assert "has 2.4.4" in found.what
    assert "restart Orthanc" in found.remedy


def test_that_no_lock_file_is_there_is_told() -> None:
    found, = look_in_folder(runtime_site_packages(), {})
    assert (found.where, found.level) == ("requirements", "warning")


def test_a_tls_server_that_nobody_vouches_for_is_told(clinic: Clinic) -> None:
    web = ThreadingHTTPServer(("127.0.0.1", 0), WebServer)
    web.socket = clinic.authority.server_context("web").wrap_socket(web.socket, server_side=True)
    Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
    clinic.vigil["DicomWeb"]["archive"]["Url"] = f"https://127.0.0.1:{web.server_port}/"
    try:
        complaints = {check.subject: check for check in clinic.complaints()}
    finally:
        web.shutdown()
    assert "certificate is not accepted" in complaints["dicomweb"].what
    assert complaints["dicomweb"].remedy
    assert complaints["certificate"].level == "warning", "it is good for a day"


@pytest.mark.parametrize(("orthanc", "plugin", "python", "where"), [
    ("1.9.7", "5.0", "3.11.2", "Orthanc"), ("1.12.7", "3.2", "3.11.2", "Python plugin"),
    ("1.12.7", None, "3.11.2", "Python plugin"),
    ("1.12.7", "5.0", "3.10.1", "Python"),
])
def test_a_version_that_was_never_tested_is_an_error(
    clinic: Clinic, orthanc: str, plugin: str | None, python: str, where: str,
) -> None:
    from vigil import __version__

    site = running_site(clinic, Running({"Version": orthanc}, plugin, None, {
        "python": python, "vigil": __version__, "libraries": {}}))
    assert [check.where for check in look_at_versions(site) if check.level == "error"] == [where]


def test_a_process_that_was_not_restarted_after_an_upgrade_is_told(clinic: Clinic) -> None:
    process = {"python": "3.13.5", "vigil": "0.0.1", "libraries": {}}
    site = running_site(clinic, Running({"Version": "1.12.7"}, "5.0", None, process))
    found, = (check for check in look_at_versions(site) if check.level == "error")
    assert found.remedy == "restart Orthanc"


def test_a_state_directory_that_cannot_be_written_is_found_by_a_user_who_may_not(clinic: Clinic) -> None:
    """Root may write everywhere, so another user looks."""
    if os.getuid() != 0:
        clinic.state.chmod(0o500)
        assert "cannot be written" in clinic.complaints()[0].what
        return
    script = ("import os, sys; from pathlib import Path; os.setgid(65534); os.setuid(65534); "
              "from vigil.oversight.doctor.state import _read_only; print(_read_only(Path(sys.argv[1])))")
    folder = Path("/var/lib")
    said = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": str(REPOSITORY / "plugin"), "PATH": os.environ["PATH"]})
    assert said.stdout.strip() == "True"


def test_the_exit_code_tells_good_warnings_and_errors_apart() -> None:
    well, odd, bad = good("a", "b", "c"), warning("a", "b", "c", "d"), error("a", "b", "c", "d")
    assert [exit_code([]), exit_code([well]), exit_code([well, odd]), exit_code([bad, odd, well])] == [0, 0, 1, 2]
    lines = in_lines([bad, well]).splitlines()
    assert lines[0].startswith("good")
    assert lines[2].strip() == "-> d"


def test_looking_changes_nothing(clinic: Clinic) -> None:
    ledger_from_tomorrow(clinic)
    quarantine(clinic)
    StatePaths(clinic.state).marker.write_text(json.dumps({"model_id": MODEL}))  # of the process that runs now

    def seen() -> dict[str, tuple[int, int]]:
        return {path.name: (stat.S_IMODE(path.stat().st_mode), path.stat().st_mtime_ns)
                for path in clinic.state.rglob("*") if not path.name.endswith(("-shm", "-wal"))}

    before = seen()
    clinic.complaints()
    assert seen() == before
