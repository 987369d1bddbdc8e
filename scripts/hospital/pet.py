"""A synthetic PET series of known uptake."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage

from hospital.ct_series import Acquisition, Patient, plain_slices

WEIGHT_KG, DOSE_BQ, HALF_LIFE_S, WAITED_S = 74.0, 370e6, 6586.2, 3600.0


def pet_series(uptake: NDArray[np.floating], acquisition: Acquisition, patient: Patient) -> Iterator[Dataset]:
    """``uptake``: SUV by body weight, [slice, row, column]; stored as activity, each slice with a slope of its own."""
    left_bq = DOSE_BQ * 2 ** (-WAITED_S / HALF_LIFE_S)
    activity = uptake * left_bq / (WEIGHT_KG * 1000)
    slopes = np.maximum(activity.max(axis=(1, 2)), 1.0) / 4000
    stored = np.rint(activity / slopes[:, None, None]).astype("<u2")
    started = acquisition.started
    injected = started.replace(hour=(started.hour - 1) % 24)
    for index, ds in enumerate(plain_slices(stored, acquisition, patient)):
        ds.ImageType = list(acquisition.image_type)
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = PositronEmissionTomographyImageStorage
        ds.Modality, ds.StationName = "PT", "PET1"
        ds.Units, ds.DecayCorrection, ds.CountsSource, ds.SeriesType = "BQML", "START", "EMISSION", ["STATIC", "IMAGE"]
        ds.CorrectedImage = ["DECY", "ATTN", "SCAT"]
        ds.PatientWeight = str(WEIGHT_KG)
        ds.RescaleIntercept, ds.RescaleSlope = "0", f"{slopes[index]:.6f}"
        given = Dataset()
        given.RadiopharmaceuticalStartTime = injected.strftime("%H%M%S")
        given.RadionuclideTotalDose, given.RadionuclideHalfLife = str(int(DOSE_BQ)), str(HALF_LIFE_S)
        ds.RadiopharmaceuticalInformationSequence = [given]
        ds.NumberOfSlices, ds.ImageIndex = len(stored), index + 1
        yield ds
