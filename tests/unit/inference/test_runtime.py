"""Running a model: its answer, and every way in which it can fail, each by its name."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from inference_cases import (
    OUTPUTS,
    ball,
    endless,
    fails_above,
    half_size,
    installed,
    network,
    not_a_number,
    package,
    runtime,
    thresholds,
)
from manifest_cases import install, looking_aside, segmentation
from onnx import helper

from vigil.domain.answer import AnswerKind
from vigil.domain.errors import Category, Stopping, VigilError
from vigil.inference.breaker import Breaker
from vigil.inference.errors import (
    InferenceFailed,
    ModelHashMismatch,
    ModelInvalid,
    ModelNotLoaded,
    ModelQuarantined,
    OutOfMemory,
)
from vigil.inference.registry import Registry

GO = threading.Event()


@pytest.mark.parametrize(("clot_ml", "kind"), [
    (0.0, AnswerKind.NEGATIVE), (4.0, AnswerKind.INDETERMINATE), (20.0, AnswerKind.POSITIVE),
])  # fmt: skip
def test_a_ball_with_a_clot_is_answered_by_the_clot_s_volume(tmp_path: Path, clot_ml: float, kind: AnswerKind) -> None:
    model, run = installed(tmp_path / "models"), runtime(tmp_path)
    run.load(model)
    answer = run.run(model, ball(clot_ml), operating_point="default", stop=GO).answer
    assert answer.kind is kind
    assert answer.measured is not None
    assert answer.measured.value == pytest.approx(clot_ml, rel=0.05, abs=0.25)


def test_the_operating_point_decides_the_threshold(tmp_path: Path) -> None:
    model, run = installed(tmp_path / "models"), runtime(tmp_path)
    run.load(model)
    answer = run.run(model, ball(4.0), operating_point="early", stop=GO).answer
    assert answer.kind is AnswerKind.POSITIVE
    assert answer.criterion is not None
    assert (answer.criterion.operating_point, answer.criterion.threshold) == ("early", 1.0)
    with pytest.raises(InferenceFailed, match="no operating point 'late'; it has default, early"):
        run.run(model, ball(), operating_point="late", stop=GO)


def test_the_same_volume_gives_the_same_answer_and_mask_again(tmp_path: Path) -> None:
    model, run = installed(tmp_path / "models"), runtime(tmp_path)
    run.load(model)
    one, two = (run.run(model, ball(20.0), operating_point="default", stop=GO) for _ in range(2))
    assert one.answer == two.answer
    np.testing.assert_array_equal(one.masks["dense"], two.masks["dense"])


def test_a_model_that_was_not_loaded_does_not_run(tmp_path: Path) -> None:
    model, run = installed(tmp_path / "models"), runtime(tmp_path)
    with pytest.raises(ModelNotLoaded):
        run.run(model, ball(), operating_point="default", stop=GO)
    run.load(model)
    assert run.describe("case").startswith("ONNX Runtime ")
    assert run.describe("case").endswith(" CPU")
    assert run.describe("other") == "not loaded"
    run.close()
    with pytest.raises(ModelNotLoaded):
        run.run(model, ball(), operating_point="default", stop=GO)


def test_loading_twice_makes_one_session(tmp_path: Path) -> None:
    model, run = installed(tmp_path / "models"), runtime(tmp_path)
    run.load(model)
    (model.folder / "model.onnx").unlink()  # a second reading would fail
    run.load(model)


def test_weights_changed_between_listing_and_loading_are_not_loaded(tmp_path: Path) -> None:
    model, run = installed(tmp_path / "models"), runtime(tmp_path)
    (model.folder / "model.onnx").write_bytes(half_size().SerializeToString())
    with pytest.raises(ModelHashMismatch):
        run.load(model)


def test_a_package_with_a_problem_raises_it_by_its_category(tmp_path: Path) -> None:
    place = package(tmp_path / "models")
    (place / "model.onnx").unlink()
    model = Registry(tmp_path / "models").installed()[0]
    for call in (lambda run: run.load(model), lambda run: run.run(model, ball(), operating_point="default", stop=GO)):
        with pytest.raises(VigilError) as caught:
            call(runtime(tmp_path))
        assert caught.value.category is Category.MODEL_FILE_MISSING


@pytest.mark.parametrize(("model", "changes", "said"), [
    (network([helper.make_node("Identity", ["hu"], [name]) for name in ("inside", "dense")], outputs=("inside", "dense")),
     {}, "has no output ['raised']"),
    (thresholds(), {"network": {"file": "model.onnx", "input": "image", "outputs": list(OUTPUTS)}}, "inputs are ['hu']"),
    (network([helper.make_node("Identity", ["hu"], [name]) for name in OUTPUTS], shape=["h", "w"]), {}, "rank 2"),
], ids=["output", "input", "rank"])  # fmt: skip
def test_a_network_that_is_not_what_its_manifest_says_is_refused(
    tmp_path: Path, model: object, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ModelInvalid) as caught:
        runtime(tmp_path).load(installed(tmp_path / "models", model, **changes))  # type: ignore[arg-type]
    assert said in caught.value.message


def test_a_network_that_onnx_runtime_does_not_load_is_named(tmp_path: Path) -> None:
    model = network([helper.make_node("NoSuchOperator", ["hu"], [name]) for name in OUTPUTS])
    with pytest.raises(ModelNotLoaded, match="does not load the network"):
        runtime(tmp_path).load(installed(tmp_path / "models", model))


def test_cuda_that_is_not_there_is_an_error_unless_the_cpu_may_stand_in(tmp_path: Path) -> None:
    model = installed(tmp_path / "models")
    with pytest.raises(ModelNotLoaded, match="AllowCpuFallback"):
        runtime(tmp_path, provider="cuda").load(model)
    run = runtime(tmp_path, provider="cuda", allow_cpu_fallback=True)
    run.load(model)
    assert run.run(model, ball(), operating_point="default", stop=GO).provider == "cpu"
    assert run.describe("case").endswith(" CPU")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_volume_with_a_value_that_is_no_number_fails(tmp_path: Path, value: float) -> None:
    model, run = installed(tmp_path / "models"), runtime(tmp_path)
    run.load(model)
    volume = ball()
    volume.voxels[30, 30, 30] = value
    with pytest.raises(InferenceFailed, match="no number"):
        run.run(model, volume, operating_point="default", stop=GO)


@pytest.mark.parametrize(("model", "said"), [
    (not_a_number(), "the output 'inside' holds a value that is no number"),
    (half_size(), "the output 'inside' has shape"),
    (fails_above(), "the network stopped with an error"),
], ids=["NaN", "shape", "error"])  # fmt: skip
def test_what_a_network_gives_must_be_a_result(tmp_path: Path, model: object, said: str) -> None:
    found, run = installed(tmp_path / "models", model), runtime(tmp_path)  # type: ignore[arg-type]
    run.load(found)
    with pytest.raises(InferenceFailed) as caught:
        run.run(found, ball(), operating_point="default", stop=GO)
    assert said in caught.value.message
    assert not (tmp_path / "state" / "running.json").exists()


def test_more_than_the_memory_budget_is_refused_before_it_is_taken(tmp_path: Path) -> None:
    model = installed(tmp_path / "models")
    small, large = runtime(tmp_path, memory_budget_mib=16), runtime(tmp_path, memory_budget_mib=64)
    for run in (small, large):
        run.load(model)
    with pytest.raises(OutOfMemory, match="MemoryBudgetMiB"):
        small.run(model, ball(), operating_point="default", stop=GO)
    large.run(model, ball(), operating_point="default", stop=GO)


def test_where_the_budget_holds_fewer_windows_at_a_time_fewer_are_run_and_without_room_for_one_none_is_loaded(
    tmp_path: Path,
) -> None:
    """A window of 16 cubed takes 0.4 MiB with its copies, 64 of them 26; the rest is the volume's."""
    parts = segmentation()
    parts["strategy"] = {**parts["strategy"], "batch": 64}
    model = install(tmp_path / "models", {"model.onnx": looking_aside()}, **parts)
    answers = []
    for budget_mib in (64, 16):
        run = runtime(tmp_path / str(budget_mib), memory_budget_mib=budget_mib)
        run.load(model)
        answers.append(run.run(model, ball(20.0), operating_point="default", stop=GO))
    assert answers[0].answer == answers[1].answer
    assert answers[0].batch is None
    assert answers[1].batch is not None
    assert answers[1].batch < 32
    with pytest.raises(OutOfMemory, match=r"one run of the network would need .* Runtime\.MemoryBudgetMiB"):
        runtime(tmp_path / "0", memory_budget_mib=0).load(model)


