"""Grayscale Softcopy Presentation State (PS3.3 A.33.1): the contours and boxes as graphics that a viewer lays over the source
images and takes away again, without a copy of a pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom.color import CIELabColor
from highdicom.pr import GraphicLayer, GraphicObject, SoftcopyVOILUTTransformation, TextObject
from pydicom import Dataset
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage

from vigil.results import wording
from vigil.results.attribution import Tracking
from vigil.results.box_graphics import box_graphics
from vigil.results.boxes import ToldBox, told_boxes
from vigil.results.contour import outlines, thinned
from vigil.results.document import Place, Series, finished, new_object
from vigil.results.key_slices import MOST_CAPTURED, LocatedFinding, bearing_slices, drawn, shown_slices
from vigil.results.lettering import Colour
from vigil.results.objects import ResultObject
from vigil.results.patient_study import copy_attributes, copy_body_part, encodable
from vigil.results.picture import Window, colour_of, window_of
from vigil.results.request import ResultRequest

PLACE = Place(Series.PRESENTATION_STATE, index=0, instance_number=1)
NOTICE_LAYER = "AI NOTICE"
NOTICE_COLOUR: Colour = (255, 222, 50)
MOST_OUTLINES = 40
"""On a slice, the largest of a finding: what else there is are single pixels."""

_RESCALING = ("RescaleIntercept", "RescaleSlope", "RescaleType")


def presentation_state(request: ResultRequest) -> ResultObject | None:
    """One object for the slices with a finding. None where there is nothing to draw, it may not be drawn, or nobody asked."""
    shown = _slices(request)
    if not shown or request.voxels is None or not request.options.presentation_state:
        return None
    ds = new_object(request, PLACE, GrayscaleSoftcopyPresentationStateStorage, "PR")
    copy_body_part(request.reference, ds)
    copy_attributes(request.reference, ds, ("RequestAttributesSequence",))
    # Presentation State Identification
    ds.PresentationCreationDate, ds.PresentationCreationTime = ds.ContentDate, ds.ContentTime
    del ds.ContentDate, ds.ContentTime
    ds.ContentLabel = "AI FINDINGS"
    ds.ContentDescription = wording.RESEARCH if request.is_research else wording.NOT_PRIMARY
    ds.ContentCreatorName = None  # a device made it: Contributing Equipment says which
    # Presentation State Relationship, Modality LUT, Softcopy VOI LUT, Softcopy Presentation LUT
    ds.ReferencedSeriesSequence = _series(request, shown)
    copy_attributes(request.plane(shown[0]), ds, _RESCALING)
    windows = {index: window_of(request.plane(index), request.voxels[index]) for index in shown}
    ds.SoftcopyVOILUTSequence = _windows(request, windows)
    ds.PresentationLUTShape = "INVERSE" if windows[shown[0]].inverted else "IDENTITY"
    # Displayed Area, Graphic Annotation, Graphic Layer
    ds.DisplayedAreaSelectionSequence = [_whole_image(request.plane(shown[0]))]
    findings, boxes = drawn(request), told_boxes(request)
    ds.GraphicAnnotationSequence = [
        _notice(request, shown, ds), *(item for index in shown for item in _contours(request, findings, boxes, index)),
    ]  # fmt: skip
    ds.GraphicLayerSequence = [
        _layer(NOTICE_LAYER, 1, NOTICE_COLOUR),
        *(_layer(_layer_name(item), order, colour_of(item.number)) for order, item in enumerate(findings, start=2)),
    ]
    return finished(request, PLACE, ds)


def _slices(request: ResultRequest) -> list[int]:
    """With a finding, and rescaled as the first: one state holds one way from stored values to the modality's."""
    bearing = bearing_slices(request)
    shown = [index for index in shown_slices(request, MOST_CAPTURED) if index in bearing]
    return [index for index in shown if _rescaling(request, index) == _rescaling(request, shown[0])]


def _rescaling(request: ResultRequest, index: int) -> tuple[str, ...]:
    return tuple(str(request.plane(index).get(keyword, "")) for keyword in _RESCALING)


def _references(request: ResultRequest, indices: Sequence[int]) -> list[Dataset]:
    """Items of Referenced Image Sequence: an image once, with the frames that are meant."""
    items: dict[str, Dataset] = {}
    for index in indices:
        source, frame = request.sources[index], request.frame(index)
        item = items.setdefault(str(source.SOPInstanceUID), Dataset())
        item.ReferencedSOPClassUID = str(source.SOPClassUID)
        item.ReferencedSOPInstanceUID = str(source.SOPInstanceUID)
        if frame is not None:
            numbers = item.get("ReferencedFrameNumber", [])
            item.ReferencedFrameNumber = [*([numbers] if isinstance(numbers, int) else numbers), frame]
    return list(items.values())


