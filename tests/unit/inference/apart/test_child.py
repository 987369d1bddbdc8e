"""What Orthanc makes of a process that does not do as it should: a named error, and an end to it. Nothing of it is believed."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from apart_cases import MEANS, children, graphs_of, leave, misbehaving, opened, wait_for
from inference_cases import installed

import vigil.inference.apart.child as child_module
from vigil.domain.errors import Category, Stopping, VigilError
from vigil.inference.apart.errors import ModelProcessEnded
from vigil.inference.apart.sessions import MadeApart
from vigil.inference.errors import ModelNotLoaded
from vigil.inference.leave import Leave
from vigil.inference.registry import InstalledModel


@pytest.fixture
def model(tmp_path: Path) -> InstalledModel:
    return installed(tmp_path / "models")


def raised(tmp_path: Path, model: InstalledModel, behaviour: str) -> VigilError:
    """What comes of it; nothing is left of the process, and nothing open."""
    make = MadeApart(misbehaving(tmp_path / "bin", behaviour), grace_s=0.2)
    before = opened()
    try:
        make_and_run(make, model)
    except VigilError as raised_by_it:
        error = raised_by_it
    error.__traceback__ = error.__context__ = None
    wait_for(lambda: children() == [] and opened() == before)
    return error


def make_and_run(make: MadeApart, model: InstalledModel) -> None:
    session, = make(graphs_of(model), MEANS, leave())
    session.run(np.zeros((1, 1, 8, 8, 8), np.float32), leave(1.0))


GARBAGE = {
    "nothing-like-it": "ready(); answer(b'\\xff' * 100)",
    "half-a-message": "order = ready(); m = json.dumps(made(order)).encode(); answer(m[:40])",
    "another-number": "order = ready(); answer(made(order, number=7), memory(64))",
    "no-tensors": "order = ready(); answer(made(order))",
    "too-large": "order = ready(); answer(made(order, tensors=[{'name': 'y', 'type': 'float32', 'shape': [1 << 40]}]),"
                 " memory(64))",
    "larger-than-it-is": "order = ready(); answer(made(order, tensors=[{'name': 'y', 'type': 'float32', 'shape': [9999]}]),"
                        " memory(64))",
    "can-be-cut": "order = ready(); answer(made(order), memory(64, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW))",
    "a-pipe": "order = ready(); answer(made(order), os.pipe()[0])",
    "another-answer": "order = ready(); answer({'kind': 'gave', 'number': order['number'], 'tensors': []}, memory(0))",
    "a-long-message": "ready(); answer(b'x' * 70000)",
    "many-descriptors": "order = ready(); m = memory(64); answer(made(order), m, m, m)",
    "ready-twice": "ready(); answer(READY)",
    "stops-unasked": "order = ready(); answer({'kind': 'failed', 'number': order['number'], 'category': 'stopping', "
                     "'message': 'x'})",
    "closes-it": "ready(); end.close()",
}


@pytest.mark.parametrize("behaviour", GARBAGE.values(), ids=GARBAGE)
def test_what_is_no_answer_ends_the_process_and_is_a_named_error(tmp_path: Path, model: InstalledModel, behaviour: str) -> None:
    error = raised(tmp_path, model, behaviour)
    assert isinstance(error, ModelProcessEnded)
    assert error.category is Category.MODEL_PROCESS_ENDED
    assert "tell the model's vendor" in error.message


@pytest.mark.parametrize(("behaviour", "said"), [
    ("ready(); os._exit(3)", "ended by itself (exit code 3)"),
    (f"ready(); os.kill(os.getpid(), {signal.SIGSEGV:d})", "crashed (SIGSEGV)"),
    (f"order = ready(); answer(made(order), memory(64)); end.recv(65536); os.kill(os.getpid(), {signal.SIGKILL:d})",
     "killed from outside (SIGKILL)"),
])
def test_one_that_ends_before_it_has_answered_is_said_to_have(
    tmp_path: Path, model: InstalledModel, behaviour: str, said: str
) -> None:
    error = raised(tmp_path, model, behaviour)
    assert isinstance(error, ModelProcessEnded)
    assert said in error.message


@pytest.mark.parametrize(("behaviour", "said"), [
    ("os._exit(3)", "ended by itself (exit code 3)"), ("answer(b'hello')", "it answered no answer"),
    ("end.close()", "it closed its connection"), (f"os.kill(os.getpid(), {signal.SIGKILL:d})", "killed from outside"),
])
def test_no_model_is_to_blame_for_a_process_that_does_not_start(
    tmp_path: Path, model: InstalledModel, behaviour: str, said: str
) -> None:
    error = raised(tmp_path, model, behaviour)
    assert isinstance(error, ModelNotLoaded)
    assert "did not start" in error.message
    assert said in error.message


def test_an_answer_to_another_order_is_none(tmp_path: Path, model: InstalledModel) -> None:
    error = raised(tmp_path, model, "order = ready(); answer(made(order), memory(64)); order = json.loads(end.recv(65536))\n"
                   "answer(made(order), memory(64))")
    assert "it answered another order" in error.message


def test_one_that_never_answers_is_ended_when_its_time_is_over(tmp_path: Path, model: InstalledModel) -> None:
    error = raised(tmp_path, model, "order = ready(); answer(made(order), memory(64))")
    assert error.category is Category.TIME_LIMIT


def test_one_that_never_starts_is_ended_when_orthanc_stops_or_its_time_is_over(
    tmp_path: Path, model: InstalledModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    make = MadeApart(misbehaving(tmp_path / "bin", ""))
    with pytest.raises(Stopping):
        make(graphs_of(model), MEANS, Leave(stop))
    monkeypatch.setattr(child_module, "START_WITHIN_S", 0.3)
    with pytest.raises(ModelNotLoaded, match="did not start within"):
        make(graphs_of(model), MEANS, leave())
    wait_for(lambda: children() == [])


def test_one_of_another_bundle_is_not_used(tmp_path: Path, model: InstalledModel) -> None:
    error = raised(tmp_path, model, "answer(READY.replace(b'\"vigil\": \"', b'\"vigil\": \"9'))")
    assert isinstance(error, ModelNotLoaded)
    assert "restart Orthanc after an update" in error.message


def test_its_words_hold_no_control_character(tmp_path: Path, model: InstalledModel) -> None:
    error = raised(tmp_path, model, "order = ready(); answer({'kind': 'failed', 'number': order['number'], "
                   "'category': 'inference-failed', 'message': 'one\\n\\x1b[31mtwo\\u202e'})")
    assert error.category is Category.INFERENCE_FAILED
    assert error.message == "one  [31mtwo "


def test_a_library_that_is_missing_there_is_said(tmp_path: Path, model: InstalledModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from apart_cases import PYTHON

    code = child_module.folders_of_the_bundle()[0]
    monkeypatch.setattr(child_module, "folders_of_the_bundle", lambda: (code,))
    with pytest.raises(VigilError, match="the model's process cannot import") as caught:
        MadeApart(PYTHON)(graphs_of(model), MEANS, leave())
    assert caught.value.category is Category.LIBRARY_MISSING
