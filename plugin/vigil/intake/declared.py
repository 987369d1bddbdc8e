"""Counts images as they arrive, to see at once when as many are here as the scanner declared.

Only a hint that it is time to look: what is complete is decided by :mod:`vigil.intake.completeness`, of the whole study.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from vigil.intake.header import ImageHeader

ACQUISITIONS = 500
"""Counted at a time; the one that was longest without an image is forgotten first."""

_Acquisition = tuple[str, int | None, int]


class DeclaredCounts:
    """``least``: declared numbers below it are of no interest. (A step-and-shoot scanner declares 1 on every image.)"""

    def __init__(self, least: int) -> None:
        self._least = max(2, least)
        self._arrived: OrderedDict[_Acquisition, set[str]] = OrderedDict()
        self._lock = Lock()

    def completes(self, header: ImageHeader) -> bool:
        """Notes an image; whether with it the declared number of its acquisition is reached."""
        declared = header.images_in_acquisition
        if declared is None or declared < self._least:
            return False
        acquisition = (header.series_instance_uid, header.acquisition_number, declared)
        with self._lock:
            arrived = self._arrived.setdefault(acquisition, set())
            arrived.add(header.sop_instance_uid)
            self._arrived.move_to_end(acquisition)
            if len(arrived) >= declared:
                del self._arrived[acquisition]
                return True
            while len(self._arrived) > ACQUISITIONS:
                self._arrived.popitem(last=False)
        return False
