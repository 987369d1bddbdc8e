"""Secondary Capture (PS3.3 A.8.1): the summary, and the key slices in the place of their source images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from vigil.results import wording
from vigil.results.card import draw_card
from vigil.results.derivation import SEGMENTATION, inherit_loss, source_image
from vigil.results.document import Place, Series, code_item, finished, new_object
from vigil.results.key_slices import pictured_slice, shown_slices
from vigil.results.objects import ResultObject
from vigil.results.overlay import overlay
from vigil.results.patient_study import copy_attributes, encodable
from vigil.results.picture import edge_letters, window_of
from vigil.results.request import ResultRequest

_GEOMETRY = (
    "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "PositionReferenceIndicator", "PixelSpacing",
    "SliceThickness", "SpacingBetweenSlices", "SliceLocation",
)  # fmt: skip


def summary(request: ResultRequest) -> ResultObject:
    """The one image that tells the whole story in any viewer. It has no place in the patient."""
    place = Place(Series.SUMMARY, index=0, instance_number=1)
    ds = _capture(request, place, draw_card(request))
    ds.PatientOrientation = None
    index = pictured_slice(request)
    if index is not None:
        source = request.sources[index]
        ds.SourceImageSequence = [source_image(source, in_place=False)]
        inherit_loss(source, ds)
        ds.DerivationDescription = "Summary of an AI analysis, with a picture of one source image"
    else:
        ds.DerivationDescription = "Summary of an AI analysis"
    return finished(request, place, ds)


def key_slices(request: ResultRequest) -> tuple[ResultObject, ...]:
    """The slices with a finding and their neighbours, in the geometry of the source: a viewer scrolls them with it."""
    shown = shown_slices(request)
    if request.voxels is None:
        return ()
    numbers = _instance_numbers(request, shown)
    made = []
    for order, index in enumerate(shown):
        source = request.sources[index]
        window = window_of(source, request.voxels[index])
        place = Place(Series.KEY_SLICES, index=order, instance_number=numbers[order])
        ds = _capture(request, place, overlay(request, index, window))
        copy_attributes(source, ds, _GEOMETRY)
        _, rightwards, _, downwards = edge_letters(source.get("ImageOrientationPatient") or ())
        ds.PatientOrientation = [rightwards, downwards] if rightwards and downwards else None
        ds.SourceImageSequence = [source_image(source, in_place=True)]
        ds.DerivationDescription = f"Source image, {window.words()}, with the contour of the AI finding"
        ds.DerivationCodeSequence = [code_item(SEGMENTATION)]
        inherit_loss(source, ds)
        made.append(finished(request, place, ds))
    return tuple(made)


def _capture(request: ResultRequest, place: Place, rgb: NDArray[np.uint8]) -> Dataset:
    """``rgb``: [row, column, 3]."""
    ds = new_object(request, place, SecondaryCaptureImageStorage, "OT")
    copy_attributes(request.reference, ds, ("BodyPartExamined", "Laterality", "RequestAttributesSequence"))
    if not ds.get("BodyPartExamined") and "Laterality" not in ds:
        ds.Laterality = None  # required where no body part says whether it is paired (PS3.3 C.7.3.1)
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
    ds.PhotometricInterpretation = "RGB"
    ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = rgb.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    pixels = np.ascontiguousarray(rgb).tobytes()
    ds.add_new(0x7FE00010, "OB", pixels + b"\0" * (len(pixels) % 2))
    return ds


def _told(request: ResultRequest) -> str:
    if request.answer.kind.analysed:
        return wording.sentence(request)
    return f"{wording.reason_words(request)} {wording.NO_ANSWER}"


def _instance_numbers(request: ResultRequest, shown: tuple[int, ...]) -> list[int]:
    """The source's own instance numbers, so that people speak of the same image; counted where those do not serve."""
    numbers = [str(request.sources[index].get("InstanceNumber") or "") for index in shown]
    if len(set(numbers)) == len(numbers) and all(number.isdigit() for number in numbers):
        return [int(number) for number in numbers]
    return [index + 1 for index in shown]
