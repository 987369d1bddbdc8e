"""A case in a process of its own: one that breaks, or takes too long, stands in the report as not measured, with the reason, and
takes no other with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmark.case import Case
from benchmark.findings import FINDINGS, Findings
from hospital.orthanc import REPOSITORY


def run_apart(case: Case, quick: bool, out: Path) -> Findings:
    """Measures a case in a process of its own, ended when it takes too long."""
    folder = folder_of(case, out)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    result, log = result_of(case, out), out / f"{case.name}.log"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-W", "ignore", "-m", "benchmark", "--measure", case.name, "--out", str(out)]
    begun = time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen(
            command + (["--quick"] if quick else []), stdout=file, stderr=file, start_new_session=True, env=environment()
        )
        try:
            process.wait(case.limit_s)
            why = "" if process.returncode == 0 else _last_line(log, f"its process ended with {process.returncode}")
        except subprocess.TimeoutExpired:
            why = f"it took more than {case.limit_s:.0f} s"
        finally:
            _end(process)
    shutil.rmtree(folder, ignore_errors=True)
    seconds = time.monotonic() - begun
    if why:
        return Findings(case.name, case.title, "", failed=why, seconds=seconds)
    return replace(FINDINGS.validate_json(result.read_bytes()), seconds=seconds)


def environment() -> dict[str, str]:
    """In which this package and the product are found."""
    return {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'scripts'}{os.pathsep}{REPOSITORY / 'plugin'}"}


def folder_of(case: Case, out: Path) -> Path:
    """Of the case's own, for as long as it runs."""
    return out / "run" / case.name


def result_of(case: Case, out: Path) -> Path:
    """Where the case's process leaves what it found."""
    return out / f"{case.name}.json"


def _end(process: subprocess.Popen[bytes]) -> None:
    """With everything that it started: they are of its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except (ProcessLookupError, PermissionError):
            return
        except subprocess.TimeoutExpired:
            continue


def _last_line(log: Path, otherwise: str) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else otherwise
