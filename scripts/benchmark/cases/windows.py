"""Window by window over a volume, beside MONAI's SlidingWindowInferer on the same session."""

# MONAI is not part of the project, and not installed by it.
# mypy: disable-error-code="import-not-found,import-untyped"

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.case import Case, Effort, NotHere
from benchmark.findings import Figure, Findings, Target
from benchmark.networks import u_net
from benchmark.statistics import median, ratio
from benchmark.stopwatch import now
from vigil.domain.manifest import Network
from vigil.domain.manifest.strategy import SlidingWindow
from vigil.inference.forward import Forward
from vigil.inference.leave import Leave
from vigil.inference.providers import Accelerator
from vigil.inference.session import NetworkSession
from vigil.inference.strategy.go_over import go_over
from vigil.inference.tensor_form import TensorForm

Values = NDArray[np.float32]
SHAPE, FEATURES = (128, 160, 160), (8, 16, 32)
RULE = SlidingWindow(kind="sliding-window", window=(64, 64, 64), overlap=0.25, batch=4)
VIGIL, MONAI = "Vigil", "MONAI"
AS_FAST, LARGEST = 1.0, 1e-4
NOTE = (
    "27 windows of 64³ over 128 × 160 × 160 float32 voxels, a quarter overlapping, Gaussian blending, four at a time, a seeded "
    "U-Net of 8, 16 and 32 features, on the CPU; both by the same session, in turns, in one process, after one run each that is "
    "not counted. MONAI is given and gives tensors of PyTorch, which share their memory with numpy's."
)


def beside_monai(case: Case, effort: Effort) -> Findings:
    session = network_session(u_net(FEATURES), Accelerator(), RULE)
    tensor = np.random.default_rng(1).normal(0, 1, (1, *SHAPE)).astype(np.float32)
    ways = {VIGIL: lambda: ours(session, tensor, RULE), MONAI: monai_inferer(session, tensor, RULE)}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    told: dict[str, Values] = {}
    for turn in range(effort.repeats + 1):
        for name, way in ways.items():
            begun = now()
            told[name] = way()
            if turn:  # the first is for warmth
                spent[name].append((now() - begun).wall_s)
    figures = [Figure.of(name, "s", values) for name, values in spent.items()]
    targets = (Target(f"{MONAI} / {VIGIL}", AS_FAST, False, "×", ratio(spent[MONAI], spent[VIGIL])),
               *agreement(told[VIGIL], told[MONAI]))
    note = f"{NOTE} MONAI {version('monai')}, PyTorch {version('torch')}."
    return Findings(case.name, case.title, note, figures=tuple(figures), targets=targets)


def network_session(content: bytes, accelerator: Accelerator, rule: SlidingWindow) -> NetworkSession:
    """Made and warmed as the product does."""
    return NetworkSession(
        content, Network(file="model.onnx", input="image", outputs=("logits",)),
        TensorForm("NCDHW", "float32", (rule.batch, 1, *rule.window)), accelerator=accelerator, threads=2,
        allow_cpu_fallback=False, room_bytes=1 << 40, leave=Leave(threading.Event()))


def ours(session: NetworkSession, tensor: Values, rule: SlidingWindow) -> Values:
    """``tensor``: [1, D, H, W]; the logits, [classes, D, H, W]."""
    forward = Forward(session, "NCDHW", "float32", frozenset({"logits"}), (), Leave(threading.Event()))
    return go_over(tensor, rule, forward).maps["logits"]


def monai_inferer(session: NetworkSession, tensor: Values, rule: SlidingWindow) -> Callable[[], Values]:
    """As people put MONAI in front of ONNX Runtime: by numpy.

    Raises: NotHere.
    """
    torch, inferer = _monai(rule)
    run: Any = session._session  # the very same one

    def predicted(windows: Any) -> Any:
        return torch.from_numpy(run.run(["logits"], {"image": windows.numpy()})[0])

    def way() -> Values:
        with torch.no_grad():
            logits: Values = inferer(torch.from_numpy(tensor[None]), predicted)[0].numpy()
        return logits

    return way


def monai_on_the_gpu(session: NetworkSession, tensor: Values, rule: SlidingWindow, classes: int) -> Callable[[], Values]:
    """As an expert does: windows, outputs and blending stay on the GPU, bound to the session without a copy.

    Raises: NotHere.
    """
    torch, inferer = _monai(rule)
    run: Any = session._session  # the very same one

    def predicted(windows: Any) -> Any:
        windows = windows.contiguous()
        logits = torch.empty((len(windows), classes, *rule.window), dtype=torch.float32, device="cuda")
        binding = run.io_binding()
        binding.bind_input("image", "cuda", 0, np.float32, tuple(windows.shape), windows.data_ptr())
        binding.bind_output("logits", "cuda", 0, np.float32, tuple(logits.shape), logits.data_ptr())
        torch.cuda.synchronize()
        run.run_with_iobinding(binding)
        return logits

    def way() -> Values:
        with torch.no_grad():
            logits: Values = inferer(torch.from_numpy(tensor[None]).cuda(), predicted)[0].cpu().numpy()
        return logits

    return way


def agreement(one: Values, other: Values) -> tuple[Target, ...]:
    """Of two tensors of logits."""
    return (
        Target("voxels whose class differs", 0.0, True, "voxels",
               median([float(np.count_nonzero(one.argmax(axis=0) != other.argmax(axis=0)))])),
        Target("largest difference of a probability", LARGEST, True, "",
               median([float(np.abs(_softmax(one) - _softmax(other)).max())])),
    )


def _softmax(logits: Values) -> Values:
    raised = np.exp(logits - logits.max(axis=0))
    share: Values = raised / raised.sum(axis=0)
    return share


def _monai(rule: SlidingWindow) -> tuple[Any, Any]:
    try:
        import torch
        from monai.inferers import SlidingWindowInferer
    except ImportError as error:
        raise NotHere(f"needs MONAI and PyTorch, some GB that scripts/setup does not install ({error.name} is missing)") from None
    torch.set_num_threads(2)
    return torch, SlidingWindowInferer(
        roi_size=rule.window, sw_batch_size=rule.batch, overlap=rule.overlap, mode="gaussian", sigma_scale=rule.sigma,
        padding_mode="constant", cval=rule.padding, progress=False)
