"""docs/dependencies.md: every library that the bundle installs has its row: reason, size, import time and keeper."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hospital.orthanc import REPOSITORY
from vigil.oversight.doctor.libraries import pins

ROW = re.compile(r"^\| (?P<name>[A-Za-z0-9_-]+)[^|]* \| (?P<reason>[^|]+) \| (?P<licence>[^|]+) \| (?P<size>[^|]+) \| "
                 r"(?P<seconds>[^|]+) \| (?P<keeper>[^|]+) \|$", re.MULTILINE)


def rows() -> dict[str, re.Match[str]]:
    return {found["name"].lower(): found for found in ROW.finditer((REPOSITORY / "docs" / "dependencies.md").read_text())}


@pytest.mark.parametrize("lock", sorted((REPOSITORY / "requirements").glob("runtime-py*.txt")), ids=lambda lock: lock.stem)
def test_every_library_of_a_lock_file_has_a_row(lock: Path) -> None:
    pinned = pins(lock.stem.removeprefix("runtime-py"))
    assert len(pinned) > 30
    assert sorted(set(pinned) - set(rows())) == []


def test_a_row_has_a_reason_a_size_a_time_and_a_keeper() -> None:
    for name, row in rows().items():
        if name != "package":
            assert row["reason"].strip(), name
            assert float(row["size"]) > 0, name
            assert row["seconds"] == "with psycopg" or float(row["seconds"]) >= 0, name
            assert len(row["keeper"].strip()) > 3, name


def test_no_row_is_left_of_what_went() -> None:
    pinned = {name for lock in (REPOSITORY / "requirements").glob("runtime-py*.txt")
              for name in pins(lock.stem.removeprefix("runtime-py"))}
    assert sorted(set(rows()) - pinned - {"package"}) == []
