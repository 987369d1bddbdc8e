"""``scripts/bench``: runs the cases one after the other, tells what they found, and writes the report."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.apart import folder_of, result_of, run_apart
from benchmark.case import CASES, Case, Effort, NotHere
from benchmark.findings import FINDINGS, REPORT, Findings, Report
from benchmark.machine import busy, conditions
from benchmark.plot import bars, draw
from benchmark.report import interval, markdown, shown, splice
from hospital.network import NamespaceUnavailable, enter_namespace
from hospital.orthanc import REPOSITORY

PAGE = REPOSITORY / "docs" / "performance.md"
PICTURE = Path("images") / "bench-stages.png"
REPEATS_QUICK = 3
FAULT, INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if options.list:
        say("\n".join(f"{case.name:20} {case.title}{_when(case)}" for case in CASES))
        return 0
    if options.measure:  # the process of one case, started by the other way below
        return _measure(_named(options.measure), options)
    try:
        enter_namespace()
        return _run(options)
    except NamespaceUnavailable as error:
        print(error, file=sys.stderr)
        return FAULT
    except KeyboardInterrupt:
        say("Stopped; nothing was written.")
        return INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    chosen = [_named(name) for name in options.only] or plain(everything=options.all)
    if warning := busy():
        say(f"\n  ! {warning}\n")
    begun = time.monotonic()
    told = conditions()
    findings = []
    for case in chosen:
        say(f"{case.name}: {case.title} ...")
        findings.append(run_apart(case, options.quick, options.out))
        _tell(findings[-1])
    report = Report(told | {"warning": warning} if warning else told, tuple(findings), options.quick)
    seconds = time.monotonic() - begun
    report = replace(report, conditions={**report.conditions, "took": f"{seconds / 60:.1f} minutes"})
    write(report, options.out, None if options.only or options.quick else PAGE)
    return FAULT if any(item.failed for item in findings) else 0


def _measure(case: Case, options: argparse.Namespace) -> int:
    effort = Effort(REPEATS_QUICK if options.quick else case.repeats, folder_of(case, options.out))
    try:
        found = case.run(effort)
    except NotHere as error:
        raise SystemExit(str(error)) from None
    result_of(case, options.out).write_bytes(FINDINGS.dump_json(found, indent=2))
    return 0


def write(report: Report, out: Path, page: Path | None) -> None:
    """Into ``out``, and between the markers of ``page`` where there is one, with the picture beside it."""
    (out / "report.json").write_bytes(REPORT.dump_json(report, indent=2))
    drawn = bars(report.findings)
    picture = out / PICTURE.name
    if drawn:
        draw(drawn, picture)
    (out / "report.md").write_text(markdown(report, PICTURE.name if drawn else ""), "utf-8")
    say(f"\nReport: {out / 'report.md'}, {out / 'report.json'}" + (f", {picture}" if drawn else ""))
    if page is None:
        say("docs/performance.md is left as it is: only a whole run that is not quick goes there.")
        return
    if drawn:
        shutil.copyfile(picture, page.parent / PICTURE)
    splice(page, markdown(report, str(PICTURE) if drawn else ""))
    say(f"Written into {page}.")


def _tell(findings: Findings) -> None:
    if findings.failed:
        say(f"  not measured: {findings.failed}")
    for figure in findings.figures:
        say(f"  {figure.what}: {shown(figure.estimate, figure.unit)} ({interval(figure.estimate)})")
    for target in findings.targets:
        verdict = "met" if target.met else "MISSED"
        say(f"  {verdict}: {target.what}, {'≤' if target.at_most else '≥'} {target.limit:g} {target.unit}")
    say(f"  {findings.seconds:.0f} s")


def plain(*, everything: bool) -> list[Case]:
    """The cases of a run that names none."""
    return [case for case in CASES if not case.elsewhere and (everything or not case.further)]


def _when(case: Case) -> str:
    if case.elsewhere:
        return " (only where it is named: it needs more than scripts/setup installs)"
    return " (with --all, or named)" if case.further else ""


def _named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", default=[], choices=names)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "bench")
    parser.add_argument("--measure", choices=names, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def say(text: str) -> None:
    print(text, flush=True)
