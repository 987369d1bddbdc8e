"""Makes the alerts and patients of ``delivery_cases`` importable for the tests of this room."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()
