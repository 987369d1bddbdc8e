"""Small studies to send: synthetic heads of patients who are plainly tests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from hospital.ct_series import Acquisition, Patient, ct_series
from hospital.phantom import Head, phantom

POSITIVE_ML = 20.0


@cache
def _voxels(insert_ml: float | None) -> NDArray[np.float32]:
    return phantom(Head(insert_ml=insert_ml))


def head_study(
    seed: str, *, insert_ml: float | None = POSITIVE_ML, patient: Patient | None = None, **acquisition: Any,
) -> list[Dataset]:
    """A CT head of 40 slices of 128 x 128, 4 mm apart: with a hyperdense insert, or without (None). ``seed`` makes the UIDs;
    ``acquisition``: fields of :class:`hospital.ct_series.Acquisition`."""
    settings: Mapping[str, Any] = {"spacing_mm": Head().spacing_mm, "accession": f"ACC-{seed}"[:16], **acquisition}
    return list(ct_series(_voxels(insert_ml), Acquisition(seed, **settings),
                          patient or Patient(patient_id=f"VIGIL-{seed}"[:64])))
