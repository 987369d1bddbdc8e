"""A new Orthanc with the configuration that ``vigil config write`` makes: it starts, and lets in its one user and nobody else."""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hospital.network import free_port
from hospital.orthanc import BINARIES, REPOSITORY, RUNTIME, plugin_path, runtime_site_packages

START_S = 60


def ask(port: int, path: str, user: str = "", password: str = "") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    connection.request("GET", path, headers={"Authorization": f"Basic {credentials}"} if user else {})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str, Path]]:
    """Port, password and log of the Orthanc that runs with it: only what is marked SITE, or is this test's place, is another."""
    folder = tmp_path_factory.mktemp("first")
    file = folder / "orthanc.json"
    said = subprocess.run(
        [str(RUNTIME / "bin" / "python"), "-m", "vigil", "config", "write", str(file), "--json"],
        check=True, capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY / "plugin"), "LANG": "C.UTF-8"})
    password = str(json.loads(said.stdout)["password"])
    port, text = free_port(), file.read_text()
    for before, after in (
        ("/var/lib/orthanc/db", str(folder / "storage")), ("/var/lib/vigil", str(folder / "vigil")),
        ("/usr/share/orthanc/plugins/", str(plugin_path("OrthancPython"))), ('"HttpPort" : 8042', f'"HttpPort" : {port}'),
        ('"DicomPort" : 4242', f'"DicomPort" : {free_port()}'),
        ('"SitePackages" : null', f'"SitePackages" : "{runtime_site_packages()}"'),
    ):
        assert before in text
        text = text.replace(before, after)
    file.write_text(text)
    binary = next(path for path in BINARIES if path.exists())
    log = folder / "orthanc.log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    with log.open("wb") as opened:
        orthanc = subprocess.Popen([str(binary), str(file)], stdout=opened, stderr=subprocess.STDOUT, cwd=folder, env=environment)
    try:
        ends = time.monotonic() + START_S
        ready = 0
        while ready != http.client.OK and time.monotonic() < ends and orthanc.poll() is None:
            with suppress(OSError):
                ready = ask(port, "/vigil/health/ready", "operator", password)
            time.sleep(0.1)
        assert ready == http.client.OK, log.read_text()[-2000:]
        yield port, password, log
    finally:
        orthanc.kill()
        orthanc.wait()


def test_nobody_without_the_password_and_the_one_user_with_it(written: tuple[int, str, Path]) -> None:
    port, password, _ = written
    for path in ("/system", "/studies", "/vigil/health/ready", "/vigil/health/live", "/vigil/alerts", "/vigil/metrics",
                 "/vigil/acknowledge/made-up"):
        assert ask(port, path) == 401, path
        assert ask(port, path, "orthanc", "orthanc") == 401, path
        assert ask(port, path, "operator", password[:-1]) == 401, path
        assert ask(port, path, "operator", password) == 200, path


def test_the_password_is_not_in_the_log(written: tuple[int, str, Path]) -> None:
    _, password, log = written
    assert b"Orthanc has started" in log.read_bytes()
    assert password.encode() not in log.read_bytes()
