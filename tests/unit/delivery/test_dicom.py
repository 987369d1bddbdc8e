"""C-STORE to dcmtk's receivers, well-behaved and not."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from encoded_objects import binary_segmentation, capture, outgoing, picture, report
from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless
from pynetdicom import build_context
from pynetdicom.association import Association

from hospital.ct_series import Acquisition, ct_series, dicom_bytes
from hospital.network import free_port
from hospital.pacs import ArchivePacs, ChoosyPacs, Pacs, SilentNode
from vigil.delivery.association import Conversation
from vigil.delivery.destination import PacsDestination
from vigil.delivery.dicom import VERIFICATION, OutgoingObject, echo, send
from vigil.delivery.errors import (
    DestinationAborted,
    DestinationInvalid,
    DestinationRefused,
    DestinationSilent,
    DestinationUnreachable,
    MessageInvalid,
)
from vigil.domain.errors import Stopping
from vigil.results.viewer_profile import PROFILES, Encoding


def make_objects(count: int = 3, size: int = 32, compressed: bool = False) -> list[OutgoingObject]:
    pixels = np.arange(count * size * size).reshape(count, size, size) % 900
    made = []
    for dataset in ct_series(pixels, Acquisition(seed="delivery", spacing_mm=(5.0, 1.0, 1.0))):
        if compressed:
            dataset.compress(RLELossless)
        made.append(OutgoingObject(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), dicom_bytes(dataset)))
    return made


OBJECTS = make_objects()


def destination(port: int, *, aet: str = "PACS", timeout_s: float = 5.0, calling_aet: str = "VIGIL") -> PacsDestination:
    return PacsDestination(
        "main", "127.0.0.1", port, aet, calling_aet=calling_aet, timeout_s=timeout_s, connect_timeout_s=2.0
    )


class Heard:
    """The statuses as they were reported."""

    def __init__(self) -> None:
        self.statuses: list[tuple[str, int, str]] = []

    def __call__(self, uid: str, status: int, text: str) -> None:
        self.statuses.append((uid, status, text))


def test_a_pacs_takes_every_object_and_keeps_its_pixels(tmp_path: Path, stop: threading.Event) -> None:
    heard = Heard()
    with Pacs(tmp_path / "pacs", unique_names=True) as pacs:
        outcome = send(destination(pacs.port), OBJECTS, heard, stop)
        stored = [dcmread(path) for path in pacs.objects()]
    assert outcome.complete
    assert heard.statuses == [(item.sop_instance_uid, 0, "success") for item in OBJECTS]
    sent = {item.sop_instance_uid: dcmread(BytesIO(item.dicom)) for item in OBJECTS}
    assert len(stored) == len(sent)
    for dataset in stored:
        assert dataset == sent[dataset.SOPInstanceUID]


def test_compressed_objects_travel_as_they_are(tmp_path: Path, stop: threading.Event) -> None:
    with Pacs(tmp_path / "pacs", options=("--accept-all",)) as pacs:
        assert send(destination(pacs.port), make_objects(compressed=True), Heard(), stop).complete
        assert {dcmread(path).file_meta.TransferSyntaxUID for path in pacs.objects()} == {RLELossless}


def test_a_pacs_that_knows_only_implicit_vr_gets_implicit_vr(tmp_path: Path, stop: threading.Event) -> None:
    with Pacs(tmp_path / "pacs", options=("--implicit",)) as pacs:
        assert send(destination(pacs.port), OBJECTS, Heard(), stop).complete
        assert len(pacs.objects()) == len(OBJECTS)


def test_an_object_that_the_pacs_cannot_take_is_named_and_the_others_go(tmp_path: Path, stop: threading.Event) -> None:
    heard = Heard()
    mixed = [*make_objects(1, compressed=True), *OBJECTS[1:]]
    with Pacs(tmp_path / "pacs") as pacs:
        outcome = send(destination(pacs.port), mixed, heard, stop)
        assert len(pacs.objects()) == 2
    assert [item.sop_instance_uid for item in outcome.refused] == [mixed[0].sop_instance_uid]
    assert heard.statuses[0][1] == 0xC122, "it takes the kind, and not this transfer syntax"
    assert "CT Image Storage" in heard.statuses[0][2]
    assert not outcome.complete


def test_a_pacs_that_takes_no_object_of_the_kind_has_refused(tmp_path: Path, stop: threading.Event) -> None:
    with Pacs(tmp_path / "pacs") as pacs, pytest.raises(DestinationRefused, match="CT Image Storage"):
        send(destination(pacs.port), make_objects(compressed=True), Heard(), stop)


def test_a_pacs_that_refuses_associations_is_named(tmp_path: Path, stop: threading.Event) -> None:
    with Pacs(tmp_path / "pacs", options=("--refuse",)) as pacs, pytest.raises(DestinationRefused, match="rejected"):
        send(destination(pacs.port), OBJECTS, Heard(), stop)


def test_a_wrong_called_title_is_explained(tmp_path: Path, stop: threading.Event) -> None:
    with ArchivePacs(tmp_path / "archive") as pacs:
        send(destination(pacs.port, aet="ARCHIVE"), OBJECTS, Heard(), stop)
        assert len(pacs.objects()) == len(OBJECTS)
        with pytest.raises(DestinationRefused, match=r"does not know 'WRONG'.*correct 'aet'"):
            send(destination(pacs.port, aet="WRONG"), OBJECTS, Heard(), stop)


def test_a_pacs_that_does_not_know_us_says_so(tmp_path: Path, stop: threading.Event) -> None:
    with ArchivePacs(tmp_path / "archive") as pacs, pytest.raises(DestinationRefused, match="'STRANGER'"):
        send(destination(pacs.port, aet="ARCHIVE", calling_aet="STRANGER"), OBJECTS, Heard(), stop)


@pytest.mark.parametrize(("name", "syntax", "program"), [
    ("RLELossless", RLELossless, "dcmdrle"), ("JPEGLSLossless", JPEGLSLossless, "dcmdjpls"),
    ("JPEG2000LosslessOnly", JPEG2000Lossless, None),
])
def test_a_pacs_that_takes_images_in_one_compression_only_gets_them_so_with_every_pixel(
    name: str, syntax: UID, program: str | None, tmp_path: Path, stop: threading.Event
) -> None:
    takes = {"SecondaryCaptureImageStorage": (name,), "Comprehensive3DSRStorage": ("LittleEndianImplicit",)}
    made = [outgoing(capture(picture())), outgoing(report())]
    with ChoosyPacs(tmp_path / "pacs", takes=takes) as pacs:
        outcome = send(destination(pacs.port, aet="CHOOSY"), made, Heard(), stop)
        stored = {str(found.SOPInstanceUID): found for found in map(dcmread, pacs.objects())}
    assert outcome.complete
    assert set(stored) == {item.sop_instance_uid for item in made}, "the same instances"
    image = stored[made[0].sop_instance_uid]
    assert image.file_meta.TransferSyntaxUID == syntax
    if program is not None:
        plain = tmp_path / "plain.dcm"
        image.save_as(tmp_path / "compressed.dcm")
        subprocess.run([program, str(tmp_path / "compressed.dcm"), str(plain)], check=True, timeout=60)
        decoded = dcmread(plain)
        rgb = np.frombuffer(decoded.PixelData, np.uint8, count=picture().size)
        if decoded.PlanarConfiguration == 1:
            rgb = rgb.reshape(3, *picture().shape[:2]).transpose(1, 2, 0)
        assert np.array_equal(rgb.reshape(picture().shape), picture())


def test_the_profile_s_first_choice_wins_where_the_pacs_takes_several(tmp_path: Path, stop: threading.Event) -> None:
    takes = {"SecondaryCaptureImageStorage": ("LittleEndianExplicit", "RLELossless", "JPEGLSLossless")}
    item = outgoing(capture(picture()))
    for wanted, syntax in ((Encoding.JPEG_LS, JPEGLSLossless), (Encoding.RLE, RLELossless),
                           (Encoding.UNCOMPRESSED, ExplicitVRLittleEndian)):
        others = tuple(each for each in Encoding if each is not wanted)
        profile = replace(PROFILES["standard"], encodings=(wanted, *others))
        with ChoosyPacs(tmp_path / str(wanted), takes=takes) as pacs:
            send(replace(destination(pacs.port), profile=profile), [item], Heard(), stop)
            assert [dcmread(path).file_meta.TransferSyntaxUID for path in pacs.objects()] == [syntax]


def test_each_refused_object_has_its_own_reason(tmp_path: Path, stop: threading.Event) -> None:
    takes = {"SecondaryCaptureImageStorage": ("LittleEndianExplicit",), "Comprehensive3DSRStorage": ("RLELossless",)}
    made = [outgoing(ds) for ds in (capture(picture()), binary_segmentation(), report())]
    with ChoosyPacs(tmp_path / "pacs", takes=takes) as pacs:
        outcome = send(destination(pacs.port), made, Heard(), stop)
    assert [item.status for item in outcome.statuses] == [0x0000, 0x0122, 0xC122]
    assert outcome.statuses[1].text == "SOP class not supported (Segmentation Storage)"
    assert outcome.statuses[2].text == "transfer syntax not supported (Comprehensive 3D SR Storage)"


@pytest.mark.parametrize("option", ["--abort-after", "--abort-during"])
def test_a_pacs_that_aborts_is_told_apart_from_a_silent_one(tmp_path: Path, stop: threading.Event, option: str) -> None:
    heard = Heard()
    began = time.monotonic()
    with Pacs(tmp_path / "pacs", options=(option,)) as pacs, pytest.raises(
        DestinationAborted, match="aborted the association"
    ):
        send(destination(pacs.port), OBJECTS, heard, stop)
    assert time.monotonic() - began < 20  # a bound against a hang
    assert heard.statuses == []


def test_a_node_that_says_nothing_is_silent_within_the_timeout(stop: threading.Event) -> None:
    began = time.monotonic()
    with SilentNode() as node, pytest.raises(DestinationSilent, match="within 1 s"):
        send(destination(node.port, timeout_s=1.0), OBJECTS, Heard(), stop)
    assert time.monotonic() - began < 20  # a bound against a hang


def test_a_pacs_that_answers_too_late_is_silent_and_what_it_took_is_known(
    tmp_path: Path, stop: threading.Event
) -> None:
    began = time.monotonic()
    with Pacs(tmp_path / "pacs", options=("--sleep-after", "3")) as pacs, pytest.raises(DestinationSilent):
        send(destination(pacs.port, timeout_s=1.0), OBJECTS, Heard(), stop)
    assert time.monotonic() - began < 20  # a bound against a hang


def test_a_pacs_that_stops_reading_in_the_middle_of_a_large_object_does_not_hold_us(
    tmp_path: Path, stop: threading.Event
) -> None:
    large = make_objects(2, size=3000)
    heard = Heard()

    with Pacs(tmp_path / "pacs") as pacs:

        def freeze_after_the_first(uid: str, status: int, text: str) -> None:
            heard(uid, status, text)
            pacs.freeze()

        began = time.monotonic()
        with pytest.raises(DestinationSilent):
            send(destination(pacs.port, timeout_s=1.0), large, freeze_after_the_first, stop)
        assert time.monotonic() - began < 20  # a bound against a hang
    assert [uid for uid, _, _ in heard.statuses] == [large[0].sop_instance_uid]


def test_a_closed_port_is_unreachable(stop: threading.Event) -> None:
    with pytest.raises(DestinationUnreachable, match="cannot be reached"):
        send(destination(free_port()), OBJECTS, Heard(), stop)


def test_an_unknown_host_is_unreachable(stop: threading.Event) -> None:
    nowhere = PacsDestination("main", "nowhere.invalid", 104, "PACS", connect_timeout_s=1.0, timeout_s=1.0)
    with pytest.raises(DestinationUnreachable):
        send(nowhere, OBJECTS, Heard(), stop)


def test_a_listener_that_takes_no_more_connections_does_not_hold_us(stop: threading.Event) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = []
        for _ in range(4):  # fills the kernel's queue, so that the next connection gets no answer
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            waiting.append(filler)
        began = time.monotonic()
        with pytest.raises((DestinationUnreachable, DestinationSilent)):
            send(destination(port, timeout_s=1.0), OBJECTS, Heard(), stop)
        assert time.monotonic() - began < 20  # a bound against a hang
        for filler in waiting:
            filler.close()


def test_a_stop_between_objects_leaves_the_rest_for_later(tmp_path: Path, stop: threading.Event) -> None:
    heard = Heard()

    def stop_after_the_first(uid: str, status: int, text: str) -> None:
        heard(uid, status, text)
        stop.set()

    with Pacs(tmp_path / "pacs") as pacs, pytest.raises(Stopping):
        send(destination(pacs.port), OBJECTS, stop_after_the_first, stop)
    assert len(heard.statuses) == 1
    assert len(pacs.objects()) == 1


def test_a_stop_ends_the_wait_for_a_silent_pacs_at_once(stop: threading.Event) -> None:
    with SilentNode() as node:
        threading.Timer(0.5, stop.set).start()
        began = time.monotonic()
        with pytest.raises(Stopping):
            send(destination(node.port, timeout_s=30.0), OBJECTS, Heard(), stop)
        assert time.monotonic() - began < 20  # a bound against a hang


def test_a_stop_ends_the_wait_for_a_slow_store_at_once(tmp_path: Path, stop: threading.Event) -> None:
    with Pacs(tmp_path / "pacs", options=("--sleep-after", "20")) as pacs:
        threading.Timer(1.0, stop.set).start()
        began = time.monotonic()
        with pytest.raises(Stopping):
            send(destination(pacs.port, timeout_s=30.0), OBJECTS, Heard(), stop)
        assert time.monotonic() - began < 20  # a bound against a hang


def test_nothing_is_sent_once_stopping(stop: threading.Event) -> None:
    stop.set()
    with pytest.raises(Stopping):
        send(destination(free_port()), OBJECTS, Heard(), stop)


def test_no_threads_are_left_behind(tmp_path: Path, stop: threading.Event) -> None:
    before = set(threading.enumerate())
    with Pacs(tmp_path / "pacs") as pacs:
        send(destination(pacs.port), OBJECTS, Heard(), stop)
    with SilentNode() as node, pytest.raises(DestinationSilent):
        send(destination(node.port, timeout_s=0.5), OBJECTS, Heard(), stop)
    deadline = time.monotonic() + 5
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(threading.enumerate()) <= before


def test_sending_twice_is_seen_by_a_pacs_that_counts(tmp_path: Path, stop: threading.Event) -> None:
    with Pacs(tmp_path / "pacs", unique_names=True) as pacs:
        send(destination(pacs.port), OBJECTS[:1], Heard(), stop)
        send(destination(pacs.port), OBJECTS[:1], Heard(), stop)
        assert len(pacs.objects()) == 2


def test_nothing_to_send_opens_no_association(stop: threading.Event) -> None:
    assert send(destination(free_port()), [], Heard(), stop).complete


def test_bytes_that_are_no_dicom_are_named(stop: threading.Event) -> None:
    with pytest.raises(MessageInvalid, match=r"1\.2\.3"):
        send(destination(free_port()), [OutgoingObject("1.2", "1.2.3", b"not dicom")], Heard(), stop)
    with pytest.raises(MessageInvalid, match="another SOP Instance UID"):
        send(destination(free_port()), [OutgoingObject("1.2", "1.2.3", OBJECTS[0].dicom)], Heard(), stop)


def test_echo_answers_or_says_why_not(tmp_path: Path, stop: threading.Event) -> None:
    with ArchivePacs(tmp_path / "archive") as pacs:
        echo(destination(pacs.port, aet="ARCHIVE"), stop)
        with pytest.raises(DestinationRefused):
            echo(destination(pacs.port, aet="WRONG"), stop)
    with SilentNode() as node, pytest.raises(DestinationSilent):
        echo(destination(node.port, timeout_s=0.5), stop)
    with pytest.raises(DestinationUnreachable):
        echo(destination(free_port()), stop)


@pytest.mark.parametrize("title", ["", "SEVENTEEN-LETTERS", "BACK\\SLASH", "ÜMLAUT"])
def test_a_title_that_dicom_does_not_allow_is_found_before_it_is_used(title: str) -> None:
    with pytest.raises(DestinationInvalid, match="aet"):
        PacsDestination("main", "127.0.0.1", 104, title)


def test_an_association_that_pynetdicom_would_wait_for_without_end_is_aborted(tmp_path: Path, stop: threading.Event) -> None:
    """Its own thread stands still and does not say so: seen once."""
    class NeverPaused(Association):
        @property
        def _is_paused(self) -> bool:
            return False

        @_is_paused.setter
        def _is_paused(self, _: bool) -> None:
            pass

    with Pacs(tmp_path / "pacs") as pacs:
        with Conversation(destination(pacs.port, timeout_s=0.5), [build_context(VERIFICATION)], stop) as conversation:
            association = conversation.established
            association.__class__ = NeverPaused
        assert association.is_aborted
        association.join(5)
        assert not association.is_alive()