def test_a_stop_ends_a_run_in_the_middle_and_counts_no_death(tmp_path: Path) -> None:
    model, run = installed(tmp_path / "models", endless()), runtime(tmp_path)
    run.load(model)
    stop = threading.Event()
    told: list[float] = []

    def tell() -> None:
        told.append(time.monotonic())
        stop.set()

    threading.Timer(0.5, tell).start()
    with pytest.raises(Stopping):
        run.run(model, ball(size=120), operating_point="default", stop=stop)
    assert time.monotonic() - told[0] < 5  # the whole run would take minutes
    assert runtime(tmp_path).quarantine("case") is None


def test_a_stop_also_ends_the_waiting_for_the_run_of_another(tmp_path: Path) -> None:
    model, run = installed(tmp_path / "models", endless()), runtime(tmp_path)
    run.load(model)
    stop, ended = threading.Event(), list[str]()

    def call() -> None:
        try:
            run.run(model, ball(size=120), operating_point="default", stop=stop)
        except Stopping:
            ended.append("stopping")

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert ended == ["stopping"] * 2


def test_a_stop_before_the_run_begins_runs_nothing(tmp_path: Path) -> None:
    model, run = installed(tmp_path / "models"), runtime(tmp_path)
    run.load(model)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopping):
        run.run(model, ball(), operating_point="default", stop=stop)


