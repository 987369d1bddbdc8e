"""The site's settings of a GPU, as the inference room takes them."""

from __future__ import annotations

from pathlib import Path

from vigil.inference.providers import Accelerator
from vigil.settings import RuntimeSettings


def accelerator_of(settings: RuntimeSettings, engines: Path | None = None) -> Accelerator:
    """``engines``: where TensorRT keeps what it builds; None keeps nothing."""
    return Accelerator(settings.provider, settings.device_id, settings.gpu_memory_limit_mib, settings.tf32, engines)
