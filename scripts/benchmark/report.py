"""The report as Markdown, and its place in docs/performance.md: between two markers, everything around them left alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.findings import Chain, Figure, Findings, Report, Target
from benchmark.statistics import Estimate

BEGIN = "<!-- scripts/bench writes from here -->"
END = "<!-- scripts/bench writes to here -->"


class MarkersMissing(Exception):
    """The page has no place for the report."""


def splice(page: Path, text: str) -> None:
    """Puts the report between the markers of a page.

    Raises: MarkersMissing.
    """
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MarkersMissing(f"{page} lacks the lines '{BEGIN}' and '{END}'; put them where the report shall stand")
    page.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}", "utf-8")


def markdown(report: Report, picture: str = "") -> str:
    """The whole report. ``picture``: address of the plot of the stages, relative to the page; empty: there is none."""
    parts = [_conditions(report), _targets(report.findings)]
    if picture:
        parts.append(f"![CPU seconds by stage: Vigil beside the straightforward chain]({picture})")
    parts += [_case(findings) for findings in report.findings]
    return "\n\n".join(part for part in parts if part) + "\n"


def shown(estimate: Estimate, unit: str = "") -> str:
    """"1.23 CPU s", with as many digits as the interval makes sense of."""
    return f"{_number(estimate.value)} {unit}".strip()


def interval(estimate: Estimate) -> str:
    if estimate.count == 1:
        return "one value"
    return f"{_number(estimate.low)} – {_number(estimate.high)}"


def _conditions(report: Report) -> str:
    lines = [f"- {name}: {value}" for name, value in report.conditions.items()]
    how = (
        "Medians, with the interval of order statistics in which the true median lies, whatever the distribution: with "
        f"{_coverage(report.findings)}. Ratios are medians of pairs measured one right after the other, in this run alone. "
        "`CPU s` is user and system time of all threads."
    )
    if report.quick:
        how += " **A quick run: fewer repeats, so wider intervals than the page's figures should have.**"
    return "\n".join(["Measured by `scripts/bench`.", "", *lines, "", how])


def _coverage(findings: Iterable[Findings]) -> str:
    """In how many of a hundred runs; by the counts that the medians of this report have."""
    estimates = [figure.estimate for item in findings for figure in item.figures if figure.estimate.count > 1]
    counts = sorted({(estimate.count, round(100 * estimate.coverage, 1)) for estimate in estimates})
    return "; ".join(f"{percent:g} % (n = {count})" for count, percent in counts) or "no certainty (n = 1)"


def _targets(findings: Iterable[Findings]) -> str:
    rows = [_target(item, target) for item in findings for target in item.targets]
    if not rows:
        return ""
    return table(("target", "case", "limit", "measured", "interval", ""), rows)


def _target(findings: Findings, target: Target) -> list[str]:
    limit = f"{'≤' if target.at_most else '≥'} {target.limit:g} {target.unit}"
    verdict = "met" if target.met else "**missed**"
    return [
        target.what, f"`{findings.case}`", limit, shown(target.estimate, target.unit), interval(target.estimate), verdict,
    ]  # fmt: skip


def _case(findings: Findings) -> str:
    parts = [f"### {findings.title}", ""]
    if findings.failed:
        return "\n".join([*parts, f"Not measured: {findings.failed}"])
    parts.append(findings.note)
    if findings.chains:
        parts += ["", _stages(findings.chains)]
    if findings.figures:
        parts += ["", _figures(findings.figures)]
    if findings.profile:
        parts += ["", *_folded("Missed: where the time goes", findings.profile)]
    return "\n".join(parts)


def _folded(title: str, text: str) -> list[str]:
    return [f"<details><summary>{title}</summary>", "", "```", text, "```", "", "</details>"]


def _stages(chains: Sequence[Chain]) -> str:
    """CPU seconds by stage, a column a chain."""
    names = list(dict.fromkeys(stage.name for chain in chains for stage in chain.stages))
    by_name = [{stage.name: stage for stage in chain.stages} for chain in chains]
    rows = [
        [name, *(f"{_number(stages[name].cpu_s.value)}" if name in stages else "–" for stages in by_name)] for name in names
    ]
    return table(("stage, CPU s", *(chain.name for chain in chains)), rows)


def _figures(figures: Sequence[Figure]) -> str:
    rows = [[figure.what, shown(figure.estimate, figure.unit), interval(figure.estimate)] for figure in figures]
    return table(("what", "median", "interval"), rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar in a cell does not end it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _number(value: float) -> str:
    """Three digits, and no powers of ten."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    digits = 2 if abs(value) < 10 else 1
    return f"{value:.{digits if abs(value) >= 0.1 else 3}f}"
