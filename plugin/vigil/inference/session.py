"""One ONNX Runtime session of one network: made and warmed once, at start, since making one holds the interpreter lock."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import (  # type: ignore[attr-defined]  # the package exports them, but does not say so
    InferenceSession,
    RunOptions,
    SessionOptions,
    __version__,
)
from onnxruntime.capi import onnxruntime_pybind11_state as native

from vigil.domain.manifest import Network
from vigil.inference.binding import run_bound
from vigil.inference.errors import InferenceFailed, ModelInvalid, ModelNotLoaded, OutOfMemory
from vigil.inference.leave import Leave
from vigil.inference.providers import NAMES, Accelerator, load_gpu_libraries, told
from vigil.inference.room import insist_it_fits
from vigil.inference.tensor_form import TensorForm

Given = NDArray[np.number] | Mapping[str, NDArray[np.number]]
LOOK_EVERY_S = 0.05

# ONNX Runtime's exceptions have no class of their own in common.
NATIVE_ERRORS: tuple[type[Exception], ...] = (
    native.EPFail, native.EngineError, native.Fail, native.InvalidArgument, native.InvalidGraph, native.InvalidProtobuf,
    native.NoModel, native.NoSuchFile, native.NotFound, native.NotImplemented, native.RuntimeException, RuntimeError, ValueError,
)  # fmt: skip


class NetworkSession:
    """``provider``: "cpu", "cuda" or "tensorrt", as the session itself says, not as it was asked for. ``form``: what it will be
    given.
    ``room_bytes``: what its first run may take. ``warm_shape`` (of one input, where the graph has several) and
    ``warm_outputs``: of that run, on zeros, with as many inputs at a time as the memory held.

    Raises: ModelNotLoaded where the network does not load, or CUDA was asked for, not had, and the CPU not allowed in its
    place; ModelInvalid where inputs and outputs are not those of the manifest; those of :meth:`run`.
    """

    alive = True
    """As long as the process that it is made in."""

    def __init__(
        self, content: bytes, network: Network, form: TensorForm, *, accelerator: Accelerator, threads: int,
        allow_cpu_fallback: bool, room_bytes: int, leave: Leave,
    ) -> None:
        self._network = network
        self._inputs = [network.input or ""] if network.inputs is None else sorted(network.inputs)
        self._accelerator = accelerator
        if accelerator.on_a_gpu:
            load_gpu_libraries()
        wanted = accelerator.providers()
        if NAMES[accelerator.provider] not in [name for name, _ in wanted] and not allow_cpu_fallback:
            raise ModelNotLoaded(_no_gpu(f"the installed ONNX Runtime has no {accelerator.provider.upper()}"))
        options = SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # its messages go to standard error past our log, and may name paths
        # The arena keeps the largest run's memory for good: a bundle in Orthanc's process gives it back.
        options.enable_cpu_mem_arena = False
        # Threads that spin after a run would burn the cores that Orthanc needs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = InferenceSession(content, options, providers=wanted)
        except NATIVE_ERRORS as error:
            if _lacks_memory(error):
                raise OutOfMemory("not enough memory to load the network") from None
            raise ModelNotLoaded(
                f"ONNX Runtime {__version__} does not load the network: {_first_line(error)}; export it again for "
                "this version"
            ) from None
        except MemoryError:
            raise OutOfMemory("not enough memory to load the network") from None
        self._session.disable_fallback()
        self.provider = told(self._session.get_providers())
        if self.provider != accelerator.provider and not allow_cpu_fallback:
            raise ModelNotLoaded(_no_gpu(f"the {accelerator.provider.upper()} provider did not start"))
        self._insist_on_names()
        shapes = {entry.name: form.of_port(entry.name).agreed(entry.name, entry.type, entry.shape)
                  for entry in self._session.get_inputs()}
        self.warm_shape, self.warm_outputs = self._warmed(shapes, form.dtype, room_bytes, leave)

    def describe(self) -> str:
        """For people: what runs the network."""
        return f"ONNX Runtime {__version__} {self.provider.upper()}"

    def run(self, given: Given, leave: Leave) -> Mapping[str, NDArray[np.number]]:
        """The outputs by name. ``given``: a tensor for each input of the graph by its name, or the one tensor. Ends early when
        the leave is over, between two nodes of the graph.

        Raises: Stopping; TimeLimitReached; InferenceFailed; OutOfMemory.
        """
        leave.look()
        options = RunOptions()
        options.log_severity_level = 4
        finished = threading.Event()
        watcher = threading.Thread(target=_terminate_on, args=(leave, finished, options), name="vigil-stop", daemon=True)
        watcher.start()
        feeds = given if isinstance(given, Mapping) else {self._inputs[0]: given}
        try:
            values: Any = self._on_the_device(feeds, options) if self.provider != "cpu" else self._session.run(
                list(self._network.outputs), feeds, options)
        except MemoryError:
            raise OutOfMemory("not enough memory to run the network") from None
        except NATIVE_ERRORS as error:
            if leave.over:
                leave.look()
            if _lacks_memory(error):
                raise OutOfMemory(f"not enough memory to run the network on {self.provider}") from None
            raise InferenceFailed(f"the network stopped with an error: {_first_line(error)}") from None
        finally:
            finished.set()
            watcher.join()
        return dict(zip(self._network.outputs, values, strict=True))

    def _on_the_device(self, feeds: Mapping[str, NDArray[np.number]], options: RunOptions) -> list[NDArray[np.number]]:
        return run_bound(self._session, feeds, self._network.outputs, options, device="cuda",
                         device_id=self._accelerator.device_id)

    def _warmed(
        self, shapes: Mapping[str, tuple[int, ...]], dtype: str, room_bytes: int, leave: Leave
    ) -> tuple[tuple[int, ...], Mapping[str, NDArray[np.number]]]:
        """Fewer inputs at a time where memory does not suffice, down to one; the window is the author's, and stays."""
        batch = shapes[self._inputs[0]][0]
        while True:
            fewer = {name: (batch, *shape[1:]) for name, shape in shapes.items()}
            try:
                insist_it_fits(fewer.values(), room_bytes)
                return fewer[self._inputs[0]], self.run({name: np.zeros(shape, dtype) for name, shape in fewer.items()}, leave)
            except OutOfMemory:
                if batch == 1:
                    raise
                batch //= 2

    def _insist_on_names(self) -> None:
        inputs = {item.name: item for item in self._session.get_inputs()}
        outputs = {item.name for item in self._session.get_outputs()}
        if sorted(inputs) != self._inputs:
            said = f"'{self._network.input}'" if self._network.inputs is None else str(self._inputs)
            raise ModelInvalid(f"the network's inputs are {sorted(inputs)}, and the manifest says {said}")
        if missing := set(self._network.outputs) - outputs:
            raise ModelInvalid(f"the network has no output {sorted(missing)}, which the manifest names; it has {sorted(outputs)}")


def _terminate_on(leave: Leave, finished: threading.Event, options: RunOptions) -> None:
    while not finished.wait(LOOK_EVERY_S):
        if leave.over:
            options.terminate = True
            return


def _lacks_memory(error: Exception) -> bool:
    """ONNX Runtime has no exception of its own for it; its allocators and CUDA say so in words."""
    return re.search(r"bad_alloc|allocat|out of memory", str(error), re.IGNORECASE) is not None


def _no_gpu(why: str) -> str:
    return (
        f"the GPU was asked for and cannot be used: {why}; repair it, or set Runtime.AllowCpuFallback to true, or "
        "Runtime.Provider to \"cpu\""
    )


def _first_line(error: Exception) -> str:
    # Where in ONNX Runtime's source it happened, with a whole signature, tells nobody what to do.
    text = re.sub(r"/onnxruntime_src/.*?\) (?=[A-Z])", "", str(error).strip()).splitlines()
    return text[0][:200] if text else type(error).__name__
