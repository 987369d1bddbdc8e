"""What every Secondary Capture carries, single-frame or multi-frame, and how its pixels are encoded."""

from __future__ import annotations

from collections.abc import Sequence

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate

from vigil.domain.codes import SEGMENTATION
from vigil.results import wording
from vigil.results.boxes import marks
from vigil.results.derivation import inherit_loss, source_image
from vigil.results.document import Place, code_item, new_object
from vigil.results.options import CaptureSyntax
from vigil.results.patient_study import copy_attributes, copy_body_part, encodable
from vigil.results.picture import Window
from vigil.results.request import ResultRequest

Rgb = NDArray[np.uint8]


def new_capture(request: ResultRequest, place: Place, sop_class_uid: str) -> Dataset:
    """Everything but the pixels and what they were derived from."""
    ds = new_object(request, place, sop_class_uid, "OT")
    copy_body_part(request.reference, ds)
    copy_attributes(request.reference, ds, ("RequestAttributesSequence",))
    # SC Equipment and SC Image
    ds.ConversionType = "WSD"
    ds.SecondaryCaptureDeviceManufacturer = ds.Manufacturer
    ds.SecondaryCaptureDeviceManufacturerModelName = ds.ManufacturerModelName
    ds.SecondaryCaptureDeviceSoftwareVersions = ds.SoftwareVersions
    ds.DateOfSecondaryCapture, ds.TimeOfSecondaryCapture = ds.ContentDate, ds.ContentTime
    # General Image and Image Pixel
    ds.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    ds.BurnedInAnnotation = "YES"
    ds.RecognizableVisualFeatures = "NO"
    ds.LossyImageCompression = "00"
    ds.ImageComments = encodable(
        f"{wording.NOT_PRIMARY}. {wording.KIND_WORDS[request.answer.kind]}. {_told(request)}", ds
    )  # fmt: skip
    ds.SamplesPerPixel = 3
    ds.PlanarConfiguration = 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    return ds


def derive(ds: Dataset, request: ResultRequest, index: int, window: Window) -> None:
    """Says that ``ds`` shows slice ``index`` in its place, with what was found drawn on it."""
    source = request.sources[index]
    ds.SourceImageSequence = [source_image(source, in_place=True, frame=request.frame(index))]
    heat = " and the heat map" if request.heat_map is not None else ""
    ds.DerivationDescription = f"Source image, {window.words()}, with the {marks(request)}{heat} of the AI finding"
    ds.DerivationCodeSequence = [code_item(SEGMENTATION)]
    inherit_loss(source, ds)


def set_pixels(ds: Dataset, frames: Sequence[Rgb], syntax: CaptureSyntax) -> None:
    """``frames``: RGB [row, column, 3] of one size, encoded without loss."""
    ds.Rows, ds.Columns = frames[0].shape[:2]
    ds.PhotometricInterpretation = "YBR_RCT" if syntax is CaptureSyntax.JPEG_2000 else "RGB"
    if syntax is CaptureSyntax.UNCOMPRESSED:
        pixels = b"".join(frame.tobytes() for frame in frames)
        ds.add_new(0x7FE00010, "OB", pixels + b"\0" * (len(pixels) % 2))
        return
    ds.add_new(0x7FE00010, "OB", encapsulate([_encoded(frame, syntax) for frame in frames]))
    ds["PixelData"].is_undefined_length = True


def _encoded(rgb: Rgb, syntax: CaptureSyntax) -> bytes:
    if syntax is CaptureSyntax.RLE:
        return _run_lengths(rgb)
    if syntax is CaptureSyntax.JPEG_LS:
        return bytes(imagecodecs.jpegls_encode(rgb))
    return bytes(imagecodecs.jpeg2k_encode(rgb, codecformat="j2k", reversible=True, mct=True, level=0))


def _run_lengths(rgb: Rgb) -> bytes:
    """PS3.5 annex G: a header of sixteen numbers, then a segment for each colour, whose runs end with the row."""
    segments = []
    for channel in range(3):
        plane = np.ascontiguousarray(rgb[:, :, channel])
        segment = b"".join(imagecodecs.packbits_encode(row) for row in plane)
        segments.append(segment + b"\0" * (len(segment) % 2))
    offsets = np.zeros(16, "<u4")
    offsets[0] = 3
    offsets[1:4] = 64 + np.cumsum([0, len(segments[0]), len(segments[1])])
    return offsets.tobytes() + b"".join(segments)


def _told(request: ResultRequest) -> str:
    if request.answer.kind.analysed:
        return wording.sentence(request)
    return f"{wording.reason_words(request)} {wording.NO_ANSWER}"