DIES = """
import os, sys, threading, time
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from inference_cases import ball, runtime
from vigil.inference.registry import Registry
model = Registry(Path(sys.argv[1]) / "models").installed()[0]
run = runtime(Path(sys.argv[1]))
run.load(model)
def die():
    while not (Path(sys.argv[1]) / "state" / "running.json").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), 9)
threading.Thread(target=die).start()
run.run(model, ball(size=120), operating_point="default", stop=threading.Event())
"""


def test_a_model_in_flight_at_two_deaths_is_quarantined_until_it_is_released(tmp_path: Path) -> None:
    model = installed(tmp_path / "models", endless())
    paths = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[3] / "plugin")]
    for deaths in (1, 2):
        done = subprocess.run([sys.executable, "-c", DIES, str(tmp_path), *paths], check=False, timeout=60)
        assert done.returncode == -9
        assert (runtime(tmp_path).quarantine("case") is not None) == (deaths == 2)
    run = runtime(tmp_path)
    for call in (lambda: run.load(model), lambda: run.run(model, ball(), operating_point="default", stop=GO)):
        with pytest.raises((ModelQuarantined, ModelNotLoaded)):
            call()
    run.release("case")
    run.load(model)


def test_a_quarantined_model_that_is_loaded_already_does_not_run(tmp_path: Path) -> None:
    model, run = installed(tmp_path / "models"), runtime(tmp_path)
    run.load(model)
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / "crashes.json").write_text('{"case": 2}')
    with pytest.raises(ModelQuarantined):
        run.run(model, ball(), operating_point="default", stop=GO)


def test_a_model_of_other_weights_than_those_loaded_does_not_run(tmp_path: Path) -> None:
    model, run = installed(tmp_path / "models"), runtime(tmp_path)
    run.load(model)
    assert model.manifest is not None
    other = replace(model, manifest=model.manifest.model_copy(update={"files": {"model.onnx": "1" * 64}}))
    with pytest.raises(ModelNotLoaded):
        run.run(other, ball(), operating_point="default", stop=GO)


def test_a_package_that_was_changed_since_it_was_loaded_is_refused_until_it_is_put_back(tmp_path: Path) -> None:
    model = installed(tmp_path / "models")
    run = runtime(tmp_path)
    run.load(model)
    network = model.folder / "model.onnx"
    kept = network.read_bytes()
    network.write_bytes(kept + b"\0")
    with pytest.raises(VigilError) as refused:
        run.run(model, ball(), operating_point="default", stop=threading.Event())
    assert refused.value.category is Category.MODEL_HASH_MISMATCH
    network.write_bytes(kept)
    assert run.run(model, ball(), operating_point="default", stop=threading.Event()).answer.kind.analysed
    manifest = model.folder / "manifest.yaml"
    manifest.write_text(manifest.read_text() + "# a word\n")
    with pytest.raises(VigilError) as refused:
        run.run(model, ball(), operating_point="default", stop=threading.Event())
    assert refused.value.category is Category.MODEL_HASH_MISMATCH


def test_another_version_in_a_model_s_place_does_not_inherit_its_pause(tmp_path: Path) -> None:
    model = installed(tmp_path / "models")
    run = runtime(tmp_path, breaker=Breaker(failures=1))
    run.load(model)
    with pytest.raises(VigilError):
        run.run(model, replace(ball(), voxels=np.full_like(ball().voxels, np.nan)), operating_point="default",
                stop=threading.Event())
    assert run.quarantine("case") is not None
    run.keep_only([])
    assert run.quarantine("case") is None
    assert run.describe("case") == "not loaded"
