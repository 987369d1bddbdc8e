"""Processes of models: those that are there, and programs in their place that misbehave."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference_cases import OUTPUTS, network
from onnx import ModelProto, helper

from vigil.inference.apart.interpreter import find_interpreter
from vigil.inference.apart.sessions import MadeApart
from vigil.inference.leave import Leave
from vigil.inference.providers import Accelerator
from vigil.inference.registry import InstalledModel
from vigil.inference.runtime import Runtime
from vigil.inference.sessions import Graph, Means
from vigil.inference.tensor_form import form_of

PYTHON = find_interpreter()
MEANS = Means(Accelerator(), 1, False, 1 << 30)


def leave(limit_s: float = 60.0) -> Leave:
    return Leave.within(limit_s, threading.Event())


def graphs_of(model: InstalledModel) -> list[Graph]:
    assert model.manifest is not None
    return [Graph(model.read_network(item), item, form_of(model.manifest, item)) for item in model.manifest.networks]


def apart(folder: Path, *, grace_s: float = 2.0, **settings: Any) -> Runtime:
    """A runtime whose models have processes of their own. ``deaths`` are told to the list of that name, where one is given."""
    deaths: list[str] = settings.pop("deaths", [])
    chosen: dict[str, Any] = {
        "provider": "cpu", "threads": 1, "allow_cpu_fallback": False, "memory_budget_mib": 1024,
        "make": MadeApart(PYTHON, grace_s=grace_s), "tell_death": lambda _model, ended: deaths.append(ended.message)}
    return Runtime(**(chosen | settings), marker=folder / "state" / "running.json")


def children() -> list[int]:
    """The processes that this one has started and that are there, zombies included."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found.append(int(entry.name))
    return sorted(found)


def wait_for(what: Callable[[], object], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def send_when_running(number: int, times: int = 1) -> threading.Thread:
    """Sends the signal to a process that has begun to run a volume, and to the next one, so often."""
    def send() -> None:
        ended: set[int] = set()
        for _ in range(times):
            wait_for(lambda: running() - ended)
            for pid in running() - ended:
                ended.add(pid)
                os.kill(pid, number)
    thread = threading.Thread(target=send)
    thread.start()
    return thread


def running() -> set[int]:
    """The processes that hold a tensor of a volume (a network's file, and what warms it, are smaller)."""
    return {pid for pid in children() if any(size > VOLUME_BYTES for size in _tensors(pid))}


VOLUME_BYTES = 500_000


def _tensors(pid: int) -> list[int]:
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return []
    places = [line.split()[0].split("-") for line in lines if "vigil-tensors" in line]
    return [int(end, 16) - int(start, 16) for start, end in places]


def stubborn() -> ModelProto:
    """One node that takes a minute on a volume of 64 cubed, and hears of no end (and next to nothing on the warm-up's)."""
    nodes = [helper.make_node("MaxPool", ["hu"], ["pool"], kernel_shape=[63] * 3, pads=[31] * 6, dilations=[1, 1, 1])]
    return network([*nodes, *(helper.make_node("Identity", ["pool"], [name]) for name in OUTPUTS)])


MISBEHAVES = """#!{python} -IS
import os, socket, sys, time, json, mmap, fcntl
sys.path[:0] = sys.argv[7:]
end = socket.socket(fileno=int(sys.argv[5]))
READY = json.dumps({{"kind": "ready", "number": 0, "python": "%d.%d" % sys.version_info[:2], "vigil": "{version}"}}).encode()
def memory(size, seals=fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW):
    descriptor = os.memfd_create("m", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor
def ready():
    end.send(READY)
    return json.loads(end.recv(65536))
def answer(message, *descriptors):
    socket.send_fds(end, [message if isinstance(message, bytes) else json.dumps(message).encode()], list(descriptors))
def made(order, **changes):
    head = {{"name": "y", "type": "float32", "shape": [16]}}
    return {{"kind": "made", "number": order["number"], "provider": "cpu", "described": "x", "warm_shape": [1],
            "tensors": [head]}} | changes
{behaviour}
time.sleep(60)
"""


def misbehaving(folder: Path, behaviour: str) -> Path:
    """A program that is started in the interpreter's place."""
    import vigil

    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "python"
    program.write_text(MISBEHAVES.format(python=PYTHON, behaviour=behaviour, version=vigil.__version__))
    program.chmod(0o755)
    return program


def opened() -> int:
    """How many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
