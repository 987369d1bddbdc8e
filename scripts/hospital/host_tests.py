"""Runs the tests on the other hosts that Vigil supports: inside each one's root, with its Orthanc, plugin and Python.

Each host has a network of its own, a copy of this working tree as it is now, and nothing of this machine besides but the real
heads, which are data.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hospital.compatibility import PAGE, ReportMissing, write_page
from hospital.ct_head import ARCHIVE
from hospital.host_packages import INSIDE, REPOSITORY, host_packages
from hospital.host_report import read_outcome
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
    "tests/integration/test_isolation.py": "which interpreter is found for a model's process, and what ends with what",
    "tests/integration/test_last_word.py": "the outbox over a restart",
    "tests/integration/test_people.py::test_a_person_acknowledges_by_the_link_and_nobody_else_is_told": "REST routes for people",
    "tests/chaos/test_stops.py": "SIGTERM at the worst moments",
}
"""What continuous integration runs on each of the other hosts, and why: what could differ there. Receivers, sealed messages,
escalation and settings are Vigil's own, the same code over the same sockets; ``--all`` runs them too."""


def run_on(host: str, arguments: Sequence[str]) -> int:
    """pytest with these arguments on this host, and its exit code; its log, its report and the folders of failed tests stay in
    build/hosts."""
    report = REPORTS / host
    shutil.rmtree(report, ignore_errors=True)
    report.mkdir(parents=True)
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
            # The network is that of this host's tests alone, and in there that is a container's.
            environment = {OWN_NETWORK: "container", "PYTHONPATH": str(REPOSITORY / "scripts")}

            def inside(command: Sequence[str]) -> list[str]:
                entered = private.command(command, environment=environment, cwd=str(REPOSITORY))
                return ["env", f"--unset={OWN_NETWORK}", sys.executable, str(NETWORK), *entered]

            with (report / "pytest.log").open("wb") as log, (report / "facts.json").open("wb") as facts:
                asked = [python, "-m", "hospital.host_facts"]
                subprocess.run(inside(asked), stdin=subprocess.DEVNULL, stdout=facts, stderr=log, check=False)
                return subprocess.run(inside(pytest), stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/hosts", description="Runs tests on the other supported hosts, in root file systems of their own.",
        epilog="Further arguments are pytest's, and choose the tests: scripts/hosts --host trixie -- tests/unit -k spacing")
    parser.add_argument("--host", action="append", choices=list(HOSTS), help="only this one (may be repeated); else: "
                        + " and ".join(OTHERS))
    parser.add_argument("--all", action="store_true", help="every integration, contract and chaos test, not only the chosen ones")
    parser.add_argument("--page", action="store_true", help=f"run nothing; write {PAGE} from the reports in build/hosts")
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    arguments = options.arguments or (["tests/integration", "tests/contract", "tests/chaos"] if options.all else list(CHOSEN))
    arguments = ["-m", "not soak and not viewer", "-q", *arguments]

    def on(host: str) -> bool:
        print(f"[hosts] {host}: pytest (log: build/hosts/{host}/pytest.log)", flush=True)
        begun = time.monotonic()
        exit_code = run_on(host, arguments)
        outcome = read_outcome(host, REPORTS / host)
        print(f"[hosts] {host}: {len(outcome.passed)} passed, {len(outcome.failed)} failed, {len(outcome.skipped)} skipped in "
              f"{time.monotonic() - begun:.0f} s", *(f"\n[hosts]   {name}" for name in sorted(outcome.failed)), flush=True)
        if exit_code == 0 and outcome.whole:
            return True
        print((REPORTS / host / "pytest.log").read_text("utf-8", "replace")[-6000:], flush=True)
        return False

    hosts = options.host or list(OTHERS)
    try:
        if options.page:
            print(f"[hosts] Written: {write_page(REPOSITORY, list(HOSTS), REPORTS)}")
            return 0
        with ThreadPoolExecutor(len(hosts)) as pool:
            return 0 if all(list(pool.map(on, hosts))) else 1
    except (HostRootMissing, ReportMissing) as missing:
        print(f"[hosts] {missing}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
