"""A hospital for the tests: a real Orthanc with the bundle, dcmtk's receiver as the PACS, python-hl7 as the RIS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hospital.hospital import Hospital
from hospital.network import enter_namespace


@pytest.fixture(scope="session", autouse=True)
def _own_network() -> None:
    """scripts/test starts the tests in a network of their own; a developer's bare pytest enters one here."""
    enter_namespace()


@pytest.fixture
def hospital(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Hospital]:
    """All three, started and ready. A test that wants other settings asks so::

    @pytest.mark.parametrize("hospital", [{"vigil": {...}, "configuration": {...}}], indirect=True)
    """
    with Hospital(tmp_path, **getattr(request, "param", {})) as running:
        yield running
