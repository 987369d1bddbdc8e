"""An Orthanc whose index and storage lie in PostgreSQL: a study is answered once, and nothing depends on Orthanc's files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hospital import modality
from hospital.census import take_census, wait_settled
from hospital.hospital import Hospital
from hospital.network import free_port
from hospital.orthanc import OrthancDidNotStart, plugin_path
from hospital.patients import head_study

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
USER = "postgres"
"""A server of PostgreSQL refuses to run as root."""


@pytest.fixture
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server with an empty database, in a folder of its own."""
    try:
        plugin_path("OrthancPostgreSQLIndex")
    except OrthancDidNotStart as missing:
        pytest.skip(str(missing))
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not on this machine: scripts/setup --test installs it")
    folder = Path("/tmp") / f"vigil-postgresql-{os.getpid()}"
    folder.mkdir(mode=0o700)
    as_user = ["runuser", "-u", USER, "--"] if os.getuid() == 0 else []
    if as_user:
        shutil.chown(folder, USER, USER)
    port = free_port()

    def run(program: str, *arguments: str) -> None:
        subprocess.run([*as_user, str(PROGRAMS[-1] / program), *arguments], check=True, cwd="/", stdout=subprocess.DEVNULL)

    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C")
        run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o",
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off", "start")
        try:
            run("createdb", "-U", USER, "-h", "127.0.0.1", "-p", str(port), "orthanc")
            yield port
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def test_a_study_is_answered_once_where_index_and_storage_lie_in_postgresql(tmp_path: Path, postgresql: int) -> None:
    hospital = Hospital(tmp_path, vigil={"Reconcile": {"IntervalSeconds": 2.0}}, configuration={"PostgreSQL": {
        "EnableIndex": True, "EnableStorage": True, "Host": "127.0.0.1", "Port": postgresql, "Database": "orthanc",
        "Username": USER, "Password": "", "Lock": False}})
    hospital.orthanc.plugins = (*hospital.orthanc.plugins, "OrthancPostgreSQLIndex", "OrthancPostgreSQLStorage")
    with hospital:
        orthanc = hospital.orthanc
        images = head_study("in-postgresql")
        sent = {str(image.SOPInstanceUID) for image in images}
        assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        uid = str(images[0].StudyInstanceUID)
        wait_settled(hospital, uid)
        take_census(hospital, uid, sent).exactly_once()
        assert not [path for path in (orthanc.folder / "storage").rglob("*") if path.is_file()], "nothing lies in files"

        orthanc.kill()  # the change log, too, lies in the database
        orthanc.start()
        orthanc.wait_ready()
        images = head_study("in-postgresql-after-a-kill")
        assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        later = str(images[0].StudyInstanceUID)
        wait_settled(hospital, later)
        take_census(hospital, later, {str(image.SOPInstanceUID) for image in images}).exactly_once()
        take_census(hospital, uid, sent).exactly_once()
