"""A model's own process ends, and Orthanc does not: what counts, what is done again, and what is not done any more."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from apart_cases import apart, children, misbehaving, running, send_when_running, stubborn, wait_for
from inference_cases import ball, endless, installed, runtime

from vigil.domain.errors import Category, Stopping
from vigil.inference.apart.errors import ModelProcessEnded
from vigil.inference.apart.sessions import MadeApart
from vigil.inference.breaker import Breaker
from vigil.inference.errors import ModelPaused, ModelQuarantined, OutOfMemory, TimeLimitReached

GO = threading.Event()
ROUNDS = 100
"""Of pooling: a few seconds on the ball, during which the process can be ended."""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_first_death_in_a_run_is_survived_and_the_answer_is_the_same(tmp_path: Path, number: signal.Signals) -> None:
    model, deaths = installed(tmp_path / "models", endless(ROUNDS)), list[str]()
    run = apart(tmp_path, deaths=deaths)
    run.load(model)
    first = children()
    sender = send_when_running(number)
    inference = run.run(model, ball(20.0), operating_point="default", stop=GO)
    sender.join()
    assert len(deaths) == 1
    assert number.name in deaths[0]
    assert len(children()) == 1
    assert children() != first
    assert run.quarantine("case") is None
    whole = runtime(tmp_path / "other")
    whole.load(model)
    expected = whole.run(model, ball(20.0), operating_point="default", stop=GO)
    assert inference.answer == expected.answer
    np.testing.assert_array_equal(inference.masks["dense"], expected.masks["dense"])


def test_a_second_death_quarantines_the_model_until_it_is_released(tmp_path: Path) -> None:
    model, deaths = installed(tmp_path / "models", endless(ROUNDS)), list[str]()
    run = apart(tmp_path, deaths=deaths, breaker=Breaker(failures=2))
    run.load(model)
    sender = send_when_running(signal.SIGSEGV, times=2)
    with pytest.raises(ModelProcessEnded, match=r"crashed \(SIGSEGV\).*ended 2 times.*vigil models release case") as caught:
        run.run(model, ball(20.0), operating_point="default", stop=GO)
    sender.join()
    assert caught.value.category is Category.MODEL_PROCESS_ENDED
    assert len(deaths) == 2
    assert children() == []
    with pytest.raises(ModelQuarantined):
        run.run(model, ball(), operating_point="default", stop=GO)
    assert apart(tmp_path).quarantine("case") is not None  # also after a start
    run.release("case")
    assert run.run(model, ball(size=30), operating_point="default", stop=GO).answer


def test_a_death_counts_for_the_breaker(tmp_path: Path) -> None:
    model = installed(tmp_path / "models", endless(ROUNDS))
    run = apart(tmp_path, breaker=Breaker(failures=1))
    run.load(model)
    sender = send_when_running(signal.SIGKILL, times=2)
    with pytest.raises(ModelProcessEnded):
        run.run(model, ball(20.0), operating_point="default", stop=GO)
    sender.join()
    run.release("case")
    with pytest.raises(ModelPaused):
        run.run(model, ball(size=30), operating_point="default", stop=GO)


def test_one_that_ended_between_two_runs_counts_for_nothing(tmp_path: Path) -> None:
    model, deaths = installed(tmp_path / "models"), list[str]()
    run = apart(tmp_path, deaths=deaths)
    run.load(model)
    expected = run.run(model, ball(20.0), operating_point="default", stop=GO).answer
    for _ in range(2):  # two deaths would quarantine it
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: children() == [])
        assert run.run(model, ball(20.0), operating_point="default", stop=GO).answer == expected
    assert deaths == []
    assert run.quarantine("case") is None


def test_a_model_whose_process_ends_while_it_is_loaded_is_tried_twice_and_quarantined(tmp_path: Path) -> None:
    model, deaths = installed(tmp_path / "models"), list[str]()
    ends = MadeApart(misbehaving(tmp_path / "bin", f"ready(); os.kill(os.getpid(), {signal.SIGABRT:d})"))
    run = apart(tmp_path, deaths=deaths, make=ends)
    with pytest.raises(ModelProcessEnded, match=r"crashed \(SIGABRT\).*ended 2 times"):
        run.load(model)
    assert len(deaths) == 2
    assert children() == []
    with pytest.raises(ModelQuarantined):
        apart(tmp_path).load(model)
    run.release("case")
    apart(tmp_path).load(model)


def test_what_the_kernel_ends_for_lack_of_memory_is_no_fault_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes such a process first, whoever took the memory. (Its count is a test's own: it rises at each look.)"""
    counted = iter(range(1000))

    class Rising:
        def read_text(self, *_: str) -> str:
            return f"oom_kill {next(counted)}\n"

    monkeypatch.setattr("vigil.inference.apart.process.VM_STATISTICS", Rising())
    model, deaths = installed(tmp_path / "models", endless(ROUNDS)), list[str]()
    run = apart(tmp_path, deaths=deaths)
    run.load(model)
    sender = send_when_running(signal.SIGKILL, times=2)
    with pytest.raises(OutOfMemory, match="for memory ran out"):
        run.run(model, ball(20.0), operating_point="default", stop=GO)
    sender.join()
    assert len(deaths) == 2
    assert run.quarantine("case") is None
    assert run.run(model, ball(size=30), operating_point="default", stop=GO).answer


def test_one_that_ends_while_orthanc_stops_counts_for_nothing(tmp_path: Path) -> None:
    model, deaths, stop = installed(tmp_path / "models", endless(ROUNDS)), list[str](), threading.Event()
    run = apart(tmp_path, deaths=deaths, grace_s=60.0)
    run.load(model)

    def stops() -> None:
        wait_for(running)
        pid, = running()
        stop.set()
        os.kill(pid, signal.SIGKILL)

    stopper = threading.Thread(target=stops)
    stopper.start()
    with pytest.raises(Stopping):
        run.run(model, ball(20.0), operating_point="default", stop=stop)
    stopper.join()
    assert deaths == []
    assert run.quarantine("case") is None


def test_a_load_ends_when_orthanc_stops(tmp_path: Path) -> None:
    model, stop = installed(tmp_path / "models"), threading.Event()
    never_ready = MadeApart(misbehaving(tmp_path / "bin", "time.sleep(60)"))
    run = apart(tmp_path, make=never_ready)
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(Stopping):
        run.load(model, stop)
    wait_for(lambda: children() == [])
    assert not (tmp_path / "state" / "running.json").exists()


def test_a_run_whose_time_is_over_counts_no_death(tmp_path: Path) -> None:
    model, deaths = installed(tmp_path / "models", stubborn(), time_limit_s=1), list[str]()
    run = apart(tmp_path, grace_s=0.2, deaths=deaths)
    run.load(model)
    for _ in range(2):
        with pytest.raises(TimeLimitReached):
            run.run(model, ball(size=64), operating_point="default", stop=GO)
    assert deaths == []
    assert run.quarantine("case") is None


def test_letting_go_of_the_models_ends_their_processes(tmp_path: Path) -> None:
    model = installed(tmp_path / "models")
    run = apart(tmp_path)
    run.load(model)
    assert len(children()) == 1
    run.keep_only([])
    wait_for(lambda: children() == [])
    run.load(model)
    run.close()
    wait_for(lambda: children() == [])
