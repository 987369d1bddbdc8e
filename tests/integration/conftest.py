"""A hospital for the tests: a real Orthanc with the bundle, a DICOM receiver and an HL7 receiver of other people."""

from __future__ import annotations

import pytest

from hospital.network import enter_namespace


@pytest.fixture(scope="session", autouse=True)
def _own_network() -> None:
    """scripts/test starts the tests in a network of their own; a developer's bare pytest enters one here."""
    enter_namespace()
