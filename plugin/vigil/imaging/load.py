"""A stack of slices to a volume: decoded straight into the array that the model is given, so that pixels lie in memory
once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

from vigil.domain.errors import Stopping
from vigil.imaging.decode import decode_into
from vigil.imaging.errors import ImageGone, UnreadablePixels, VolumeTooLarge
from vigil.imaging.geometry import affine_of
from vigil.imaging.volume import Volume
from vigil.intake.stack import SliceStack

LARGEST_BYTES = 2 << 30
DECODING_THREADS = 2


def load_volume(
    stack: SliceStack,
    fetch: Callable[[str], bytes | None],
    *,
    stop: threading.Event | None = None,
    largest_bytes: int = LARGEST_BYTES,
) -> Volume:
    """The volume of a stack, slices in the stack's order.

    ``fetch``: the DICOM file of an Orthanc id; None where it is gone. It is called by this thread only. ``stop``: looked
    at between slices. ``largest_bytes``: of the float32 array.

    Raises: VolumeTooLarge before anything is read; ImageGone; Stopping; UnreadableInstance (intake) and the errors of
    :func:`~vigil.imaging.decode.decode_into`, each naming the slice.
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

    def decode(index: int, dicom: bytes) -> None:
        try:
            decode_into(dicom, voxels[index])
        except UnreadablePixels as error:
            error.args = (f"slice {index + 1} of {shape[0]}: {error.message}",)
            raise

    remaining = iter(range(shape[0]))
    with ThreadPoolExecutor(DECODING_THREADS, thread_name_prefix="vigil-decode") as pool:
        while batch := list(islice(remaining, 4 * DECODING_THREADS)):
            if stop is not None and stop.is_set():
                raise Stopping("Orthanc is stopping; the images are read again after its start")
            files = [_file(fetch, stack.headers[index].orthanc_id) for index in batch]
            for done in [pool.submit(decode, index, dicom) for index, dicom in zip(batch, files, strict=True)]:
                done.result()
    return Volume(voxels, affine_of(stack))


def _file(fetch: Callable[[str], bytes | None], orthanc_id: str) -> bytes:
    dicom = fetch(orthanc_id)
    if dicom is None:
        raise ImageGone("an image of the series was deleted while it was read; send the series again")
    return dicom
