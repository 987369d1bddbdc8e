"""Images are read and decoded as they arrive, in threads of ours, so that a study that is complete is in memory already.

Only a head start: an image that was not read here (it came too fast, there was no room, Orthanc has been started anew) is read
when it is needed, with the same result. So nothing here is durable, and nothing waits for it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from vigil.domain.errors import Category, Stopping
from vigil.domain.gateway import Gateway, GatewayError, InstanceRecord
from vigil.imaging.arrived import ArrivedImages, read_arrived
from vigil.intake.declared import DeclaredCounts
from vigil.intake.errors import UnreadableInstance
from vigil.intake.header import ImageHeader
from vigil.intake.study import HeaderCache
from vigil.pipeline.pace import Pace
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

WORKERS = 2
CAPACITY = 20_000
"""Images that wait to be read; beyond it the oldest are left for later."""
LOOK_EVERY_S = 1.0


class Arrivals:
    """``headers`` and ``images`` are filled. ``wanted``: whether a model may ask for the pixels of such an image. ``counts``: of
    the images that are wanted; ``whole``: called with the Orthanc id of a series that has its declared number."""

    def __init__(
        self, *, gateway: Gateway, headers: HeaderCache, images: ArrivedImages, wanted: Callable[[ImageHeader], bool],
        counts: DeclaredCounts, whole: Callable[[str], None], pace: Pace, stop: threading.Event, log: Log, metrics: Metrics,
    ) -> None:
        self._gateway = gateway
        self._headers = headers
        self._images = images
        self._wanted = wanted
        self._counts = counts
        self._whole = whole
        self._pace = pace
        self._stop = stop
        self._log = log
        self._metrics = metrics
        self._waiting: deque[InstanceRecord] = deque(maxlen=CAPACITY)
        self._offered = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._work, name=f"vigil-arrivals-{number}", daemon=True)
                         for number in range(1, WORKERS + 1)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, timeout_s: float) -> None:
        """After ``stop`` was set."""
        deadline = time.monotonic() + timeout_s
        for _ in self._threads:
            self._offered.release()
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))

    def offer(self, record: InstanceRecord) -> None:
        """An image has arrived: never waits."""
        self._waiting.append(record)
        self._offered.release()

    def _work(self) -> None:
        while not self._stop.is_set():
            if not self._offered.acquire(timeout=LOOK_EVERY_S):
                self._images.expire()
                continue
            begun = time.thread_time()
            try:
                self._read_next()
            except Stopping:
                return
            except GatewayError as error:  # the analysis asks again
                self._metrics.error("arrivals", error.category.value)
            except Exception as error:  # noqa: BLE001 - the edge of a thread: a fault here costs the head start, and is seen
                self._metrics.error("arrivals", Category.INTERNAL.value)
                self._log.error("arrival-broke", exception=error)
            self._pace.rest(time.thread_time() - begun, self._stop)

    def _read_next(self) -> None:
        try:
            record = self._waiting.popleft()
        except IndexError:  # dropped, for there were too many
            return
        if (known := self._headers.of_file(record)) is not None:  # the study was looked at before its turn came
            self._count(record, known)
            return
        dicom = self._gateway.dicom(record.orthanc_id)
        if dicom is None:
            return
        with self._metrics.stage("arrival"):
            try:
                header, arrived = read_arrived(record.orthanc_id, dicom, self._wanted)
            except UnreadableInstance:
                return  # told when the study is looked at
            if arrived is not None:
                self._images.put(arrived)
            self._headers.put(record, header)
        self._count(record, header)

    def _count(self, record: InstanceRecord, header: ImageHeader) -> None:
        if self._wanted(header) and self._counts.completes(header):
            self._whole(record.series_orthanc_id)
