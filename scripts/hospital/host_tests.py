"""Runs the tests on the other hosts that Vigil supports: inside each one's root, with its Orthanc, plugin and Python.

Each host has a network of its own, a copy of this working tree as it is now, and nothing of this machine besides but the real
heads, which are data. Where a run is whole, what was found is written into docs/compatibility.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from hospital.ct_head import ARCHIVE
from hospital.host_packages import INSIDE, REPOSITORY, host_packages
from hospital.host_root import HOSTS, Bind, HostRootMissing, PrivateRoot
from hospital.mr_head import HEAD
from hospital.network import OWN_NETWORK

OTHERS = ("trixie", "forky")
"""This machine is Debian 12, and scripts/test runs everything on it."""
REPORTS = REPOSITORY / "build" / "hosts"
NETWORK = REPOSITORY / "scripts" / "hospital" / "network.py"
NOT_COPIED = ("build", ".git", "__pycache__", "node_modules", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis")

CHOSEN: Mapping[str, str] = {
    "tests/contract": "what Orthanc's SDK and its REST API answer, which is all that Vigil knows of it",
    "tests/integration/test_way_of_a_study.py": "the whole way, exactly once, supersession, a fresh installation",
    "tests/integration/test_orthanc_never_suffers.py": "callbacks, locks, threads, stack: what differs most between plugins",
    "tests/integration/test_broken_bundle.py": "what this Python says when the bundle is broken",
    "tests/integration/test_stalled_studies.py": "events of stable studies and of single images",
    "tests/integration/test_deletion.py": "events of deletion, and a study that comes again",
    "tests/integration/test_brain_volume.py": "the second model: MR, multi-frame objects, resampling",
    "tests/integration/test_last_word.py": "the outbox over a restart",
    "tests/integration/test_people.py::test_a_person_acknowledges_by_the_link_and_nobody_else_is_told": "REST routes for people",
    "tests/chaos/test_stops.py": "SIGTERM at the worst moments",
}
"""What continuous integration runs on each of the other hosts, and why: what could differ there. Receivers, sealed messages,
escalation and settings are Vigil's own, the same code over the same sockets; ``--all`` runs them too."""


@dataclass(frozen=True)
class Outcome:
    """What the tests on one host came to."""

    host: str
    passed: int
    failed: tuple[str, ...]
    skipped: int
    seconds: float
    exit_code: int

    @property
    def whole(self) -> bool:
        return self.exit_code == 0 and not self.failed and self.passed > 0


def run_on(host: str, arguments: Sequence[str]) -> Outcome:
    """pytest with these arguments on this host; its log, its report and the folders of failed tests stay in build/hosts."""
    report = REPORTS / host
    shutil.rmtree(report, ignore_errors=True)
    report.mkdir(parents=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"vigil-{host}-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(REPOSITORY, tree, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
        (tree / "build").mkdir()
        for name in ("venv-runtime", "venv-dev"):
            (tree / "build" / name).symlink_to(INSIDE / name)
        binds = [
            Bind(host_packages(host), INSIDE), Bind(tree, REPOSITORY, writable=True),
            Bind(report, Path("/var/report"), writable=True), Bind(ARCHIVE), Bind(HEAD),
        ]
        with PrivateRoot(host, Path(folder) / "private", binds=binds) as private:
            python = str(INSIDE / "venv-dev" / "bin" / "python")
            pytest = [python, "-m", "pytest", "-p", "no:cacheprovider", "--basetemp=/var/report/tmp",
                      "-o", "tmp_path_retention_policy=failed", "--junitxml=/var/report/junit.xml", *arguments]
            # The network is that of this host's tests alone; a container's word for it, since namespaces nest.
            environment = {OWN_NETWORK: "container", "PYTHONPATH": str(REPOSITORY / "scripts")}
            with (report / "pytest.log").open("wb") as log:
                in_own_network = [sys.executable, str(NETWORK), *private.command(
                    pytest, environment=environment, cwd=str(REPOSITORY))]
                exit_code = subprocess.run(
                    in_own_network, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode
                facts = [sys.executable, str(NETWORK), *private.command(
                    [python, "-m", "hospital.host_facts"], environment=environment, cwd=str(REPOSITORY))]
                (report / "facts.json").write_bytes(subprocess.run(
                    facts, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, check=False).stdout)
    return _outcome(host, report, exit_code, time.monotonic() - begun)


def _outcome(host: str, report: Path, exit_code: int, seconds: float) -> Outcome:
    passed, skipped, failed = 0, 0, []
    junit = report / "junit.xml"
    cases = ElementTree.parse(junit).iter("testcase") if junit.exists() else iter(())  # noqa: S314 - pytest wrote it
    for case in cases:
        found = {child.tag for child in case}
        if found & {"failure", "error"}:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif "skipped" in found:
            skipped += 1
        else:
            passed += 1
    outcome = Outcome(host, passed, tuple(failed), skipped, round(seconds, 1), exit_code)
    (report / "outcome.json").write_text(json.dumps(outcome.__dict__ | {"whole": outcome.whole}, indent=1) + "\n")
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/hosts", description="Runs tests on the other supported hosts, in root file systems of their own.",
        epilog="Further arguments are pytest's, and choose the tests: scripts/hosts --host trixie -- tests/unit -k spacing")
    parser.add_argument("--host", action="append", choices=list(HOSTS), help="only this one (may be repeated); else: "
                        + " and ".join(OTHERS))
    parser.add_argument("--all", action="store_true", help="every integration, contract and chaos test, not only the chosen ones")
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    arguments = options.arguments or (["tests/integration", "tests/contract", "tests/chaos"] if options.all else list(CHOSEN))
    arguments = ["-m", "not soak and not viewer", "-q", *arguments]

    def on(host: str) -> Outcome:
        print(f"[hosts] {host}: pytest (log: build/hosts/{host}/pytest.log)", flush=True)
        outcome = run_on(host, arguments)
        said = f"{outcome.passed} passed, {len(outcome.failed)} failed, {outcome.skipped} skipped in {outcome.seconds:.0f} s"
        print(f"[hosts] {host}: {said}", *(f"\n[hosts]   {name}" for name in outcome.failed), flush=True)
        if not outcome.whole:
            print((REPORTS / host / "pytest.log").read_text("utf-8", "replace")[-6000:], flush=True)
        return outcome

    hosts = options.host or list(OTHERS)
    try:
        with ThreadPoolExecutor(len(hosts)) as pool:
            outcomes = list(pool.map(on, hosts))
    except HostRootMissing as missing:
        print(f"[hosts] {missing}", file=sys.stderr)
        return 1
    return 0 if all(outcome.whole for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
