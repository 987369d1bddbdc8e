"""Orthanc is killed here, over and over."""

from __future__ import annotations

import pytest

from hospital.network import enter_namespace


@pytest.fixture(scope="session", autouse=True)
def _own_network() -> None:
    enter_namespace()
