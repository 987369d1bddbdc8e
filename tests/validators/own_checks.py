"""What no validator that we know of checks, and a viewer or a reader stumbles over: our own profile of the results.

dciodvfy, dcentvfy, PixelMed, dsrdump and dcmqi pass a segmentation in another frame of reference than its source and a report
whose title is not of its context group; here they are complaints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydicom import Dataset

REPORT, SEGMENTATION = "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.66.4"
MEASUREMENT_REPORTS = {"126000", "126001", "126002", "126003"}
"""CID 7021. It is extensible: a report that draws nothing bears our own title."""
OWN_TITLE = ("VG-RESULT", "99VIGIL")
IDENTITY = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID",
            "StudyDate", "StudyTime", "StudyID", "AccessionNumber")  # fmt: skip
CERTAINTIES = {"111012", "122157", "111047"}


def complaints(sources: Sequence[Dataset], results: Sequence[Dataset]) -> tuple[str, ...]:
    """What is wrong with the results of one analysis, each with the object in which it is. Data sets as they were read."""
    reports = [ds for ds in results if ds.SOPClassUID == REPORT]
    segmentations = [ds for ds in results if ds.SOPClassUID == SEGMENTATION]
    found = [
        f"{_name(ds)}: {told}" for ds in results for told in (*_identity(ds, sources[0]), *_series(ds), *_place(ds, sources))
    ]
    for report in reports:
        found += [f"{_name(report)}: {told}" for told in (
            *_title(report), *_observer(report), *_groups(report), *_regions(report, sources), *_certainties(report),
            *_segments(report, segmentations),
        )]  # fmt: skip
    return tuple(found)


def tree(ds: Dataset) -> Iterator[Dataset]:
    """Every content item below ``ds``."""
    for item in ds.get("ContentSequence") or []:
        yield item
        yield from tree(item)


def concept(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].get("CodeValue", "")) if item.get("ConceptNameCodeSequence") else ""


def groups(report: Dataset) -> list[Dataset]:
    return [item for item in tree(report) if concept(item) == "125007"]


def template(group: Dataset) -> str:
    return str(group.ContentTemplateSequence[0].TemplateIdentifier)


def _name(ds: Dataset) -> str:
    return f"{ds.Modality} {ds.get('SeriesDescription', '')}"


def _bytes(ds: Dataset, keyword: str) -> bytes | None:
    """As they stand in the file, without the padding."""
    value = ds.get_item(keyword).value if keyword in ds else b""
    return bytes(value).rstrip(b" \0") if isinstance(value, bytes) else str(value or "").encode()


def _identity(ds: Dataset, source: Dataset) -> Iterator[str]:
    for keyword in IDENTITY:
        if _bytes(ds, keyword) != _bytes(source, keyword):
            yield f"{keyword} is not the source's"


def _series(ds: Dataset) -> Iterator[str]:
    if not str(ds.get("SeriesDescription", "")).startswith("AI "):
        yield "the series description does not begin with 'AI '"
    if int(ds.get("SeriesNumber") or 0) < 9000:
        yield "the series number is below 9000"


def _place(ds: Dataset, sources: Sequence[Dataset]) -> Iterator[str]:
    """An object that is in a frame of reference is in its sources'."""
    frame = str(ds.get("FrameOfReferenceUID") or "")
    if frame and frame not in {str(source.get("FrameOfReferenceUID")) for source in sources}:
        yield "the frame of reference is none of the sources'"


def _title(report: Dataset) -> Iterator[str]:
    title = report.ConceptNameCodeSequence[0]
    drawn = any(item.ValueType == "SCOORD" for item in tree(report))
    if drawn and (title.CodingSchemeDesignator != "DCM" or title.CodeValue not in MEASUREMENT_REPORTS):
        yield f"it draws regions, and its title {title.CodeValue} is not in CID 7021"
    if not drawn and (title.CodeValue, title.CodingSchemeDesignator) != OWN_TITLE:
        yield f"it draws nothing, and its title is {title.CodeValue} instead of {OWN_TITLE[0]}"


