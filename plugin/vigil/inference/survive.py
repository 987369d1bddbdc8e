"""What happens when the process of a model ends and Orthanc does not: as if it had been Orthanc's, and all had started again.

The death counts, and what was under way is done once more at once, by a new process: so the second death follows the first, and
neither another study between the two nor a new start is needed to tell a model that cannot live from one that had bad luck.

Two kinds of death are not the model's: of a stop, and for lack of memory, for the kernel takes such a process first whoever took
the memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from vigil.inference.apart.errors import ModelProcessEnded
from vigil.inference.errors import OutOfMemory
from vigil.inference.leave import Leave
from vigil.inference.quarantine import CrashMarker

Done = TypeVar("Done")
TellDeath = Callable[[str, ModelProcessEnded], object]


def survive(
    model_id: str, attempt: Callable[[], Done], marker: CrashMarker, tell: TellDeath, stop: threading.Event
) -> Done:
    """``tell``: is told of each death; ``stop``: Orthanc is stopping.

    Raises: ModelProcessEnded where the model is in quarantine now; OutOfMemory at the second death for lack of it; Stopping; what
    ``attempt`` does.
    """
    for_memory = 0
    while True:
        try:
            return attempt()
        except ModelProcessEnded as ended:
            Leave(stop).look()
            tell(model_id, ended)
            if ended.for_memory:
                for_memory += 1
                if for_memory > 1:
                    raise OutOfMemory(ended.message) from None
                continue
            marker.count(model_id)
            if (reason := marker.reason(model_id)) is not None:
                raise ModelProcessEnded(f"{ended.message}. It was the last of several times: {reason.text}") from None
