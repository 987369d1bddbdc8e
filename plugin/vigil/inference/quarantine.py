"""A marker on disk names the model in flight, so that a death of the process can be laid at its door (law 1).

A model that was in flight at two deaths in a row is quarantined until a person releases it. A run that ends, well or with an
error, leaves no marker, and one that ends well takes back the deaths before it: power cuts months apart do not add up. A
study that kills the process is the first to be taken up after the restart, so its second death follows its first. The process
is Orthanc's, or the model's own where it has one (:mod:`vigil.inference.apart`).

The images of an analysis are read under a marker of the same kind, by the id of the analysis: a file that ends a decoder, and
Orthanc with it, costs that analysis and not the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vigil.domain.answer import Reason
from vigil.domain.errors import Category

DEATHS_ALLOWED = 1


class CrashMarker:
    """``marker``: the file that names the model in flight; ``crashes.json`` beside it counts deaths by model.

    A marker that is there when this is made was left by a process that died. The count is read from disk each time, so
    that a release by another process is seen.
    """

    def __init__(self, marker: Path) -> None:
        self._marker = marker
        self._crashes = _crashes(marker)
        left_over = _read(self._marker).get("model_id")
        if isinstance(left_over, str):
            self.count(left_over)
        self._marker.unlink(missing_ok=True)

    @contextmanager
    def in_flight(self, model_id: str, *, proves: bool = False) -> Iterator[None]:
        """``proves``: whether a good end shows that the model does not end the process. (A session that was made does not.)"""
        _write(self._marker, {"model_id": model_id})
        try:
            yield
            if proves:
                self.release(model_id)
        finally:
            self._marker.unlink(missing_ok=True)

    def count(self, name: str) -> None:
        """One death more while this was in flight."""
        deaths = self._deaths()
        deaths[name] = deaths.get(name, 0) + 1
        _write(self._crashes, deaths)

    def deaths(self, name: str) -> int:
        """How often the process ended while this was in flight, as far as they count; 0 where once is forgiven."""
        counted = self._deaths().get(name, 0)
        return counted if counted > DEATHS_ALLOWED else 0

    def reason(self, model_id: str) -> Reason | None:
        """Why the model is in quarantine; None where it is not."""
        deaths = self.deaths(model_id)
        if not deaths:
            return None
        return Reason(
            Category.MODEL_QUARANTINED,
            f"the process that ran this model ended {deaths} times, so it is in quarantine; look at Orthanc's log, "
            f"then release it (vigil models release {model_id}) and restart Orthanc",
        )

    def release(self, model_id: str) -> None:
        release(self._marker, model_id)

    def _deaths(self) -> dict[str, int]:
        return _deaths(self._crashes)


def release(marker: Path, model_id: str) -> bool:
    """Takes a model out of quarantine, from whichever process. Returns whether deaths were counted against it."""
    crashes = _crashes(marker)
    deaths = _deaths(crashes)
    if deaths.pop(model_id, None) is None:
        return False
    _write(crashes, deaths)
    return True


def quarantined(marker: Path) -> tuple[str, ...]:
    """The models in quarantine, read beside a running Orthanc: nothing is counted and nothing written."""
    return tuple(name for name, count in _deaths(_crashes(marker)).items() if count > DEATHS_ALLOWED)


def _crashes(marker: Path) -> Path:
    return marker.with_name("crashes.json")


def _deaths(crashes: Path) -> dict[str, int]:
    return {name: count for name, count in _read(crashes).items() if isinstance(count, int)}


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(path: Path, content: object) -> None:
    # Whole or not at all: a death between two writes must not leave half a name.
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(content), "utf-8")
    partial.replace(path)
