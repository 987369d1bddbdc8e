"""What runs the networks: the execution providers of ONNX Runtime, with options that are set on purpose.

Those of the CUDA provider, and why (https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html):

- ``cudnn_conv_algo_search`` HEURISTIC: EXHAUSTIVE tries every algorithm at the first run of a shape and costs a start its
  seconds, DEFAULT falls into a slow one for some 3D convolutions.
- ``arena_extend_strategy`` kSameAsRequested: the default doubles what it asks for, and never gives it back.
- ``gpu_mem_limit``: the site's own (Runtime.GpuMemoryLimitMiB), where the GPU does other work too.
- ``use_tf32`` 0: with 10 bits of mantissa a score near its threshold may fall on its other side than on the CPU. A site may allow
  it (Runtime.Tf32).

The TensorRT provider keeps the engines that it builds, for that takes minutes; what it cannot run CUDA does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from onnxruntime import get_available_providers, preload_dlls  # type: ignore[attr-defined]  # it does not say that it exports them

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
NAMES = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}

Options = dict[str, str]


@dataclass(frozen=True)
class Accelerator:
    """What the site asks for. ``provider``: "cpu", "cuda" or "tensorrt". ``memory_limit_mib``: of the GPU; None for all of it.
    ``engines``: a folder for TensorRT's engines."""

    provider: str = "cpu"
    device_id: int = 0
    memory_limit_mib: int | None = None
    tf32: bool = False
    engines: Path | None = None

    @property
    def on_a_gpu(self) -> bool:
        return self.provider != "cpu"

    def providers(self, available: Sequence[str] | None = None) -> list[tuple[str, Options]]:
        """In the order in which a session shall try them; those that the installed ONNX Runtime lacks are left out."""
        offered = get_available_providers() if available is None else available
        wanted = {"cpu": [CPU], "cuda": [CUDA, CPU], "tensorrt": [TENSORRT, CUDA, CPU]}[self.provider]
        options = {CPU: dict[str, str](), CUDA: self._cuda(), TENSORRT: self._tensorrt()}
        return [(name, options[name]) for name in wanted if name in offered]

    def _cuda(self) -> Options:
        options = {
            "device_id": str(self.device_id), "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "1" if self.tf32 else "0",
        }
        if self.memory_limit_mib is not None:
            options["gpu_mem_limit"] = str(self.memory_limit_mib << 20)
        return options

    def _tensorrt(self) -> Options:
        options = {"device_id": str(self.device_id), "trt_fp16_enable": "0"}
        if self.engines is not None:
            options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(self.engines)}
        return options


@cache
def load_gpu_libraries() -> None:
    """Those of CUDA and cuDNN that pip installed beside ONNX Runtime (the extra "cuda") lie where no linker looks for them; the
    system's own are taken where there are none."""
    if CUDA in get_available_providers():
        preload_dlls()


def told(got: Sequence[str]) -> str:
    """Of a session's own providers the one that counts: "tensorrt", "cuda" or "cpu"."""
    return next((name for name in ("tensorrt", "cuda") if NAMES[name] in got), "cpu")
