"""A small hospital for the doctor: a real receiver of each kind, and a configuration in which nothing is wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from hospital.authority import Authority
from hospital.hospital import LIVE, MODEL
from hospital.network import free_port
from hospital.orthanc import BUNDLE_SCRIPT, REPOSITORY, plugin_path, runtime_site_packages
from vigil.oversight.doctor.check import Check
from vigil.oversight.doctor.examine import examine
from vigil.oversight.doctor.site import Surroundings


@dataclass
class FixedClock:
    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass(frozen=True)
class Peers:
    """``pacs_port``: of a node that answers to the title PACS alone. ``web_port``: of a server whose clock is right."""

    pacs_port: int
    ris_port: int
    web_port: int


class WebServer(BaseHTTPRequestHandler):
    """Its clock is ``date``; None: the right time."""

    date: str | None = None

    def do_HEAD(self) -> None:
        self.send_response_only(404)
        self.send_header("Date", self.date or self.date_time_string())
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Clinic:
    """What a test makes wrong, and what the doctor then says. ``whole``: Orthanc's configuration."""

    def __init__(self, folder: Path, peers: Peers) -> None:
        self.folder = folder
        self.peers = peers
        self.clock = FixedClock(datetime.now(UTC))
        self.synchronised: bool | None = True
        self.models = REPOSITORY / "models"
        self.units = folder / "systemd"
        self.libraries = folder / "lib"
        self.libraries.mkdir()
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        self.config = folder / "etc"
        self.config.mkdir()
        self.authority = Authority(folder / "tls")
        self.vigil: dict[str, Any] = {
            "SchemaVersion": 1, "StateDirectory": str(self.state), "SitePackages": str(runtime_site_packages()),
            "Models": {MODEL: LIVE},
            "Pacs": {"pacs": {"Host": "127.0.0.1", "Port": peers.pacs_port, "Aet": "PACS", "TimeoutSeconds": 5}},
            "Ris": {"ris": {"Host": "127.0.0.1", "Port": peers.ris_port}},
            "DicomWeb": {"archive": {"Url": f"http://127.0.0.1:{peers.web_port}/dicom-web"}}}
        self.whole: dict[str, Any] = {
            "StorageDirectory": str(folder), "HttpPort": free_port(), "StableAge": 60, "AuthenticationEnabled": True,
            "RemoteAccessAllowed": False, "Plugins": [str(plugin_path("OrthancPython"))], "PythonScript": str(BUNDLE_SCRIPT),
            "Python": {"AllowThreads": True}, "DicomAlwaysAllowStore": False,
            "DicomModalities": {"pacs": {"AET": "PACS", "Host": "127.0.0.1", "Port": peers.pacs_port}}, "Vigil": self.vigil}

    def write(self, name: str, content: dict[str, Any] | str) -> Path:
        file = self.config / name
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file

    def around(self) -> Surroundings:
        return Surroundings(self.clock, self.models, lambda: self.synchronised, (self.units,), (self.libraries,))

    def complaints(self) -> list[Check]:
        """What the doctor finds, but for what is well, and that no Orthanc runs here."""
        self.write("orthanc.json", self.whole)
        return [check for check in examine(self.config, self.around())
                if check.level != "good" and (check.subject, check.where) != ("orthanc", "this machine")]
