"""A model's process: what it is given, how it ends, and what is said of its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from apart_cases import MEANS, PYTHON, children, graphs_of, leave, wait_for
from inference_cases import installed

from vigil.inference.apart.channel import Channel
from vigil.inference.apart.child import Child, folders_of_the_bundle
from vigil.inference.apart.process import HowItEnded, ModelProcess
from vigil.inference.apart.sessions import MadeApart
from vigil.inference.errors import ModelNotLoaded


@pytest.fixture
def child() -> Child:
    return Child(PYTHON, most_bytes=1 << 20, leave=leave())


def test_it_is_given_its_socket_and_nothing_else_that_is_open() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    child = Child(PYTHON, most_bytes=1 << 20, leave=leave())
    opened = {link.name: str(link.readlink()) for link in Path(f"/proc/{child.pid}/fd").iterdir()}
    assert {opened.pop(name) for name in ("0", "1", "2")} == {"/dev/null"}
    assert [where.partition(":")[0] for where in opened.values()] == ["socket"]
    os.close(reading)
    os.close(writing)


def test_it_is_given_none_of_the_secrets_in_orthanc_s_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVE_PASSWORD", "not-to-be-seen")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    child = Child(PYTHON, most_bytes=1 << 20, leave=leave())
    environment = Path(f"/proc/{child.pid}/environ").read_bytes()
    assert b"not-to-be-seen" not in environment
    assert b"PYTHONPATH" not in environment
    assert b"CUDA_VISIBLE_DEVICES=1" in environment


def test_the_kernel_takes_it_before_orthanc_and_it_leaves_no_image_of_its_memory(child: Child) -> None:
    place = Path(f"/proc/{child.pid}")
    assert (place / "oom_score_adj").read_text().strip() == "1000"
    limits = (place / "limits").read_text()
    assert next(line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core file size")) == ["0", "0"]
    status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines() if ":" in line)
    assert status["NoNewPrivs"].strip() == "1"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_one_that_ended_between_two_orders_is_not_alive_and_no_zombie(child: Child, number: signal.Signals) -> None:
    assert child.alive
    os.kill(child.pid, number)
    wait_for(lambda: not child.alive)
    assert children() == []


@pytest.mark.parametrize(("how", "said"), [
    (HowItEnded(-signal.SIGKILL), "killed from outside (SIGKILL)"),
    (HowItEnded(-signal.SIGKILL, for_memory=True), "process that ran the model (SIGKILL), for memory ran out"),
    (HowItEnded(-signal.SIGSEGV, for_memory=True), "crashed (SIGSEGV)"),
    (HowItEnded(-signal.SIGABRT), "crashed (SIGABRT)"),
    (HowItEnded(-signal.SIGTERM), "ended by a signal (SIGTERM)"),
    (HowItEnded(-62), "ended by a signal (signal 62)"),
    (HowItEnded(3), "ended by itself (exit code 3)"),
    (HowItEnded(None), "nobody knows how it ended"),
])
def test_how_it_ended_is_said_in_words(how: HowItEnded, said: str) -> None:
    assert said in how.said()


def test_one_that_the_kernel_ended_for_lack_of_memory_is_told_from_one_that_somebody_killed(
    child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel counts them; a test cannot let a machine's memory run out."""
    statistics = tmp_path / "vmstat"
    statistics.write_text("pgfault 7\noom_kill 4\n")
    monkeypatch.setattr("vigil.inference.apart.process.VM_STATISTICS", statistics)
    child._process.remember_memory()
    assert child._process.ended(0) is None
    os.kill(child.pid, signal.SIGKILL)
    assert child._process.ended() == HowItEnded(-9, for_memory=False)
    statistics.write_text("pgfault 9\noom_kill 5\n")
    assert child._process.ended() == HowItEnded(-9, for_memory=True)


def test_it_outlives_the_thread_that_asked_for_it() -> None:
    """Linux ends a child with the thread that started it."""
    found: list[Child] = []
    thread = threading.Thread(target=lambda: found.append(Child(PYTHON, most_bytes=1, leave=leave())))
    thread.start()
    thread.join()
    time.sleep(0.3)
    assert found[0].alive


ORTHANC = """
import os, sys, time
sys.path[:0] = sys.argv[1:]
from apart_cases import PYTHON, leave, stubborn, graphs_of, MEANS
from inference_cases import installed
from vigil.inference.apart.sessions import MadeApart
from pathlib import Path
import numpy as np, tempfile
session, = MadeApart(PYTHON)(graphs_of(installed(Path(tempfile.mkdtemp()), stubborn())), MEANS, leave())
print(session._child.pid, flush=True)
if sys.stdin.readline().strip() == "run":
    session.run(np.zeros((1, 1, 64, 64, 64), np.float32), leave())
time.sleep(60)
"""


@pytest.mark.parametrize("doing", ["nothing", "run"])
def test_nothing_is_left_of_it_when_orthanc_is_killed(doing: str) -> None:
    here = Path(__file__).parent
    orthanc = subprocess.Popen([sys.executable, "-c", ORTHANC, str(here), str(here.parent), *folders_of_the_bundle()],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert orthanc.stdin is not None
    assert orthanc.stdout is not None
    pid = int(orthanc.stdout.readline())
    orthanc.stdin.write(f"{doing}\n")
    orthanc.stdin.flush()
    time.sleep(0.5)
    assert Path(f"/proc/{pid}").exists()
    orthanc.kill()
    orthanc.wait()
    orthanc.stdin.close()
    orthanc.stdout.close()
    wait_for(lambda: not _runs(pid))


def _runs(pid: int) -> bool:
    """A zombie, of which somebody else has to take note, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't create new thread at interpreter shutdown"),
                                   subprocess.SubprocessError("Exception occurred in preexec_fn.")])
def test_a_start_that_fails_in_any_way_is_said_and_no_signal_goes_to_number_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception,
) -> None:
    """Which would be Orthanc itself, and all that was started with it."""
    sent: list[int] = []

    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "Popen", fails)
    monkeypatch.setattr(os, "kill", lambda pid, _: sent.append(pid))
    with pytest.raises(ModelNotLoaded, match=f"cannot be started \\({type(error).__name__}\\)"):
        MadeApart(PYTHON)(graphs_of(installed(tmp_path / "models")), MEANS, leave())
    _, theirs = Channel.pair()
    with pytest.raises(ModelNotLoaded):
        ModelProcess(PYTHON, (), theirs)
    unborn = object.__new__(ModelProcess)
    unborn._lock, unborn._gone, unborn.pid = threading.Lock(), threading.Event(), 0
    unborn.kill()
    assert sent == []


def test_a_stop_of_the_whole_unit_is_left_to_orthanc(child: Child) -> None:
    """systemd sends SIGTERM to every process of a unit."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(child.pid, number)
    assert child._process.ended(0.5) is None
    assert child.alive


def test_a_program_that_cannot_be_started_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoaded, match="cannot be started"):
        MadeApart(tmp_path / "no-python")(graphs_of(installed(tmp_path / "models")), MEANS, leave())
    wait_for(lambda: threading.active_count() == 1)
