"""What can go wrong between Orthanc and the process of a model."""

from __future__ import annotations

from vigil.domain.errors import Category
from vigil.inference.errors import InferenceError


class ModelProcessEnded(InferenceError):
    """The process that ran the networks ended, or had to be ended, before it had answered. ``for_memory``: the kernel ended it
    for lack of memory, whoever took that."""

    category = Category.MODEL_PROCESS_ENDED

    def __init__(self, message: str, *, for_memory: bool = False) -> None:
        super().__init__(message)
        self.for_memory = for_memory


class NoInterpreter(InferenceError):
    """There is no Python on this machine that a process of a model could be started with."""

    category = Category.SETTINGS_INVALID


class Garbled(Exception):
    """What came from the other side is no message, or not one that may come now. Never leaves this package."""


class ChannelClosed(Exception):
    """The other side is gone. Never leaves this package."""
