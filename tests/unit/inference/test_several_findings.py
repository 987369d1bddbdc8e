"""Several findings of one network: each is calibrated and decided for itself, and the answer is of the gravest's kind."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inference_cases import runtime, stored, text_of
from manifest_cases import CODE, SCORE, SENTENCES, classifier, graph, install, looking_aside, manifest, segmentation
from numpy.typing import NDArray
from onnx import helper

from vigil.authoring.acceptance import Machine, accept
from vigil.authoring.golden import named
from vigil.domain.answer import Answer, AnswerKind
from vigil.domain.errors import Category
from vigil.inference.decide import judge
from vigil.inference.errors import NothingToSee
from vigil.inference.golden_file import Golden, golden_bytes
from vigil.inference.manifest_file import parse_manifest
from vigil.inference.registry import InstalledModel
from vigil.inference.several import Told
from vigil.inference.several import answer_of as answer_of_each

SHAPE, SPACING = (6, 24, 24), (2.0, 1.0, 1.5)
EFFUSION = {"value": "2", "scheme": "99T", "meaning": "Effusion"}
FIT = {"kind": "platt", "slope": 0.5, "intercept": 0.0, "fitted_on": "2026-01-01", "cases": 100}
STEEP = {"kind": "temperature", "temperature": 0.5, "fitted_on": "2026-01-01", "cases": 80}
NOBODY = threading.Event()


def two_labels(side: int = 24) -> bytes:
    """Multi-label: the logits of two classes, of the mean of the left and of the right half, with small seeded weights."""
    weights = np.random.default_rng(7).normal(0, 1e-5, (side * side, 2)).astype(np.float32)
    halves = np.arange(side * side).reshape(side, side) % side < side // 2
    weights[halves.ravel(), 0] += 8 / (side * side / 2)
    weights[~halves.ravel(), 1] += 8 / (side * side / 2)
    nodes = [helper.make_node("Flatten", ["image"], ["flat"]), helper.make_node("MatMul", ["flat", "weights"], ["sum"]),
             helper.make_node("Add", ["sum", "bias"], ["logits"])]  # fmt: skip
    return graph(nodes, {"weights": weights, "bias": np.array([-4.0, -4.0], np.float32)}, ["n", 1, side, side],
                 {"logits": ["n", 2]})  # fmt: skip


def parts(**changes: Any) -> dict[str, Any]:
    """The main finding is of the left half, the further one of the right."""
    further = {
        "concept": EFFUSION, "category": CODE, "site": CODE, "measurement": SCORE, "unit": "%", "decided_by": "right",
        "acr_category": 1, "calibration": STEEP, "operating_points": {"default": {"positive": 70.0, "indeterminate": 40.0}},
        **SENTENCES,
    }  # fmt: skip
    return classifier(
        preprocessing={"kind": "tensor", "orientation": "SPL", "shape": [None, 24, 24], "layout": "NCHW",
                       "intensity": [{"step": "window", "centre": 500, "width": 1000}]},
        outputs=[{"kind": "classification", "name": "class", "tensor": "logits", "activation": "sigmoid",
                  "classes": ["left", "right"]}],
        measurements=[{"name": side, "kind": "score", "output": "class", "class_name": side} for side in ("left", "right")],
        calibration=FIT, further_findings=[further | changes.pop("further", {})],
    ) | changes  # fmt: skip


def model_of(folder: Path, **changes: Any) -> InstalledModel:
    return install(folder / "models", {"model.onnx": two_labels()}, **parts(**changes))


def halves(left: float, right: float) -> NDArray[np.float32]:
    values = np.zeros(SHAPE, np.float32)
    values[3, :, :12], values[3, :, 12:] = 1000 * left, 1000 * right
    return values


def answer_of(folder: Path, left: float, right: float) -> Answer:
    model = model_of(folder)
    assert model.problem is None
    running = runtime(folder)
    running.load(model)
    volume = stored(halves(left, right), SPACING, (0, 1, 2), (False,) * 3)
    return running.run(model, volume, operating_point="default", stop=NOBODY).answer


def logistic(logit: float) -> float:
    return 100 / (1 + float(np.exp(-logit)))


def test_a_further_finding_is_positive_where_the_main_one_is_negative(tmp_path: Path) -> None:
    answer = answer_of(tmp_path, 0.25, 0.75)
    assert answer.kind is AnswerKind.POSITIVE
    assert [part.kind for part in answer.parts] == [AnswerKind.NEGATIVE, AnswerKind.POSITIVE]
    main, further = (part.measured for part in answer.parts)
    assert main is not None
    assert further is not None
    # logits of -2 and 2; each by its own fit: half of it, and twice
    assert (main.value, further.value) == (round(logistic(-1.0), 1), round(logistic(4.0), 1))
    (finding,) = answer.findings
    assert (finding.concept.value, finding.kind, finding.acr_category) == ("2", AnswerKind.POSITIVE, 1)
    assert (answer.measured, answer.criterion) == (answer.parts[1].measured, answer.parts[1].criterion)
    assert answer.criterion is not None
    assert answer.criterion.threshold == 70.0
    assert answer.sentence == "Effusion: 98.2 %, at or above 70.0. Test: 26.9 %, below 60.0."


@pytest.mark.parametrize(("left", "right", "kinds", "whole"), [
    (0.25, 0.25, ["negative", "negative"], AnswerKind.NEGATIVE),
    (0.25, 0.5, ["negative", "indeterminate"], AnswerKind.INDETERMINATE),
    (0.5, 0.25, ["indeterminate", "negative"], AnswerKind.INDETERMINATE),
    (0.9, 0.5, ["positive", "indeterminate"], AnswerKind.POSITIVE),
])  # fmt: skip
def test_the_kind_is_the_gravest(tmp_path: Path, left: float, right: float, kinds: list[str], whole: AnswerKind) -> None:
    answer = answer_of(tmp_path, left, right)
    assert [part.kind for part in answer.parts] == kinds
    assert answer.kind is whole
    assert {finding.kind for finding in answer.findings} == {part.kind for part in answer.parts} - {AnswerKind.NEGATIVE}


@pytest.mark.parametrize(("change", "told"), [
    ({"further": {"operating_points": {"other": {"positive": 1.0}}}}, "further_findings[0].operating_points"),
    ({"further": {"concept": CODE}}, "a concept of its own"),
    ({"further": {"decided_by": "left"}}, "decided by a measurement of its own"),
    ({"further": {"decided_by": "none"}}, "further_findings[0].decided_by 'none'"),
    ({"further": {"unit": "mL"}}, "further_findings[0].unit"),
    ({"further": {"measurement": CODE}}, "further_findings[0].measurement"),
    ({"further": {"region": "none"}}, "further_findings[0].region 'none'"),
    ({"further": {"positive": "", "negative": "", "indeterminate": "", "acr_category": None, "measured": "{value}"}},
     "each of several findings decides"),
    ({"golden": [{"name": "a", "file": "model.onnx", "kind": "positive", "value": 1.0}]}, "parts names each finding once"),
    ({"further_findings": []}, "measurement 'right': concept and unit"),
])  # fmt: skip
def test_findings_that_could_not_be_told_apart_are_refused(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    problem = model_of(tmp_path, **change).problem
    assert problem is not None
    assert problem.category is Category.MODEL_INVALID
    assert told in problem.text


def test_one_limit_of_spread_is_refused_for_findings_of_several_units(tmp_path: Path) -> None:
    region = {"name": "volume", "kind": "volume", "region": "spot"}
    further = parts()["further_findings"][0] | {"decided_by": "volume", "unit": "mL", "measurement": CODE, "calibration": None}
    problem = model_of(
        tmp_path, further=further, ensemble={"flips": ["W"], "abstain_above_spread": 5.0},
        measurements=[parts()["measurements"][0], region]).problem  # fmt: skip
    assert problem is not None
    assert "goes with findings of one unit" in problem.text


def test_each_finding_abstains_for_its_own_spread(tmp_path: Path) -> None:
    """Mirrored along W left and right change places: of a right half alone both differ, of two equal halves none."""
    model = model_of(tmp_path, ensemble={"flips": ["W"], "abstain_above_spread": 5.0})
    assert model.problem is None
    running = runtime(tmp_path)
    running.load(model)
    for left, right, kind in ((0.1, 0.9, AnswerKind.INDETERMINATE), (0.9, 0.9, AnswerKind.POSITIVE)):
        volume = stored(halves(left, right), SPACING, (0, 1, 2), (False,) * 3)
        answer = running.run(model, volume, operating_point="default", stop=NOBODY).answer
        assert [part.kind for part in answer.parts] == [kind, kind]
        assert [note.partition(":")[0] for note in answer.notes] == ["Test", "Effusion"]


def test_the_spread_of_each_finding_is_of_its_own_calibrated_score(tmp_path: Path) -> None:
    """The same two logits of both: half of them differ by more than the limit in percent, twice of them, near 100, do not."""
    model = model_of(tmp_path, ensemble={"flips": ["W"], "abstain_above_spread": 4.0})
    running = runtime(tmp_path)
    running.load(model)
    volume = stored(halves(0.7, 0.8), SPACING, (0, 1, 2), (False,) * 3)
    answer = running.run(model, volume, operating_point="default", stop=NOBODY).answer
    flat, steep = (np.std([logistic(factor * logit) for logit in (1.6, 2.4)], ddof=1) for factor in (0.5, 2.0))
    assert flat > 4.0 > steep
    assert [part.kind for part in answer.parts] == [AnswerKind.INDETERMINATE, AnswerKind.POSITIVE]
    assert answer.kind is AnswerKind.POSITIVE
    told = [float(note.partition("differ by ")[2].partition(" ")[0]) for note in answer.notes]
    assert told == pytest.approx([flat, steep], abs=0.05)


def test_a_golden_case_holds_every_finding(tmp_path: Path) -> None:
    volume = stored(halves(0.25, 0.75), SPACING, (0, 1, 2), (False,) * 3)
    case = golden_bytes(Golden({"ct": volume}, {}))
    answer = answer_of(tmp_path, 0.25, 0.75)
    files = {"model.onnx": two_labels(), "case.npz": case}
    content = manifest(files, **parts())
    written = named(text_of(content), "halves", "other.npz", "ab" * 32, answer)
    read = parse_manifest(written.encode())
    (golden,) = read.golden
    assert [(part.finding, part.kind) for part in golden.parts] == [("1", "negative"), ("2", "positive")]
    known = golden.model_dump(mode="json") | {"file": "case.npz"}
    for change, passes in (({}, True), ({"kind": "indeterminate"}, False), ({"value": 20.0}, False)):
        known["parts"][0] |= change
        model = install(tmp_path / f"with {len(change)} {passes} {change}", files, **parts(golden=[known]))
        assert model.problem is None
        done = accept(model, Machine(threads=1, memory_budget_mib=1024))
        assert done.passed is passes, done.said()
        known["parts"] = golden.model_dump(mode="json")["parts"]


def test_a_golden_case_of_several_findings_is_not_passed_by_no_answer(tmp_path: Path) -> None:
    """More of the region is demanded than the images can hold, so nothing is told of any finding."""
    region = {"name": "bright", "output": "parts", "channel": 1, "decide": "argmax", "plausible_ml": {"minimum": 1e6}}
    further = parts()["further_findings"][0] | {
        "decided_by": "number", "unit": "1", "measurement": CODE, "calibration": None,
        "operating_points": {"default": {"positive": 1000.0}}}
    case = {"name": "none", "file": "case.npz", "kind": "negative", "value": 0.0,
            "parts": [{"finding": value, "kind": "negative", "value": 0.0} for value in ("1", "2")]}
    values = np.random.default_rng(3).normal(100, 20, (20, 20, 20)).astype(np.float32)
    golden = golden_bytes(Golden({"ct": stored(values, SPACING, (0, 1, 2), (False,) * 3)}, {}))
    model = install(
        tmp_path, {"model.onnx": looking_aside(), "case.npz": golden}, **segmentation() | {
            "postprocessing": {"kind": "regions", "regions": [region]}, "golden": [case], "further_findings": [further],
            "measurements": [{"name": "volume", "kind": "volume", "region": "bright"},
                             {"name": "number", "kind": "count", "region": "bright"}]})  # fmt: skip
    assert model.problem is None
    done = accept(model, Machine(threads=1, memory_budget_mib=1024))
    assert not done.passed
    assert "'not-analysed'" in done.said()


@pytest.mark.parametrize(("value", "kinds"), [(80.0, ["positive", "not-analysed"]), (50.0, None), (10.0, None)])
def test_where_one_cannot_be_judged_a_positive_of_another_leaves_and_nothing_else(value: float, kinds: list[str] | None) -> None:
    main, further = parse_manifest(text_of(manifest({"model.onnx": b""}, **parts())).encode()).decided
    told = [Told(main, judge(value, main, "default")), Told(further, NothingToSee("its region was not found"))]
    if kinds is None:
        with pytest.raises(NothingToSee):
            answer_of_each(told)
        return
    answer = answer_of_each(told)
    assert [part.kind for part in answer.parts] == kinds
    assert answer.kind is AnswerKind.POSITIVE
    assert "Effusion: not analysed: its region was not found. This is not a negative result." in answer.sentence


def test_what_decides_nothing_is_told_with_the_findings_that_its_region_shows_else_with_the_main_one(tmp_path: Path) -> None:
    regions = [{"name": name, "output": "parts", "channel": channel, "decide": "argmax"}
               for name, channel in (("bright", 1), ("dark", 0))]
    codes = [{"value": value, "scheme": "99T", "meaning": value} for value in ("OF-BRIGHT", "OF-DARK", "SHARE")]
    further = parts()["further_findings"][0] | {
        "decided_by": "number", "unit": "1", "measurement": CODE, "calibration": None,
        "operating_points": {"default": {"positive": 1.0}}}
    model = install(tmp_path, {"model.onnx": looking_aside()}, **segmentation() | {
        "postprocessing": {"kind": "regions", "regions": regions}, "further_findings": [further],
        "operating_points": {"default": {"positive": 0.0}}, "measurements": [
            {"name": "volume", "kind": "volume", "region": "dark"}, {"name": "number", "kind": "count", "region": "bright"},
            {"name": "a", "kind": "longest-diameter", "region": "bright", "concept": codes[0], "unit": "mm"},
            {"name": "b", "kind": "longest-diameter", "region": "dark", "concept": codes[1], "unit": "mm"}]})  # fmt: skip
    assert model.problem is None
    running = runtime(tmp_path)
    running.load(model)
    values = np.random.default_rng(3).normal(100, 20, (20, 20, 20)).astype(np.float32)
    values[6:12, 6:12, 6:12] = 400
    answer = running.run(model, stored(values, SPACING, (0, 1, 2), (False,) * 3), operating_point="default", stop=NOBODY).answer
    assert [[item.concept.value for item in finding.measurements[1:]] for finding in answer.findings] == [
        ["OF-DARK"], ["OF-BRIGHT"]]
