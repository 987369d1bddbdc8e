"""Which version is in use, which runs in silence, which was approved by nobody: by what people did, in order."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from inference_cases import package

from vigil.domain.errors import Category
from vigil.inference.registry import InstalledModel, Limit, Registry
from vigil.inference.standing import Standings, State, released_digests
from vigil.records.model_events import Happened, ModelEvent, Use

AT = datetime(2026, 11, 26, tzinfo=UTC)


def two(folder: Path) -> tuple[InstalledModel, InstalledModel]:
    """Version 1.0.0 and version 1.1.0 of one model, side by side."""
    package(folder, "case", version="1.1.0").rename(folder / "case@1.1.0")
    package(folder, "case")
    first, second = Registry(folder).installed()
    return first, second


def happened(what: Happened, model: InstalledModel, use: Use | None = None) -> ModelEvent:
    return ModelEvent(AT, model.model_id, model.version or "", model.sha256 or "", what, "Dr. Ada", use)


def approved(model: InstalledModel, use: Use = Use.MAIN) -> ModelEvent:
    return happened(Happened.APPROVED, model, use)


def main(standings: Standings) -> InstalledModel:
    return standings.running("case")[0]


def test_a_package_that_nobody_approved_stands_with_the_reason_and_what_to_do(tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    found = main(Standings([one], [], ()))
    assert found.problem is not None
    assert found.problem.category is Category.MODEL_NOT_APPROVED
    assert "vigil models approve case" in found.problem.text


def test_a_package_of_the_release_is_approved_by_the_release(tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    (tmp_path / "SHA256SUMS").write_text(f"{one.sha256}  case/manifest.yaml\n")
    standings = Standings([one], [], released_digests(tmp_path))
    assert main(standings).problem is None
    assert (standings.all[0].state, standings.all[0].released, standings.all[0].approval) == (State.APPROVED, True, None)
    assert released_digests(tmp_path / "none") == frozenset()


def test_the_version_that_was_approved_last_is_in_use_and_the_one_before_is_kept(tmp_path: Path) -> None:
    one, two_ = two(tmp_path)
    standings = Standings([one, two_], [approved(one), approved(two_)], ())
    assert standings.running("case") == (two_,)
    assert [(item.use, item.before) for item in standings.all] == [(None, True), (Use.MAIN, False)]


def test_a_rollback_brings_the_version_before_back_and_a_second_has_none(tmp_path: Path) -> None:
    one, two_ = two(tmp_path)
    events = [approved(one), approved(two_), happened(Happened.ROLLED_BACK, one, Use.MAIN)]
    standings = Standings([one, two_], events, ())
    assert standings.running("case") == (one,)
    assert standings.before("case") is None
    assert Standings([one, two_], [*events, approved(two_)], ()).running("case") == (two_,)


def test_a_version_in_silence_runs_beside_the_one_in_use_under_a_name_of_its_own(tmp_path: Path) -> None:
    one, two_ = two(tmp_path)
    live, silent = Standings([one, two_], [approved(one), approved(two_, Use.SHADOW)], ()).running("case")
    assert (live.model_id, live.limit) == ("case", Limit.LIVE)
    assert (silent.model_id, silent.limit, silent.version) == ("case@1.1.0", Limit.SHADOW, "1.1.0")
    standings = Standings([one, two_], [approved(one), approved(two_, Use.SHADOW), approved(two_)], ())
    assert standings.running("case") == (two_,), "it was promoted, and runs once"


def test_what_was_retired_is_off_and_the_version_before_is_in_use(tmp_path: Path) -> None:
    one, two_ = two(tmp_path)
    both = [approved(one), approved(two_)]
    assert Standings([one, two_], [*both, happened(Happened.RETIRED, two_)], ()).running("case") == (one,)
    last = main(Standings([one], [approved(one), happened(Happened.RETIRED, one)], ()))
    assert (last.limit, last.problem) == (Limit.OFF, None)
    again = Standings([one], [approved(one), happened(Happened.RETIRED, one), approved(one)], ())
    assert again.all[0].use is Use.MAIN


def test_a_retired_package_of_the_release_stays_retired(tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    standings = Standings([one], [happened(Happened.RETIRED, one)], {one.sha256 or ""})
    assert (standings.all[0].state, main(standings).limit) == (State.RETIRED, Limit.OFF)


def test_a_manifest_that_was_changed_since_its_approval_is_refused(tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    with (one.folder / "manifest.yaml").open("a") as file:
        file.write("\n# a word\n")
    changed = main(Standings([Registry(tmp_path).installed()[0]], [approved(one)], ()))
    assert changed.problem is not None
    assert changed.problem.category is Category.MODEL_HASH_MISMATCH
    assert changed.manifest is not None, "so that its studies are said to have failed"


def test_nothing_takes_the_place_of_an_approved_version_that_is_gone(tmp_path: Path) -> None:
    one, two_ = two(tmp_path)
    found = main(Standings([two_], [approved(one)], ()))
    assert found.problem is not None
    assert found.problem.category is Category.MODEL_FILE_MISSING
    assert "Dr. Ada" in found.problem.text


def test_a_validation_alone_lets_nothing_run(tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    standings = Standings([one], [happened(Happened.VALIDATED, one)], ())
    assert standings.all[0].state is State.VALIDATED
    assert main(standings).problem is not None