def _observer(report: Dataset) -> Iterator[str]:
    types = [item.ConceptCodeSequence[0].CodeValue for item in tree(report) if concept(item) == "121005"]
    if types != ["121007"]:
        yield "its observer is not one device"
    named = {concept(item) for item in tree(report)}
    if missing := {"121012", "121013", "121014", "121015", "121016"} - named:
        yield f"its observer lacks {', '.join(sorted(missing))}"
    if (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) != ("COMPLETE", "UNVERIFIED", "PRELIMINARY"):
        yield "it is not complete, unverified and preliminary"


def _groups(report: Dataset) -> Iterator[str]:
    drawn, all_of_them = set(), set()
    for number, group in enumerate(groups(report), start=1):
        held = {concept(item): item for item in group.ContentSequence}
        needed = {"112039": "tracking identifier", "112040": "tracking UID", "111001": "algorithm name",
                  "111003": "algorithm version", "111000": "algorithm family", "121071": "finding"}  # fmt: skip
        for code, words in needed.items():
            if code not in held:
                yield f"group {number} has no {words}"
        if "112040" in held:
            all_of_them.add(str(held["112040"].UID))
            if any(item.ValueType == "SCOORD" for item in group.ContentSequence):
                drawn.add(str(held["112040"].UID))
    if report.ConceptNameCodeSequence[0].CodeValue in MEASUREMENT_REPORTS and all_of_them - drawn:
        yield "a tracked finding has no region that is drawn, and OHIF fails on it"


def _regions(report: Dataset, sources: Sequence[Dataset]) -> Iterator[str]:
    known = {str(source.SOPInstanceUID): source for source in sources}
    for region in (item for item in tree(report) if item.ValueType == "SCOORD"):
        reference = region.ContentSequence[0].ReferencedSOPSequence[0]
        source = known.get(str(reference.ReferencedSOPInstanceUID))
        if source is None:
            yield "a region lies on an image that is not there"
            continue
        frames = int(source.get("NumberOfFrames") or 1)
        if (frames > 1) != ("ReferencedFrameNumber" in reference) or int(reference.get("ReferencedFrameNumber") or 1) > frames:
            yield "a region lies on no frame of its image"
        points = np.array(region.GraphicData, float).reshape(-1, 2)
        if (points[0] != points[-1]).any():
            yield "a region is not closed"
        if points.min() < 0 or (points.max(axis=0) > (source.Columns, source.Rows)).any():
            yield "a region leaves its image"


def _certainties(report: Dataset) -> Iterator[str]:
    for item in tree(report):
        if item.ValueType == "NUM" and concept(item) in CERTAINTIES:
            (value,) = item.MeasuredValueSequence
            unit = value.MeasurementUnitsCodeSequence[0].CodeValue
            if unit != "%" or not 0 <= float(value.NumericValue) <= 100:
                yield f"a certainty is {value.NumericValue} {unit}"


def _segments(report: Dataset, segmentations: Sequence[Dataset]) -> Iterator[str]:
    """A segment that the report speaks of is there, and is followed under the same UID."""
    known = {(str(ds.SOPInstanceUID), int(segment.SegmentNumber)): str(segment.get("TrackingUID"))
             for ds in segmentations for segment in ds.SegmentSequence}  # fmt: skip
    for group in groups(report):
        tracking = next((str(item.UID) for item in group.ContentSequence if concept(item) == "112040"), "")
        for reference in (item.ReferencedSOPSequence[0] for item in group.ContentSequence if concept(item) == "121191"):
            segment = (str(reference.ReferencedSOPInstanceUID), int(reference.ReferencedSegmentNumber))
            if segment not in known:
                yield "a group speaks of a segment that is not there"
            elif known[segment] != tracking:
                yield "a segment is followed under another UID than its group"
