"""Images are read as they arrive; whatever goes wrong there, the study is read again when it is looked at."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from vigil.domain.errors import Stopping
from vigil.domain.gateway import GatewayError, InstanceRecord
from vigil.imaging.arrived import ArrivedImages
from vigil.intake.declared import DeclaredCounts
from vigil.intake.header import read_header
from vigil.intake.study import HeaderCache
from vigil.pipeline.arrivals import Arrivals
from vigil.pipeline.pace import Pace
from vigil.telemetry.logs import Log
from vigil.telemetry.metrics import Metrics

IMAGES = [dicom_bytes(ds) for ds in ct_series(
    np.zeros((6, 8, 8)), Acquisition("arrivals", spacing_mm=(2.0, 1.0, 1.0), declare_images=True))]


def record(number: int, file_uuid: str = "file") -> InstanceRecord:
    return InstanceRecord(f"image-{number}", f"1.2.{number}", "series", file_uuid)


class Orthanc:
    """Has the images, and fails at those that ``fails`` names."""

    def __init__(self) -> None:
        self.files = list(IMAGES)
        self.fails: dict[str, Exception] = {}
        self.fetched: list[str] = []

    def dicom(self, orthanc_id: str) -> bytes | None:
        self.fetched.append(orthanc_id)
        if orthanc_id in self.fails:
            raise self.fails[orthanc_id]
        number = int(orthanc_id.removeprefix("image-"))
        return self.files[number] if number < len(self.files) else None


class Reading:
    """Arrivals under test."""

    def __init__(self) -> None:
        self.orthanc, self.headers, self.images = Orthanc(), HeaderCache(), ArrivedImages(1 << 20, 60)
        self.stop = threading.Event()
        self.unwanted = [3]
        self.metrics = Metrics()
        self.whole: list[str] = []
        self.arrivals = Arrivals(
            gateway=self.orthanc, headers=self.headers, images=self.images,  # type: ignore[arg-type]
            wanted=lambda header: header.instance_number not in self.unwanted, counts=DeclaredCounts(4),
            whole=self.whole.append, pace=Pace(None, 2, float), stop=self.stop,
            log=Log(logging.getLogger("test-arrivals")), metrics=self.metrics)

    @contextmanager
    def running(self) -> Iterator[None]:
        self.arrivals.start()
        try:
            yield
        finally:
            self.stop.set()
            self.arrivals.join(5)

    def errors(self) -> list[str]:
        return [line for line in self.metrics.exposition().decode().splitlines() if line.startswith("vigil_errors_total{")]


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


@pytest.fixture
def reading() -> Reading:
    return Reading()


def test_the_header_of_every_image_is_known_and_the_pixels_that_are_wanted(reading: Reading) -> None:
    with reading.running():
        for number in range(6):
            reading.arrivals.offer(record(number))
        wait(lambda: len(reading.headers) == 6)
    headers = [reading.headers.of_file(record(number)) for number in range(6)]
    assert [header.instance_number for header in headers if header is not None] == [1, 2, 3, 4, 5, 6]
    held = [reading.images.take(header.orthanc_id, header.content_sha256) for header in headers if header is not None]
    assert [item is not None for item in held] == [True, True, False, True, True, True]


def test_a_file_that_is_known_already_is_not_fetched_and_one_written_over_it_is(reading: Reading) -> None:
    with reading.running():
        for file_uuid in ("first", "first", "second"):
            reading.arrivals.offer(record(0, file_uuid))
            wait(lambda name=file_uuid: reading.headers.of_file(record(0, name)) is not None)  # type: ignore[misc]
        wait(lambda: len(reading.orthanc.fetched) == 2)
    assert reading.orthanc.fetched == ["image-0", "image-0"]


@pytest.mark.parametrize(("fault", "told"), [
    (GatewayError("Orthanc cannot read it"), 'vigil_errors_total{category="storage-failed",room="arrivals"} 1.0'),
    (LookupError("a fault of ours"), 'vigil_errors_total{category="internal",room="arrivals"} 1.0'),
])
def test_an_image_that_cannot_be_read_costs_its_head_start_alone(reading: Reading, fault: Exception, told: str) -> None:
    reading.orthanc.fails["image-1"] = fault
    with reading.running():
        for number in (1, 99, 2):  # 99 was deleted
            reading.arrivals.offer(record(number))
        wait(lambda: reading.headers.of_file(record(2)) is not None and bool(reading.errors()))
    assert reading.errors() == [told]
    assert len(reading.headers) == 1


def test_a_series_that_has_its_declared_number_is_told_once_with_its_last_image(reading: Reading) -> None:
    reading.unwanted = []
    with reading.running():
        for number in range(5):
            reading.arrivals.offer(record(number))
        wait(lambda: len(reading.headers) == 5)
        reading.arrivals.offer(record(2))
        assert reading.whole == []
        reading.arrivals.offer(record(5))
        wait(lambda: bool(reading.whole))
    assert reading.whole == ["series"]


def test_images_that_were_looked_at_before_their_turn_count_too(reading: Reading) -> None:
    reading.unwanted = []
    for number in range(6):
        reading.headers.put(record(number), read_header(f"image-{number}", IMAGES[number]))
    with reading.running():
        for number in range(6):
            reading.arrivals.offer(record(number))
        wait(lambda: bool(reading.whole))
    assert reading.orthanc.fetched == []


def test_a_file_that_is_no_image_is_left_to_whoever_looks_at_the_study(reading: Reading) -> None:
    reading.orthanc.files[1] = b"this is no DICOM file"
    with reading.running():
        reading.arrivals.offer(record(1))
        reading.arrivals.offer(record(2))
        wait(lambda: reading.headers.of_file(record(2)) is not None)
    assert reading.errors() == []


def test_its_threads_end_when_orthanc_stops(reading: Reading) -> None:
    reading.orthanc.fails["image-1"] = Stopping("Orthanc is stopping")
    with reading.running():
        reading.arrivals.offer(record(1))
        reading.arrivals.offer(record(1))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("vigil-arrivals")]
