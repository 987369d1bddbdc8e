"""The header of one plane: an image's own, or that of a frame with its functional groups at the top.

An enhanced multi-frame image tells place, spacing and window of a frame in functional groups, some for all frames, some
for each (PS3.3 C.7.6.16). Lifted to where a single-frame image has them, nothing else needs to know the difference.
"""

from __future__ import annotations

from pydicom import Dataset

from vigil.results.patient_study import copy_attributes

_LIFTED = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
    "PixelValueTransformationSequence": ("RescaleIntercept", "RescaleSlope", "RescaleType"),
    "FrameAnatomySequence": ("FrameLaterality",),
}
_OF_IMAGE = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber",
    "SeriesDescription", "Modality", "BodyPartExamined", "Laterality", "ImageLaterality", "ViewPosition",
    "FrameOfReferenceUID", "PositionReferenceIndicator", "PatientOrientation", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing", "SliceThickness", "SpacingBetweenSlices",
    "WindowCenter", "WindowWidth", "VOILUTFunction", "RescaleIntercept", "RescaleSlope", "RescaleType", "Rows", "Columns",
    "PhotometricInterpretation", "PresentationLUTShape", "LossyImageCompression", "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)  # fmt: skip


def frame_header(source: Dataset, frame: int) -> Dataset:
    """The header of frame ``frame`` (from 1) of a multi-frame image. Its instance number is the frame's: people count
    them."""
    header = Dataset()
    copy_attributes(source, header, _OF_IMAGE)
    for groups in _groups(source, frame):
        for macro, keywords in _LIFTED.items():
            for item in groups.get(macro) or ():
                copy_attributes(item, header, keywords)
    header.InstanceNumber = frame
    return header


def _groups(source: Dataset, frame: int) -> list[Dataset]:
    """Those of all frames first, so that those of the frame itself have the last word."""
    shared = list(source.get("SharedFunctionalGroupsSequence") or ())
    per_frame = source.get("PerFrameFunctionalGroupsSequence") or ()
    return [*shared[:1], *([per_frame[frame - 1]] if frame <= len(per_frame) else [])]
