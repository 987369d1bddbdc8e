"""The site's settings of what models run on, and in, as the inference room takes them."""

from __future__ import annotations

from pathlib import Path

from vigil.inference.apart.interpreter import find_interpreter
from vigil.inference.apart.sessions import MadeApart
from vigil.inference.providers import Accelerator
from vigil.inference.sessions import SessionMaker, made_here
from vigil.settings import RuntimeSettings


def accelerator_of(settings: RuntimeSettings, engines: Path | None = None) -> Accelerator:
    """``engines``: where TensorRT keeps what it builds; None keeps nothing."""
    return Accelerator(settings.provider, settings.device_id, settings.gpu_memory_limit_mib, settings.tf32, engines)


def maker_of(settings: RuntimeSettings) -> SessionMaker:
    """Raises: NoInterpreter."""
    return made_here if settings.isolation == "none" else MadeApart(find_interpreter())
