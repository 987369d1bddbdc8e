"""The real CT head of Debian's package invesalius-examples, in Hounsfield units, with or without a hyperdense insert.

GPL-2; read where the package put it and never copied into the project. 108 axial slices of 256 x 256, 0.957 x 0.957 x
1.5 mm, from below the skull base to the vertex.
"""

from __future__ import annotations

import plistlib
import tarfile
from math import pi
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ARCHIVE = Path("/usr/share/doc/invesalius-examples/examples/Cranium.inv3")
CACHE = Path(__file__).resolve().parents[2] / "build" / "ct_head"
OVERSAMPLING = 4
EDGE_MM = 0.8
"""Width over which the insert fades: about the blur of a soft kernel."""

# Half axes in proportion, and the middle, of the insert: column, row, slice, in mm from the middle of the volume, in
# white matter away from ventricles and bone.
INSERT_PROPORTIONS = (0.9, 1.25, 0.9)
INSERT_AT_MM = (-40.0, 15.0, 20.0)


class CtHeadMissing(Exception):
    """The package is not installed."""


def ct_head() -> tuple[NDArray[np.int16], tuple[float, float, float]]:
    """HU [slice, row, column] and the spacing in that order, in mm.

    Slices run to the head and rows to the back, as DICOM's patient axes do: in the archive the nose lies at the end of
    the rows (its writer turns them over), so they are turned back here. Which side is left cannot be known from the
    anatomy; columns are taken as they stand, running to the patient's left.

    Raises: CtHeadMissing.
    """
    plist, matrix = CACHE / "main.plist", CACHE / "matrix.dat"
    if not (plist.exists() and matrix.exists()):
        _unpack(plist, matrix)
    described = plistlib.loads(plist.read_bytes())
    shape = tuple(described["matrix"]["shape"])
    column_mm, row_mm, slice_mm = (float(value) for value in described["spacing"])
    hu = np.fromfile(matrix, "<i2").reshape(shape)
    return np.ascontiguousarray(hu[:, ::-1, :]), (slice_mm, row_mm, column_mm)


def with_insert(
    hu: NDArray[np.int16],
    spacing_mm: tuple[float, float, float],
    volume_ml: float = 20.0,
    hu_value: float = 70.0,
    at_mm: tuple[float, float, float] = INSERT_AT_MM,
) -> tuple[NDArray[np.int16], float]:
    """The head with a hyperdense ellipsoid in the brain, and the volume that it truly has, in mL.

    Each voxel is moved towards ``hu_value`` by the share of it that the ellipsoid fills, its own noise kept; the true volume
    is the sum of those shares.
    """
    share = _ellipsoid_share(hu.shape, spacing_mm, volume_ml, at_mm)
    local = share > 0
    tissue = float(np.median(hu[share > 0.5]))
    changed = hu.copy()
    changed[local] = np.rint(hu[local] + share[local] * (hu_value - tissue)).astype(np.int16)
    return changed, float(share.sum()) * spacing_mm[0] * spacing_mm[1] * spacing_mm[2] / 1000.0


def _ellipsoid_share(
    shape: tuple[int, ...], spacing_mm: tuple[float, float, float], volume_ml: float, at_mm: tuple[float, float, float]
) -> NDArray[np.float32]:
    scale = (3 * volume_ml * 1000 / (4 * pi) / float(np.prod(INSERT_PROPORTIONS))) ** (1 / 3)
    half = [scale * part for part in INSERT_PROPORTIONS]
    share = np.zeros(shape, np.float32)
    box = tuple(
        slice(max(0, int(count / 2 + (at - reach - EDGE_MM) / spacing)), int(count / 2 + (at + reach + EDGE_MM) / spacing) + 2)
        for count, spacing, at, reach in zip(shape, spacing_mm, at_mm[::-1], half[::-1], strict=True)
    )
    z, y, x = (
        (((np.arange(window.start * OVERSAMPLING, window.stop * OVERSAMPLING) + 0.5) / OVERSAMPLING) - count / 2) * spacing - at
        for window, count, spacing, at in zip(box, shape, spacing_mm, at_mm[::-1], strict=True)
    )
    radius = np.sqrt(
        (x[None, None, :] / half[0]) ** 2 + (y[None, :, None] / half[1]) ** 2 + (z[:, None, None] / half[2]) ** 2
    )
    # Distance to the surface, about right near it; the edge fades evenly on both sides, so the volume stays.
    filled = np.clip(0.5 - (radius - 1) * min(half) / EDGE_MM, 0, 1)
    slices, rows, columns = (window.stop - window.start for window in box)
    blocks = filled.reshape(slices, OVERSAMPLING, rows, OVERSAMPLING, columns, OVERSAMPLING)
    share[box] = blocks.mean(axis=(1, 3, 5))
    return share


def _unpack(plist: Path, matrix: Path) -> None:
    if not ARCHIVE.exists():
        raise CtHeadMissing(f"{ARCHIVE} is missing; install the Debian package invesalius-examples (scripts/setup does)")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tarfile.open(ARCHIVE) as archive:
        for target in (plist, matrix):
            member = next(item for item in archive.getmembers() if item.name.endswith(f"/{target.name}"))
            source = archive.extractfile(member)
            if source is None:
                raise CtHeadMissing(f"{ARCHIVE} holds no {target.name}; install invesalius-examples again")
            # Whole or not at all, also when two processes unpack at once.
            partial = target.with_suffix(f".{id(member)}.partial")
            partial.write_bytes(source.read())
            partial.replace(target)
