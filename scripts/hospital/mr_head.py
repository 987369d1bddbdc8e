"""The real T1 MR head of Debian's package mricron-data (ch2, "Colin27": the mean of 27 scans of one healthy adult), wrapped as
a DICOM MR series.

Read where the package put it and never copied into the project. 181 x 217 x 181 voxels of 1 mm, in the space of a
template, so that the head is larger than it was in life.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import MRImageStorage

from hospital.ct_series import Acquisition, Patient, plain_slices

HEAD = Path("/usr/share/mricron/templates/ch2.nii.gz")

Orientation = tuple[float, float, float, float, float, float]
AXIAL: Orientation = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL: Orientation = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL: Orientation = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


class MrHeadMissing(Exception):
    """The package is not installed."""


@dataclass(frozen=True, eq=False)
class MrHead:
    """``values``: [slice, row, column]. ``orientation``: of rows and columns, and ``origin_mm``: centre of the first voxel, in
    DICOM patient coordinates (LPS). ``spacing_mm``: slice, row, column."""

    values: NDArray[np.uint16]
    orientation: Orientation
    origin_mm: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]


def mr_head(orientation: Orientation = SAGITTAL) -> MrHead:
    """The head as it would come from a scan of this orientation, by default sagittal, as 3D T1 series are made. Voxels are
    rearranged, never interpolated: left and right are those of the file's own affine.

    Raises: MrHeadMissing.
    """
    if not HEAD.exists():
        raise MrHeadMissing(f"{HEAD} is not there; install the Debian package mricron-data (scripts/setup does)")
    image: Any = SimpleITK.ReadImage(str(HEAD))  # in patient coordinates, as DICOM's
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    directions = np.stack([np.cross(row, column), column, row])  # of slices, rows, columns
    own = np.array(image.GetDirection()).reshape(3, 3).T[::-1]  # the same, of the file's array
    agreement = np.rint(directions @ own.T).astype(int)  # one of -1 and 1 in each line
    axes = np.abs(agreement).argmax(axis=1)
    backwards = agreement[range(3), axes] < 0
    values = SimpleITK.GetArrayFromImage(image).transpose(axes)
    values = values[tuple(slice(None, None, -1 if flip else 1) for flip in backwards)]
    spacing = np.array(image.GetSpacing()[::-1])[axes]
    origin = np.array(image.GetOrigin())
    for axis, flip, count in zip(axes, backwards, values.shape, strict=True):
        if flip:
            origin = origin + own[axis] * image.GetSpacing()[2 - axis] * (count - 1)
    return MrHead(
        np.ascontiguousarray(values).astype(np.uint16), orientation,
        (float(origin[0]), float(origin[1]), float(origin[2])), (float(spacing[0]), float(spacing[1]), float(spacing[2])),
    )  # fmt: skip


def mr_series(head: MrHead, seed: str, patient: Patient, **acquisition: Any) -> Iterator[Dataset]:
    """One data set a slice. ``acquisition``: fields of :class:`hospital.ct_series.Acquisition`."""
    described = {
        "series_description": "t1_mprage_sag_1mm", "study_description": "MR HEAD", "image_type": ("ORIGINAL", "PRIMARY", "M"),
        **acquisition,
    }  # fmt: skip
    of = Acquisition(seed, head.spacing_mm, head.origin_mm, head.orientation, **described)
    high = int(head.values.max())
    for ds in plain_slices(head.values, of, patient):
        ds.ImageType = list(of.image_type)
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
        ds.Modality = "MR"
        ds.StationName = "MR1"
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = ["GR", "IR"], ["SP", "MP"], "", "3D"
        ds.RepetitionTime, ds.EchoTime, ds.InversionTime, ds.FlipAngle = "2300", "2.98", "900", "9"
        ds.EchoTrainLength = 1
        ds.MagneticFieldStrength = "1.5"
        ds.ProtocolName = "t1_mprage"
        ds.WindowCenter, ds.WindowWidth = str(high // 2), str(high)
        yield ds
