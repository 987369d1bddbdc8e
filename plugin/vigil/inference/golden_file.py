"""Reads the file of a golden case: volumes by input, and the regions that must be found in them."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vigil.imaging.volume import Volume
from vigil.inference.aligned import colours_of
from vigil.inference.errors import ModelInvalid
from vigil.inference.morphology import Mask
from vigil.inference.registry import InstalledModel

LARGEST_BYTES = 2 << 30
"""Of all that a file unpacks to: it comes with a package of strangers."""


@dataclass(frozen=True, eq=False)
class Golden:
    """``volumes``: by the name of the input, the first one first. ``regions``: by name, [slice, row, column] of the first."""

    volumes: dict[str, Volume]
    regions: dict[str, Mask]

    @property
    def reference(self) -> Volume:
        return next(iter(self.volumes.values()))

    @property
    def further(self) -> dict[str, Volume]:
        """Of the inputs beside the first."""
        return dict(list(self.volumes.items())[1:])


def read_golden(model: InstalledModel, file: str) -> Golden:
    """Raises: ModelInvalid; ModelFileMissing; ModelHashMismatch."""
    if model.manifest is None:
        raise ModelInvalid("the package has no manifest that can be read")
    arrays = _arrays(model.read_file(file), file)
    names = [*(item.name for item in model.manifest.inputs), *colours_of(model.manifest)]
    volumes = {name: _volume(arrays, name, file) for name in names}
    shape = volumes[model.manifest.reference.name].voxels.shape
    regions: dict[str, Mask] = {}
    for key, array in arrays.items():
        if not key.startswith("region."):
            continue
        if array.shape != shape:
            raise ModelInvalid(f"'{key}' of {file} has shape {array.shape}; it must be that of the volume, {shape}")
        regions[key.removeprefix("region.")] = np.asarray(array != 0, np.bool_)
    return Golden(volumes, regions)


def _arrays(content: bytes, file: str) -> dict[str, NDArray[np.generic]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > LARGEST_BYTES:
            raise ModelInvalid(f"{file} unpacks to more than {LARGEST_BYTES >> 30} GiB; a golden case is small")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelInvalid(f"{file} is no NumPy archive of plain arrays ({type(error).__name__}); write it anew") from None


def _volume(arrays: dict[str, NDArray[np.generic]], name: str, file: str) -> Volume:
    try:
        voxels, affine = arrays[f"{name}.voxels"], arrays[f"{name}.affine"]
    except KeyError as missing:
        raise ModelInvalid(f"{file} has no array {missing}; it needs '{name}.voxels' and '{name}.affine'") from None
    if voxels.ndim != 3 or not voxels.size or voxels.dtype.kind not in "iuf":
        raise ModelInvalid(f"'{name}.voxels' of {file} must be numbers, [slice, row, column]")
    if affine.shape != (4, 4) or affine.dtype.kind not in "iuf":
        raise ModelInvalid(f"'{name}.affine' of {file} must be 4 x 4 numbers")
    placed = np.asarray(affine, np.float64)
    if not np.isfinite(placed).all() or abs(np.linalg.det(placed[:3, :3])) < 1e-9:
        raise ModelInvalid(f"'{name}.affine' of {file} places no volume; it maps voxels to the patient, in mm")
    return Volume(np.asarray(voxels, np.float32), placed)


def golden_bytes(golden: Golden) -> bytes:
    """The file: the same bytes for the same case. Whole numbers are kept as such, so that it stays small."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, volume in golden.volumes.items():
        whole = np.rint(volume.voxels)
        fits = bool((whole == volume.voxels).all()) and abs(float(np.abs(whole).max())) <= np.iinfo(np.int16).max
        arrays[f"{name}.voxels"] = whole.astype(np.int16) if fits else volume.voxels
        arrays[f"{name}.affine"] = volume.affine
    arrays |= {f"region.{name}": mask.astype(np.uint8) for name, mask in golden.regions.items()}
    kept = io.BytesIO()
    np.savez_compressed(kept, allow_pickle=False, **arrays)
    return kept.getvalue()
