"""A stack of slices to a volume: decoded straight into the array that the model is given, so that its values lie in memory
once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

import numpy as np

from vigil.domain.errors import Stopping
from vigil.imaging.arrived import ArrivedImage
from vigil.imaging.colour import COLOURS, ColourFrames, is_colour, luminance
from vigil.imaging.decode import Frames
from vigil.imaging.errors import ImageGone, ImageReplaced, UnreadablePixels, VolumeTooLarge
from vigil.imaging.geometry import affine_of
from vigil.imaging.volume import Volume
from vigil.intake.header import ImageHeader
from vigil.intake.part10 import read_instance
from vigil.intake.stack import SliceStack

LARGEST_BYTES = 2 << 30
DECODING_THREADS = 2

Colour = Literal["refuse", "luminance", "rgb"]
Fetch = Callable[[str], bytes | None]
Held = Callable[[ImageHeader], ArrivedImage | None]


@dataclass(frozen=True, eq=False)
class LoadedStack:
    """``heads``: the file of each slice up to its pixels, in the order of the volume's slices; of the frames of one image the
    same. ``frames``: the number of each slice's frame, from 1; empty where every slice is an image of its own. ``colours``: where
    they are asked for, by name, in the volume's place."""

    volume: Volume
    heads: tuple[bytes, ...]
    frames: tuple[int, ...] = ()
    colours: dict[str, Volume] = field(default_factory=dict)


def _nothing(_: ImageHeader) -> None:
    return None


def load_volume(stack: SliceStack, fetch: Fetch, *, stop: threading.Event | None = None,
                largest_bytes: int = LARGEST_BYTES) -> Volume:
    """The volume of :func:`load_stack`, of which nothing was read before."""
    return load_stack(stack, fetch, stop=stop, largest_bytes=largest_bytes).volume


def load_stack(
    stack: SliceStack, fetch: Fetch, *, held: Held = _nothing, stop: threading.Event | None = None,
    largest_bytes: int = LARGEST_BYTES, colour: Colour = "refuse",
) -> LoadedStack:
    """The volume of a stack, slices in the stack's order.

    ``fetch``: the DICOM file of an Orthanc id; None where it is gone. It is called by this thread only. ``held``: an image that
    was read before; None where it was not. ``stop``: looked at between slices. ``largest_bytes``: of the float32 array.
    ``colour``: what becomes of images in colours; with "rgb" grey ones have three equal colours.

    Raises: VolumeTooLarge before anything is read; ImageGone; ImageReplaced; Stopping; UnreadableInstance (intake) and the
    errors of :class:`~vigil.imaging.decode.Frames`, each naming the slice.
    """
    first = stack.headers[0]
    shape = (len(stack.headers), first.rows, first.columns)
    needed = 4 * shape[0] * shape[1] * shape[2] * (4 if colour == "rgb" else 1)
    if needed > largest_bytes:
        raise VolumeTooLarge(
            f"{shape[0]} slices of {shape[1]} x {shape[2]} need {needed >> 20} MiB, more than the {largest_bytes >> 20} MiB "
            "that a volume may take"
        )
    voxels = np.empty(shape, np.float32)
    planes = np.empty((3, *shape), np.float32) if colour == "rgb" else None
    heads = [b""] * shape[0]
    slices: dict[str, list[int]] = {}
    for index, header in enumerate(stack.headers):
        slices.setdefault(header.orthanc_id, []).append(index)

    def decode(index: int, frames: Frames | ColourFrames) -> None:
        with _named(index, shape[0]):
            if isinstance(frames, ColourFrames):
                rgb = frames.image(stack.headers[index].frame or 1)
                voxels[index] = luminance(rgb)
                if planes is not None:
                    planes[:, index] = np.moveaxis(rgb, -1, 0)
                return
            frames.image(stack.headers[index].frame or 1).into(voxels[index])
            if planes is not None:
                planes[:, index] = voxels[index]

    def read(orthanc_id: str, dicom: bytes) -> list[tuple[int, Frames | ColourFrames]]:
        """Decodes the first slice of a file; returns what is left of it."""
        first, *others = slices[orthanc_id]
        with _named(first, shape[0]):
            instance = read_instance(dicom)
            if instance.content_sha256 != stack.headers[first].content_sha256:
                raise ImageReplaced
            frames = ColourFrames(instance) if colour != "refuse" and is_colour(instance) else Frames(instance)
        for index in (first, *others):
            heads[index] = instance.head
        decode(first, frames)
        return [(index, frames) for index in others]

    unread = []
    for orthanc_id, indices in slices.items():
        arrived = held(stack.headers[indices[0]])
        if arrived is None:
            unread.append(orthanc_id)
            continue
        for index in indices:
            arrived.images[(stack.headers[index].frame or 1) - 1].into(voxels[index])
            if planes is not None:
                planes[:, index] = voxels[index]
            heads[index] = arrived.head
    remaining = iter(unread)
    # A file of many frames is large: one at a time, its frames shared out.
    at_once = 4 * DECODING_THREADS if len(slices) == shape[0] else 1
    with ThreadPoolExecutor(DECODING_THREADS, thread_name_prefix="vigil-decode") as pool:
        while batch := list(islice(remaining, at_once)):
            _leave_if(stop)
            files = [(orthanc_id, _file(fetch, orthanc_id)) for orthanc_id in batch]
            reading = [pool.submit(read, *file) for file in files]
            left = iter([item for done in reading for item in done.result()])
            while some := list(islice(left, 16 * DECODING_THREADS)):
                _leave_if(stop)
                for decoded in [pool.submit(decode, *item) for item in some]:
                    decoded.result()
    numbers = [header.frame for header in stack.headers if header.frame is not None]
    affine = affine_of(stack)
    colours = {} if planes is None else {name: Volume(plane, affine) for name, plane in zip(COLOURS, planes, strict=True)}
    return LoadedStack(Volume(voxels, affine), tuple(heads), tuple(numbers) if len(numbers) == shape[0] else (), colours)


@contextmanager
def _named(index: int, count: int) -> Iterator[None]:
    """Says of which slice the pixels cannot be read."""
    try:
        yield
    except UnreadablePixels as error:
        error.args = (f"slice {index + 1} of {count}: {error.message}",)
        raise


def _leave_if(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise Stopping("Orthanc is stopping; the images are read again after its start")


def _file(fetch: Fetch, orthanc_id: str) -> bytes:
    dicom = fetch(orthanc_id)
    if dicom is None:
        raise ImageGone
    return dicom
