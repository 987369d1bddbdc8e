from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.findings import FINDINGS, REPORT, Figure, Findings, Report, Target, chain
from benchmark.ours import HEADERS, NOT_COMPARED, PIXELS, POSTPROCESS
from benchmark.plot import bars
from benchmark.report import BEGIN, END, MarkersMissing, markdown, splice, table
from benchmark.statistics import Estimate, median
from benchmark.stopwatch import Laps, Spent


def laps(headers_s: float, pixels_s: float) -> Laps:
    made = Laps()
    for name, seconds in ((HEADERS, headers_s), (PIXELS, pixels_s), (POSTPROCESS, 9.0)):
        made.add(name, Spent(seconds, 2 * seconds))
    return made


@pytest.fixture
def found() -> Findings:
    runs = [laps(0.1, 0.5), laps(0.2, 0.6), laps(0.3, 0.7)]
    missed = Target("Less CPU than the other", 2.5, False, "×", median([1.9, 2.0, 2.1]))
    met = Target("CPU after", 1.5, True, "CPU s", median([1.0, 1.1, 1.2]))
    return Findings(
        "ct", "A CT, from memory", "What was done.", chains=(chain("Vigil", runs, NOT_COMPARED),),
        figures=(Figure.of("Vigil", "CPU s", [0.6, 0.8, 1.0]),), targets=(missed, met), profile="80 % of it in one place",
    )  # fmt: skip


def test_each_target_stands_there_as_met_or_missed_with_its_figure_and_the_missed_one_with_its_profile(found: Findings) -> None:
    text = markdown(Report({"processor": "a machine"}, (found,)))
    assert "| Less CPU than the other | `ct` | ≥ 2.5 × | 2.00 × | 1.90 – 2.10 | **missed** |" in text
    assert "| CPU after | `ct` | ≤ 1.5 CPU s | 1.10 CPU s | 1.00 – 1.20 | met |" in text
    assert "80 % of it in one place" in text
    assert "- processor: a machine" in text
    assert "75 % (n = 3)" in text


def test_a_limit_that_is_just_reached_is_met() -> None:
    at = Estimate(2.5, 2.5, 2.5, 1, 0.0)
    assert Target("", 2.5, False, "", at).met
    assert Target("", 2.5, True, "", at).met
    assert not Target("", 2.51, False, "", at).met


def test_a_case_that_could_not_be_measured_says_why_and_makes_no_figures() -> None:
    failed = Findings("peer", "A peer", "", failed="its wheel does not exist for this Python")
    assert "Not measured: its wheel does not exist for this Python" in markdown(Report({}, (failed,)))


def test_a_quick_run_is_told_as_one(found: Findings) -> None:
    assert "A quick run" in markdown(Report({}, (found,), quick=True))
    assert "A quick run" not in markdown(Report({}, (found,)))


def test_the_report_takes_its_place_again_and_again_and_leaves_the_page_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{BEGIN}\n{END}\n\nKept.\n")
    splice(page, "first")
    splice(page, "second")
    assert page.read_text() == f"# Title\n\n{BEGIN}\n\nsecond\n\n{END}\n\nKept.\n"


def test_a_page_without_a_place_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n{BEGIN}\n")
    with pytest.raises(MarkersMissing, match="put them where the report shall stand"):
        splice(page, "text")
    assert page.read_text() == f"# Title\n{BEGIN}\n"


def test_the_page_in_the_repository_has_a_place() -> None:
    page = (Path(__file__).parents[3] / "docs" / "performance.md").read_text("utf-8")
    assert page.index(BEGIN) < page.index(END)


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(("a",), [("x | y",)]).splitlines()[-1] == "| x \\| y |"


def test_findings_and_reports_come_back_from_json_as_they_were(found: Findings) -> None:
    assert FINDINGS.validate_json(FINDINGS.dump_json(found)) == found
    report = Report({"a": "b"}, (found,))
    assert REPORT.validate_json(REPORT.dump_json(report)) == report


def test_the_picture_shows_the_compared_stages_and_the_interval_of_their_sum(found: Findings) -> None:
    (bar,) = bars([found, Findings("x", "Without stages", "")])
    assert (bar.study, bar.chain) == ("A CT", "Vigil")
    assert bar.segments == ((HEADERS, 0.2), (PIXELS, 0.6))
    assert (bar.total.value, bar.total.low, bar.total.high) == pytest.approx((0.8, 0.6, 1.0))
