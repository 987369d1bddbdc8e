"""Secondary Capture (PS3.3 A.8.1): the summary, and the slices with a finding in the place of their source images."""

from __future__ import annotations

from pydicom.uid import SecondaryCaptureImageStorage

from vigil.results.capture import derive, new_capture, set_pixels
from vigil.results.card import draw_card
from vigil.results.derivation import inherit_loss, source_image
from vigil.results.document import Place, Series, alike, finished, prepared
from vigil.results.key_slices import captured_slices, pictured_slice
from vigil.results.objects import ResultObject
from vigil.results.overlay import Overlays
from vigil.results.patient_study import copy_attributes
from vigil.results.picture import edge_letters, window_of
from vigil.results.request import ResultRequest

_GEOMETRY = (
    "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "PositionReferenceIndicator", "PixelSpacing",
    "SliceThickness", "SpacingBetweenSlices", "SliceLocation",
)  # fmt: skip


def summary(request: ResultRequest) -> ResultObject:
    """The one image that tells the whole story in any viewer. It has no place in the patient."""
    place = Place(Series.SUMMARY, index=0, instance_number=1)
    ds = new_capture(request, place, SecondaryCaptureImageStorage)
    ds.PatientOrientation = None
    index = pictured_slice(request)
    if index is not None:
        source = request.sources[index]
        ds.SourceImageSequence = [source_image(source, in_place=False, frame=request.frame(index))]
        inherit_loss(source, ds)
        ds.DerivationDescription = "Summary of an AI analysis, with a picture of one source image"
    else:
        ds.DerivationDescription = "Summary of an AI analysis"
    set_pixels(ds, [draw_card(request)], request.options.capture_syntax)
    return finished(request, place, ds, request.options.capture_syntax)


def key_slices(request: ResultRequest) -> tuple[ResultObject, ...]:
    """The slices that the options ask for, in the geometry of the source: a viewer scrolls them with it."""
    shown = captured_slices(request)
    if request.voxels is None or not shown:
        return ()
    numbers = _instance_numbers(request, shown)
    overlays = Overlays(request, shown)
    first = Place(Series.KEY_SLICES, index=0, instance_number=numbers[0])
    pattern = prepared(new_capture(request, first, SecondaryCaptureImageStorage))
    made = []
    for order, index in enumerate(shown):
        source = request.plane(index)
        window = window_of(source, request.voxels[index])
        place = Place(Series.KEY_SLICES, index=order, instance_number=numbers[order])
        ds = alike(request, place, pattern)
        copy_attributes(source, ds, _GEOMETRY)
        _, rightwards, _, downwards = edge_letters(source)
        ds.PatientOrientation = [rightwards, downwards] if rightwards and downwards else None
        derive(ds, request, index, window)
        set_pixels(ds, [overlays.draw(index, window)], request.options.capture_syntax)
        made.append(finished(request, place, ds, request.options.capture_syntax))
    return tuple(made)


def _instance_numbers(request: ResultRequest, shown: tuple[int, ...]) -> list[int]:
    """The source's own instance numbers, so that people speak of the same image; counted where those do not serve."""
    numbers = [str(request.plane(index).get("InstanceNumber") or "") for index in shown]
    if len(set(numbers)) == len(numbers) and all(number.isdigit() for number in numbers):
        return [int(number) for number in numbers]
    return [index + 1 for index in shown]
