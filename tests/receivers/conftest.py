"""Makes the receivers and the alerts of ``delivery_cases`` importable for the tests of this folder, and has npm's there."""

from __future__ import annotations

import shutil
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "unit" / "delivery")]

import packages  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def receivers() -> None:
    """Skips only where there is no Node.js at all; what is there and cannot be fetched is a failure."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs Node.js and npm (Debian: nodejs npm); scripts/setup installs them")
    packages.fetch()


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()
