"""What Orthanc's Python callbacks wait for us, and how soon work begins: measured inside a real Orthanc, by a site's script.

A callback can start only when the interpreter's lock is free, and so can a thread that sleeps 5 ms again and again and notes how
late it wakes. The machine makes threads late by itself, so the same is measured at the same time in a process of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark import studies
from benchmark.case import Case, Effort
from benchmark.cases.orthanc import SECTION
from benchmark.findings import Figure, Findings, Target
from benchmark.senders import send, shares
from benchmark.statistics import median
from hospital.census import wait_settled
from hospital.hospital import Hospital
from hospital.orthanc import BUNDLE_SCRIPT, REPOSITORY, runtime_site_packages
from hospital.stopwatch import QuietProcess, window

MOST_STALLED_S = 0.020
MOST_TO_START_S = 0.5
SCRIPT = Path(__file__).resolve().parents[1] / "inside_script.py"

NOTE = (
    "Studies of 300 × 512², one after the other, from the first image sent until everything was delivered. Late: by how "
    "much a thread inside Orthanc wakes after its time, and one in a quiet process at the same moment (99th percentile of "
    "a study's some {count} wakings). The difference is what any callback of Orthanc's waits for us. Start of work: from "
    "Orthanc's own call that the study is stable until the task of its analysis begins; the study is read before."
)


def callbacks(case: Case, effort: Effort) -> Findings:
    late: list[float] = []
    quiet_late: list[float] = []
    callback: list[float] = []
    starts: list[float] = []
    with QuietProcess(effort.folder / "quiet.txt") as quiet, _site(effort.folder / "site") as hospital:
        for number in range(effort.repeats):
            study = studies.large_ct(f"{case.name}-{number}")
            folders = shares(effort.folder / f"study-{number}", study.files)
            with window() as when:
                send(folders, hospital.orthanc)
                analysis = wait_settled(hospital, study.study_uid)[0]
            measured: dict[str, Any] = hospital.orthanc.get("/site/measured")
            inside = when.of(measured["late"])
            late.append(inside.p99)
            quiet_late.append(quiet.late(when).p99)
            callback.append(when.of(measured["callbacks"]).p99)
            told = min(moment for moment, name in measured["stable"] if name == analysis["orthanc_study_id"])
            starts.append(min(moment for moment, name in measured["begun"] if name == analysis["analysis_id"]) - told)
    ours = [max(0.0, one - other) for one, other in zip(late, quiet_late, strict=True)]
    figures = (
        Figure.of("a thread inside Orthanc wakes late, p99", "ms", _ms(late)),
        Figure.of("a thread of a quiet process wakes late, p99", "ms", _ms(quiet_late)),
        Figure.of("our OnChange callback takes, p99", "ms", _ms(callback)),
        Figure.of("stable event to start of work", "ms", _ms(starts)),
    )
    targets = (
        Target("Stall of Orthanc's callbacks by ours, p99", 1000 * MOST_STALLED_S, True, "ms", median(_ms(ours))),
        Target("Event to start of work", MOST_TO_START_S, True, "s", median(starts)),
    )
    return Findings(case.name, case.title, NOTE.format(count=inside.count), figures=figures, targets=targets)


def _site(folder: Path) -> Hospital:
    path = [str(runtime_site_packages()), str(BUNDLE_SCRIPT.parent), str(REPOSITORY / "scripts")]
    hospital = Hospital(folder, vigil=SECTION, configuration={"Site": {"Path": path}})
    hospital.orthanc.script = SCRIPT
    return hospital


def _ms(seconds: list[float]) -> list[float]:
    return [1000 * value for value in seconds]
