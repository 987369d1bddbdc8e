"""What the tests found on a host, read from the report that pytest wrote there and from what the host says of itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from hospital.host_facts import Facts

COUNTED = ("tests.integration.", "tests.contract.", "tests.chaos.")
"""Those that need an Orthanc. A unit test says nothing of one, though the same report may hold it."""


@dataclass(frozen=True)
class Outcome:
    """Names of tests as pytest's report has them: ``tests.chaos.test_stops::test_during_inference[parameter]``."""

    host: str
    passed: frozenset[str]
    failed: frozenset[str]
    skipped: frozenset[str]

    @property
    def whole(self) -> bool:
        return bool(self.passed) and not self.failed

    def has_passed(self, test: str) -> bool:
        """Whether it did, in all of its parameters. ``test``: ``chaos/test_stops::test_during_inference``."""
        named = f"tests.{test.replace('/', '.')}"
        asked = {name for name in self.passed | self.failed | self.skipped if name.partition("[")[0] == named}
        return bool(asked) and asked <= self.passed


def read_outcome(host: str, folder: Path) -> Outcome:
    """Of all ``junit*.xml`` in the folder, one for each lane of a run; an empty one where pytest wrote none."""
    found: dict[str, set[str]] = {"passed": set(), "failed": set(), "skipped": set()}
    for junit in sorted(folder.glob("junit*.xml")):
        for case in ElementTree.parse(junit).iter("testcase"):  # noqa: S314 - pytest wrote it, on this machine
            tags = {child.tag for child in case}
            kind = "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
            found[kind].add(f"{case.get('classname')}::{case.get('name')}")
    # A test whose teardown fails has two entries.
    passed = found["passed"] - found["failed"]
    return Outcome(host, frozenset(passed), frozenset(found["failed"]), frozenset(found["skipped"]))


def counted(names: frozenset[str]) -> int:
    return sum(name.startswith(COUNTED) for name in names)


def read_facts(path: Path) -> Facts:
    return Facts(**json.loads(path.read_text()))