def _series(request: ResultRequest, shown: Sequence[int]) -> list[Dataset]:
    by_series: dict[str, list[int]] = {}
    for index in shown:
        by_series.setdefault(str(request.sources[index].SeriesInstanceUID), []).append(index)
    made = []
    for uid, indices in by_series.items():
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedImageSequence = _references(request, indices)
        made.append(item)
    return made


def _windows(request: ResultRequest, windows: dict[int, Window]) -> list[Dataset]:
    """The window of each slice; one for all where they are alike."""
    alike: dict[Window, list[int]] = {}
    for index, window in windows.items():
        alike.setdefault(window, []).append(index)
    items: list[Dataset] = []
    for window, indices in alike.items():
        item: Dataset = SoftcopyVOILUTTransformation(
            window_center=window.centre, window_width=window.width,
            voi_lut_function="SIGMOID" if window.sigmoid else "LINEAR",
        )  # fmt: skip
        if len(alike) > 1:
            item.ReferencedImageSequence = _references(request, indices)
        items.append(item)
    return items


def _whole_image(source: Dataset) -> Dataset:
    item = Dataset()
    item.DisplayedAreaTopLeftHandCorner = [1, 1]
    item.DisplayedAreaBottomRightHandCorner = [int(source.Columns), int(source.Rows)]
    item.PresentationSizeMode = "SCALE TO FIT"
    if source.get("PixelSpacing"):
        item.PresentationPixelSpacing = list(source.PixelSpacing)
    else:
        item.PresentationPixelAspectRatio = [1, 1]
    return item


def _notice(request: ResultRequest, shown: Sequence[int], ds: Dataset) -> Dataset:
    """On every image: what this is. In the upper left third, out of the corner, where viewers write."""
    told = [wording.NOT_PRIMARY, *([wording.RESEARCH] if request.is_research else [])]
    told.append(f"{request.manifest.name} {request.manifest.version}")
    text = TextObject(
        encodable("\r\n".join(told), ds), units="DISPLAY", bounding_box=(0.08, 0.08, 0.6, 0.2), text_justification="LEFT"
    )
    return _annotation(request, NOTICE_LAYER, shown, texts=[text])


def _contours(
    request: ResultRequest, findings: Sequence[LocatedFinding], boxes: Sequence[ToldBox], index: int
) -> list[Dataset]:
    """The outlines or boxes of the findings on a slice, each in the layer of its finding."""
    made = []
    for item in findings:
        mask = request.mask_of(item.finding)
        if request.boxes_of(item.finding):
            graphics, texts = box_graphics(request, item, boxes, index)
            if graphics:
                made.append(_annotation(request, _layer_name(item), [index], graphics=graphics, texts=texts))
            continue
        if mask is None or not mask[index].any():
            continue
        tracking = Tracking.of(request, item.number)
        lines = [thinned(outline) for outline in outlines(mask[index])[:MOST_OUTLINES]]
        graphics = [
            GraphicObject(
                "POLYLINE", outline, units="PIXEL", tracking_id=tracking.identifier, tracking_uid=tracking.uid
            )
            for outline in lines
        ]
        right = lines[0][np.argmax(lines[0][:, 0])]
        number = f"{item.number}  " if len(findings) > 1 else ""
        name = TextObject(
            number + item.finding.concept.meaning, units="PIXEL", anchor_point=(float(right[0]), float(right[1])),
            anchor_point_visible=False, tracking_id=tracking.identifier, tracking_uid=tracking.uid,
        )  # fmt: skip
        made.append(_annotation(request, _layer_name(item), [index], graphics=graphics, texts=[name]))
    return made


def _annotation(
    request: ResultRequest, layer: str, indices: Sequence[int], *, graphics: Sequence[GraphicObject] = (),
    texts: Sequence[TextObject] = (),
) -> Dataset:  # fmt: skip
    item = Dataset()
    item.ReferencedImageSequence = _references(request, indices)
    item.GraphicLayer = layer
    if texts:
        item.TextObjectSequence = list(texts)
    if graphics:
        item.GraphicObjectSequence = list(graphics)
    return item


def _layer_name(item: LocatedFinding) -> str:
    return f"AI FINDING {item.number}"


def _layer(name: str, order: int, colour: Colour) -> GraphicLayer:
    return GraphicLayer(name, order, display_color=CIELabColor.from_rgb(*colour))
