"""Multi-frame True Color Secondary Capture (PS3.3 A.8.5): the slices with a finding in one object, for archives that
would rather keep one file than many."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.uid import MultiFrameTrueColorSecondaryCaptureImageStorage

from vigil.domain.codes import SEGMENTATION
from vigil.domain.identity import object_uid
from vigil.results.boxes import marks
from vigil.results.capture import new_capture, set_pixels
from vigil.results.derivation import inherit_loss, source_image
from vigil.results.document import Place, Series, code_item, finished
from vigil.results.functional_groups import (
    derivation,
    is_placed,
    lossiest,
    position,
    set_dimensions,
    set_frame_of_reference,
    shared_place,
)
from vigil.results.key_slices import captured_slices
from vigil.results.objects import ResultObject
from vigil.results.overlay import Overlays
from vigil.results.picture import window_of
from vigil.results.request import ResultRequest

PLACE = Place(Series.MULTIFRAME, index=0, instance_number=1)


def multiframe_capture(request: ResultRequest) -> ResultObject | None:
    """The same slices and the same pixels as the single-frame captures; None where there are none, or nobody asked."""
    shown = captured_slices(request)
    if not request.options.multiframe or request.voxels is None or not shown:
        return None
    overlays, voxels = Overlays(request, shown), request.voxels
    windows = [window_of(request.plane(index), voxels[index]) for index in shown]
    ds = new_capture(request, PLACE, MultiFrameTrueColorSecondaryCaptureImageStorage)
    ds.PatientOrientation = None
    ds.SourceImageSequence = [
        source_image(request.sources[index], in_place=True, frame=request.frame(index)) for index in shown
    ]
    ds.DerivationDescription = f"Source images, {windows[0].words()}, with the {marks(request)} of the AI finding"
    ds.DerivationCodeSequence = [code_item(SEGMENTATION)]
    inherit_loss(lossiest(request, shown), ds)
    ds.NumberOfFrames = len(shown)
    if len(shown) > 1:
        ds.FrameIncrementPointer = tag_for_keyword("PageNumberVector")
        ds.PageNumberVector = [index + 1 for index in shown]
    placed = is_placed(request)
    if placed:
        set_frame_of_reference(request, ds)
    set_dimensions(
        ds, object_uid(request.analysis.analysis_id, "multi-frame dimensions"),
        [("InStackPositionNumber", "FrameContentSequence", "Position in the stack")],
    )  # fmt: skip
    ds.SharedFunctionalGroupsSequence = [shared_place(request) if placed else Dataset()]
    ds.PerFrameFunctionalGroupsSequence = [
        _frame(request, index, rank, placed=placed) for rank, index in enumerate(shown, start=1)
    ]
    set_pixels(
        ds, [overlays.draw(index, window) for index, window in zip(shown, windows, strict=True)],
        request.options.capture_syntax,
    )  # fmt: skip
    return finished(request, PLACE, ds, request.options.capture_syntax)


def _frame(request: ResultRequest, index: int, rank: int, *, placed: bool) -> Dataset:
    """``rank``: among the frames, from 1."""
    content, groups = Dataset(), Dataset()
    content.DimensionIndexValues = [rank]
    content.StackID, content.InStackPositionNumber = "1", rank
    groups.FrameContentSequence = [content]
    if placed:
        groups.PlanePositionSequence = [position(request, index)]
    groups.DerivationImageSequence = [derivation(request, index)]
    return groups
