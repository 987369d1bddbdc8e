"""A golden case: an input whose answer the author knows, so that whoever installs the package sees the same answer here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vigil.domain.manifest.strict import Finite, Name, Strict


class GoldenPart(Strict):
    """What is known of one of several findings."""

    finding: str
    """The value of its concept's code."""
    kind: Literal["positive", "negative", "indeterminate", "not-analysed"]
    value: Finite | None = None
    """In the unit of the finding."""
    tolerance: Finite = Field(default=0.0, ge=0)


class GoldenCase(Strict):
    name: str = Field(min_length=1, max_length=64)
    file: str
    """A NumPy archive (npz) of the package, listed under ``files``: for each input ``<input>.voxels`` [slice, row, column] and
    ``<input>.affine`` (4 x 4, voxel to DICOM patient coordinates in mm); for each region that is found ``region.<name>``,
    [slice, row, column] of the first input, 0 outside. No header of a patient."""
    operating_point: Name = "default"
    kind: Literal["positive", "negative", "indeterminate", "measured", "not-analysed"]
    """The kind of the answer."""
    value: Finite | None = None
    """The value that decides, in the finding's unit; null where nothing is measured."""
    tolerance: Finite = Field(default=0.0, ge=0)
    """Largest difference of the value that is accepted."""
    region_tolerance: Finite = Field(default=0.001, ge=0, le=1)
    """Largest share of a region's voxels that may differ."""
    parts: tuple[GoldenPart, ...] = ()
    """Of a model of several findings, for each one; ``kind`` and ``value`` are then those of the gravest."""
