"""The page of compatibility says what the reports say, and no more."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from hospital.compatibility import TRAPS, HostResult, ReportMissing, compose, write_page
from hospital.host_facts import LIBRARIES, Facts
from hospital.host_report import Outcome, counted, read_outcome
from hospital.host_root import HOSTS

REPOSITORY = Path(__file__).resolve().parents[3]
CASE = '<testcase classname="tests.{0}" name="{1}">{2}</testcase>'


def facts(orthanc: str, plugin: str, python: str, *, labels: bool) -> Facts:
    return Facts(f"Debian GNU/Linux {orthanc}", orthanc, plugin, python, labels, dict.fromkeys(LIBRARIES, "1.0"))


OLD = facts("1.10.1", "4.0", "3.11.2", labels=False)
NEW = facts("1.13.0", "7.1", "3.14.8", labels=True)


def report(folder: Path, *cases: str, lane: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"junit{lane}.xml").write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    return folder


def test_lanes_are_joined_and_only_tests_with_an_orthanc_are_counted(tmp_path: Path) -> None:
    report(tmp_path, CASE.format("integration.test_a", "test_one", ""), CASE.format("unit.test_b", "test_two", ""), lane="-one")
    report(tmp_path, CASE.format("chaos.test_c", "test_three", "<skipped/>"),
           CASE.format("chaos.test_c", "test_four", ""), lane="-two")

    outcome = read_outcome("trixie", tmp_path)

    assert outcome.whole
    assert (counted(outcome.passed), counted(outcome.skipped)) == (2, 1)


def test_a_test_whose_teardown_broke_has_not_passed(tmp_path: Path) -> None:
    report(tmp_path, CASE.format("chaos.test_c", "test_one", ""), CASE.format("chaos.test_c", "test_one", "<error/>"))

    outcome = read_outcome("trixie", tmp_path)

    assert not outcome.whole
    assert not outcome.has_passed("chaos/test_c::test_one")


def test_a_test_has_passed_where_all_its_parameters_have(tmp_path: Path) -> None:
    report(tmp_path, CASE.format("chaos.test_c", "test_one[a]", ""), CASE.format("chaos.test_c", "test_one[b]", "<failure/>"),
           CASE.format("chaos.test_c", "test_two[a]", ""))

    outcome = read_outcome("trixie", tmp_path)

    assert not outcome.has_passed("chaos/test_c::test_one")
    assert outcome.has_passed("chaos/test_c::test_two")
    assert not outcome.has_passed("chaos/test_c::test_three")


def test_a_trap_is_held_where_it_is_and_its_tests_passed() -> None:
    names = frozenset(f"tests.{test.replace('/', '.')}" for trap in TRAPS for test in trap.tests)
    none: frozenset[str] = frozenset()
    page = compose({"old": HostResult(OLD, Outcome("old", names, none, none)),
                    "new": HostResult(NEW, Outcome("new", none, none, none))})

    rows = {line.split("|")[1].strip(): line for line in page.splitlines() if line.startswith("| ")}
    assert rows["No labels before Orthanc 1.12.0."].endswith("| held | – |")
    assert next(row for what, row in rows.items() if what.startswith("A route")).endswith("| – | there |")
    assert next(row for what, row in rows.items() if "stack of 100 KB" in what).endswith("| held | there |")


@pytest.mark.parametrize("case", ["", CASE.format("chaos.test_c", "test_one", "<failure/>")])
def test_no_page_is_written_where_a_host_was_not_tested_or_failed(case: str, tmp_path: Path) -> None:
    report(tmp_path / "trixie", case)
    (tmp_path / "trixie" / "facts.json").write_text(json.dumps(asdict(NEW)))

    with pytest.raises(ReportMissing, match="trixie"):
        write_page(tmp_path, ["trixie"], tmp_path)
    assert not (tmp_path / "docs").exists()


def test_each_test_that_the_page_names_exists() -> None:
    for trap in TRAPS:
        for test in trap.tests:
            file, _, name = test.partition("::")
            assert f"def {name}(" in (REPOSITORY / "tests" / f"{file}.py").read_text(), test


def test_a_recipe_that_changes_makes_another_root() -> None:
    keys = {recipe.key for recipe in HOSTS.values()}
    assert len(keys) == len(HOSTS)
