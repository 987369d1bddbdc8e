"""What happens when the process of a model ends and Orthanc does not: as if it had been Orthanc's, and all had started again.

The death counts, and what was under way is done once more at once, by a new process: so the second death follows the first, and
neither another study between the two nor a new start is needed to tell a model that cannot live from one that had bad luck.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from vigil.inference.apart.errors import ModelProcessEnded
from vigil.inference.quarantine import CrashMarker

Done = TypeVar("Done")
TellDeath = Callable[[str, ModelProcessEnded], object]


def survive(model_id: str, attempt: Callable[[], Done], marker: CrashMarker, tell: TellDeath) -> Done:
    """``tell``: is told of each death.

    Raises: ModelProcessEnded where the model is in quarantine now; what ``attempt`` does.
    """
    while True:
        try:
            return attempt()
        except ModelProcessEnded as ended:
            marker.count(model_id)
            tell(model_id, ended)
            if (reason := marker.reason(model_id)) is not None:
                raise ModelProcessEnded(f"{ended.message}. It was the last of several times: {reason.text}") from None
