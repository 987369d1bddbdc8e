"""Images that were read and decoded as they arrived, held in memory until their volume is made.

What was done on arrival is not done again: from here a volume is one multiplication a voxel away. What does not fit, or was
never read (Orthanc was started anew), is fetched and decoded when it is needed; the volume is the same.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from threading import Lock

from vigil.imaging.decode import Frames
from vigil.imaging.errors import ImagingError
from vigil.imaging.stored_image import StoredImage
from vigil.intake.header import ImageHeader, header_of
from vigil.intake.part10 import Instance, read_instance


@dataclass(frozen=True, eq=False)
class ArrivedImage:
    """``header``: what intake knows of it. ``head``: its file up to the pixels. ``images``: its pixels, frame by frame."""

    header: ImageHeader
    head: bytes
    images: tuple[StoredImage, ...]

    @property
    def size_bytes(self) -> int:
        return sum(image.pixels.nbytes for image in self.images) + len(self.head)


@dataclass(frozen=True, eq=False)
class _Held:
    arrived: ArrivedImage
    since: float
    used: bool = False


def read_arrived(orthanc_id: str, dicom: bytes, wanted: Callable[[ImageHeader], bool]) -> tuple[ImageHeader, ArrivedImage | None]:
    """The header of a file; with its pixels where they are ``wanted`` and can be decoded. (Where they cannot, the analysis says
    why, when it needs them.)

    Raises: UnreadableInstance.
    """
    instance = read_instance(dicom)
    header = header_of(orthanc_id, instance)
    if not wanted(header):
        return header, None
    try:
        return header, _arrived(header, instance)
    except ImagingError:
        return header, None


def _arrived(header: ImageHeader, instance: Instance) -> ArrivedImage:
    frames = Frames(instance)
    return ArrivedImage(header, instance.head, tuple(frames.image(number) for number in range(1, frames.count + 1)))


class ArrivedImages:
    """By Orthanc id, up to ``capacity_bytes``. An image that a volume was made of goes first when room is needed; one that still
    waits for its volume is never pushed out by a newcomer: the newcomer is read again when it is needed. After ``keep_s`` nobody
    asked for it."""

    def __init__(self, capacity_bytes: int, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity_bytes = capacity_bytes
        self._keep_s = keep_s
        self._clock = clock
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._held_bytes = 0
        self._lock = Lock()

    @property
    def capacity_bytes(self) -> int:
        return self._capacity_bytes

    @property
    def held_bytes(self) -> int:
        return self._held_bytes

    def put(self, arrived: ArrivedImage) -> bool:
        """Whether there was room for it."""
        with self._lock:
            self._drop(arrived.header.orthanc_id)
            self._make_room(arrived.size_bytes)
            if self._held_bytes + arrived.size_bytes > self._capacity_bytes:
                return False
            self._held[arrived.header.orthanc_id] = _Held(arrived, self._clock())
            self._held_bytes += arrived.size_bytes
            return True

    def take(self, orthanc_id: str, content_sha256: str) -> ArrivedImage | None:
        """The image, if it is the one that was chosen. It stays, for another model, for as long as there is room."""
        with self._lock:
            held = self._held.get(orthanc_id)
            if held is None or held.arrived.header.content_sha256 != content_sha256:
                return None
            self._held[orthanc_id] = replace(held, used=True)
            self._held.move_to_end(orthanc_id, last=False)
            return held.arrived

    def forget(self, orthanc_ids: Iterable[str]) -> None:
        """Nobody will ask for these any more."""
        with self._lock:
            for orthanc_id in orthanc_ids:
                self._drop(orthanc_id)

    def expire(self) -> None:
        """Lets go of what was held for ``keep_s``."""
        with self._lock:
            self._expire()

    def _expire(self) -> None:
        limit = self._clock() - self._keep_s
        for orthanc_id in [key for key, held in self._held.items() if held.since < limit]:
            self._drop(orthanc_id)

    def _make_room(self, size_bytes: int) -> None:
        if self._held_bytes + size_bytes > self._capacity_bytes:
            self._expire()
        while self._held and self._held_bytes + size_bytes > self._capacity_bytes:
            orthanc_id, first = next(iter(self._held.items()))
            if not first.used:
                return
            self._drop(orthanc_id)

    def _drop(self, orthanc_id: str) -> None:
        held = self._held.pop(orthanc_id, None)
        if held is not None:
            self._held_bytes -= held.arrived.size_bytes
