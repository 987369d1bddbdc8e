"""Cases of this folder and of the one above are importable from the tests here."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

for folder in (Path(__file__).parent, Path(__file__).parents[1]):
    sys.path.insert(0, str(folder))


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """pytest holds the errors that a test has seen, and they hold the sessions: what they leave is no other test's business."""
    from apart_cases import children, wait_for

    yield
    for pid in children():
        with suppress(ProcessLookupError):  # it was ending already
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: children() == [])
