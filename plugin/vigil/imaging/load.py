"""A stack of slices to a volume: decoded straight into the array that the model is given, so that its values lie in memory
once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from vigil.domain.errors import Stopping
from vigil.imaging.arrived import ArrivedImage
from vigil.imaging.decode import decode
from vigil.imaging.errors import ImageGone, ImageReplaced, UnreadablePixels, VolumeTooLarge
from vigil.imaging.geometry import affine_of
from vigil.imaging.volume import Volume
from vigil.intake.header import ImageHeader
from vigil.intake.part10 import read_instance
from vigil.intake.stack import SliceStack

LARGEST_BYTES = 2 << 30
DECODING_THREADS = 2

Fetch = Callable[[str], bytes | None]
Held = Callable[[ImageHeader], ArrivedImage | None]


@dataclass(frozen=True, eq=False)
class LoadedStack:
    """``heads``: the file of each slice up to its pixels, in the order of the volume's slices."""

    volume: Volume
    heads: tuple[bytes, ...]


def _nothing(_: ImageHeader) -> None:
    return None


def load_volume(stack: SliceStack, fetch: Fetch, *, stop: threading.Event | None = None,
                largest_bytes: int = LARGEST_BYTES) -> Volume:
    """The volume of :func:`load_stack`, of which nothing was read before."""
    return load_stack(stack, fetch, stop=stop, largest_bytes=largest_bytes).volume


def load_stack(
    stack: SliceStack, fetch: Fetch, *, held: Held = _nothing, stop: threading.Event | None = None,
    largest_bytes: int = LARGEST_BYTES,
) -> LoadedStack:
    """The volume of a stack, slices in the stack's order.

    ``fetch``: the DICOM file of an Orthanc id; None where it is gone. It is called by this thread only. ``held``: an image that
    was read before; None where it was not. ``stop``: looked at between slices. ``largest_bytes``: of the float32 array.

    Raises: VolumeTooLarge before anything is read; ImageGone; ImageReplaced; Stopping; UnreadableInstance (intake) and the
    errors of :func:`~vigil.imaging.decode.decode`, each naming the slice.
    """
    first = stack.headers[0]
    shape = (len(stack.headers), first.rows, first.columns)
    needed = 4 * shape[0] * shape[1] * shape[2]
    if needed > largest_bytes:
        raise VolumeTooLarge(
            f"{shape[0]} slices of {shape[1]} x {shape[2]} need {needed >> 20} MiB, more than the {largest_bytes >> 20} MiB "
            "that a volume may take"
        )
    voxels = np.empty(shape, np.float32)
    heads = [b""] * shape[0]

    def read(index: int, dicom: bytes) -> None:
        try:
            instance = read_instance(dicom)
            if instance.content_sha256 != stack.headers[index].content_sha256:
                raise ImageReplaced
            decode(instance).into(voxels[index])
        except UnreadablePixels as error:
            error.args = (f"slice {index + 1} of {shape[0]}: {error.message}",)
            raise
        heads[index] = instance.head

    unread = []
    for index, header in enumerate(stack.headers):
        arrived = held(header)
        if arrived is None:
            unread.append(index)
            continue
        arrived.image.into(voxels[index])
        heads[index] = arrived.head
    remaining = iter(unread)
    with ThreadPoolExecutor(DECODING_THREADS, thread_name_prefix="vigil-decode") as pool:
        while batch := list(islice(remaining, 4 * DECODING_THREADS)):
            if stop is not None and stop.is_set():
                raise Stopping("Orthanc is stopping; the images are read again after its start")
            files = [_file(fetch, stack.headers[index].orthanc_id) for index in batch]
            for done in [pool.submit(read, index, dicom) for index, dicom in zip(batch, files, strict=True)]:
                done.result()
    return LoadedStack(Volume(voxels, affine_of(stack)), tuple(heads))


def _file(fetch: Fetch, orthanc_id: str) -> bytes:
    dicom = fetch(orthanc_id)
    if dicom is None:
        raise ImageGone
    return dicom
