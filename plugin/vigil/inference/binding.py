"""A run whose outputs stay on the device until they are wanted: on a GPU each is copied once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, RunOptions  # type: ignore[attr-defined]  # exported, though it does not say so


def run_bound(
    session: InferenceSession, feeds: Mapping[str, NDArray[np.number]], outputs: Sequence[str], options: RunOptions, *,
    device: str, device_id: int = 0,
) -> list[NDArray[np.number]]:
    """``outputs`` in their order, as ``session.run`` gives them. ``device``: "cuda" or "cpu", where they are made."""
    binding: Any = session.io_binding()
    for name, values in feeds.items():
        binding.bind_cpu_input(name, np.ascontiguousarray(values))
    for name in outputs:
        binding.bind_output(name, device, device_id)
    bound: Any = session
    bound.run_with_iobinding(binding, options)
    made: list[NDArray[np.number]] = binding.copy_outputs_to_cpu()
    return made
