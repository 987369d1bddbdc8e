"""Images wait for their volume within a bound, and nothing that waits is lost to a newcomer."""

from __future__ import annotations

import numpy as np
import pytest
from imaging_cases import lopsided, series

from hospital.ct_series import Acquisition, dicom_bytes
from vigil.imaging.arrived import ArrivedImage, ArrivedImages, read_arrived
from vigil.intake.errors import UnreadableInstance

FILES = [dicom_bytes(dataset) for dataset in series(lopsided((4, 20, 14)), Acquisition(seed="arrived", spacing_mm=(2, 1, 1)))]
NAMES = "abcd"


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def image(number: int) -> ArrivedImage:
    arrived = read_arrived(NAMES[number], FILES[number], lambda _: True)[1]
    assert arrived is not None
    return arrived


def take(images: ArrivedImages, number: int) -> ArrivedImage | None:
    return images.take(NAMES[number], image(number).header.content_sha256)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def two(time: Time) -> ArrivedImages:
    """Room for two images."""
    return ArrivedImages(image(0).size_bytes * 5 // 2, keep_s=60, clock=time)


def test_an_image_is_given_to_whoever_chose_it_by_its_content(two: ArrivedImages) -> None:
    held = image(0)
    assert two.put(held)
    assert two.take("a", held.header.content_sha256) is held
    assert two.take("a", held.header.content_sha256) is held, "another model may ask for it"
    assert two.take("a", "other content") is None
    assert two.take("b", held.header.content_sha256) is None


def test_a_newcomer_does_not_push_out_what_waits_for_its_volume(two: ArrivedImages) -> None:
    assert [two.put(image(number)) for number in range(3)] == [True, True, False]
    assert [take(two, number) is not None for number in range(3)] == [True, True, False]
    assert two.held_bytes == image(0).size_bytes + image(1).size_bytes


def test_what_a_volume_was_made_of_makes_room(two: ArrivedImages) -> None:
    two.put(image(0))
    two.put(image(1))
    take(two, 1)
    assert two.put(image(2))
    assert [take(two, number) is not None for number in range(3)] == [True, False, True]


def test_what_nobody_will_ask_for_is_let_go_at_once(two: ArrivedImages) -> None:
    two.put(image(0))
    two.put(image(1))
    two.forget(["b", "never held"])
    assert two.held_bytes == image(0).size_bytes
    assert two.put(image(2))


def test_what_nobody_asked_for_is_let_go(two: ArrivedImages, time: Time) -> None:
    two.put(image(0))
    time.now = 59
    two.expire()
    assert two.held_bytes > 0
    time.now = 61
    two.expire()
    assert two.held_bytes == 0
    assert take(two, 0) is None


def test_what_is_overdue_makes_room_for_a_newcomer(two: ArrivedImages, time: Time) -> None:
    two.put(image(0))
    two.put(image(1))
    time.now = 61
    assert two.put(image(2))


def test_the_same_image_again_takes_its_own_place(two: ArrivedImages) -> None:
    for _ in range(5):
        assert two.put(image(0))
    assert two.held_bytes == image(0).size_bytes


def test_an_image_larger_than_all_the_room_is_left_for_later() -> None:
    images = ArrivedImages(100, keep_s=60)
    assert not images.put(image(0))
    assert images.held_bytes == 0


def test_native_pixels_are_not_copied() -> None:
    assert np.may_share_memory(image(0).images[0].pixels, np.frombuffer(FILES[0], np.uint8))


def test_pixels_that_nobody_may_ask_for_are_not_decoded() -> None:
    header, arrived = read_arrived("a", FILES[0], lambda _: False)
    assert arrived is None
    assert header == image(0).header


def test_pixels_that_cannot_be_decoded_leave_a_header() -> None:
    broken = FILES[0].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")  # says RLE, and is not
    header, arrived = read_arrived("a", broken, lambda _: True)
    assert arrived is None
    assert header.transfer_syntax_uid == "1.2.840.10008.1.2.5"


@pytest.mark.parametrize("keyword", ["Rows", "Columns"])
def test_an_image_of_no_rows_or_columns_leaves_a_header(keyword: str) -> None:
    """Found by the fuzzer: the least of no pixels is a fault of numpy's, and no error of ours."""
    damaged = series(lopsided((1, 8, 8)), Acquisition(seed="damaged", spacing_mm=(1.0, 1.0, 1.0)))[0]
    setattr(damaged, keyword, 0)
    header, arrived = read_arrived("id", dicom_bytes(damaged), lambda _: True)
    assert header.orthanc_id == "id"
    assert arrived is None


def test_a_file_that_cannot_be_read_is_said_so() -> None:
    with pytest.raises(UnreadableInstance):
        read_arrived("a", FILES[0][:-10], lambda _: True)
