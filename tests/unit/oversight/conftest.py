"""Makes ``doctor_cases`` importable for the tests of this room, and starts the receivers that all of them ask."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from hospital.network import enter_namespace
from hospital.ris import Ris

sys.path.insert(0, str(Path(__file__).parent))
from doctor_cases import Clinic, Peers, WebServer


@pytest.fixture(scope="session", autouse=True)
def _own_network() -> None:
    enter_namespace()


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory, _own_network: None) -> Iterator[Peers]:
    node = AE("PACS")
    node.add_supported_context(Verification)
    node.require_called_aet = True
    server = node.start_server(("127.0.0.1", 0), block=False)
    web = ThreadingHTTPServer(("127.0.0.1", 0), WebServer)
    threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
    with Ris(tmp_path_factory.mktemp("ris")) as ris:
        assert server is not None
        yield Peers(server.server_address[1], ris.port, web.server_port)
    web.shutdown()
    server.shutdown()


@pytest.fixture
def clinic(tmp_path: Path, peers: Peers) -> Clinic:
    return Clinic(tmp_path, peers)
