"""From a volume in memory to the voxels of a network: another spacing, beside scipy's zoom and SimpleITK's interpolation."""

# SimpleITK and scipy have no type annotations.
# mypy: disable-error-code="no-untyped-call,import-untyped"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from benchmark.case import Case, Effort
from benchmark.findings import Figure, Findings, Target
from benchmark.statistics import median, ratio
from benchmark.stopwatch import now
from vigil.imaging.placing import PlacedGrid, Wanted, place
from vigil.imaging.volume import Volume

SHAPE, SPACING_MM, WANTED_MM = (300, 512, 512), (1.0, 0.7, 0.7), 1.5
VIGIL, ZOOM, ITK = "Vigil", "scipy zoom, order 1", "SimpleITK, linear"
AHEAD, LARGEST_HU = 2.0, 0.05
NOTE = (
    "300 × 512² float32 voxels of 1.0 × 0.7 × 0.7 mm to 1.5 mm, linear, in memory, in turns, in one process. SimpleITK runs "
    "on one thread. zoom keeps the middles of the first and the last voxel in their places, the others the outer edges, so "
    "values are compared with SimpleITK's alone."
)


def linear(case: Case, effort: Effort) -> Findings:
    from scipy.ndimage import zoom

    voxels = np.random.default_rng(1).normal(0, 300, SHAPE).astype(np.float32)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = *SPACING_MM, 1.0
    volume = Volume(voxels, affine)
    grid = _ours(volume)
    factors = [new / old for new, old in zip(grid.shape, SHAPE, strict=True)]
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    image, onto = _image(voxels), _grid(grid)
    ways: dict[str, Callable[[], Any]] = {
        VIGIL: lambda: _ours(volume),
        ZOOM: lambda: zoom(voxels, factors, order=1),
        ITK: lambda: SimpleITK.Resample(image, onto, SimpleITK.Transform(), SimpleITK.sitkLinear),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(effort.repeats + 1):
        for name, way in ways.items():
            begun = now()
            way()
            if turn:  # the first is for warmth
                spent[name].append((now() - begun).cpu_s)
    theirs = SimpleITK.GetArrayFromImage(ways[ITK]())
    inner = (slice(2, -2),) * 3  # at the border SimpleITK writes 0 where nothing is
    largest = float(np.abs(grid.voxels[inner] - theirs[inner]).max())
    figures = [Figure.of(name, "CPU s", values) for name, values in spent.items()]
    figures += [Figure(f"{name} / {VIGIL}", "×", ratio(spent[name], spent[VIGIL])) for name in (ZOOM, ITK)]
    targets = (
        Target(f"{ZOOM} / {VIGIL}", AHEAD, False, "×", ratio(spent[ZOOM], spent[VIGIL])),
        Target("largest difference from SimpleITK", LARGEST_HU, True, "HU", median([largest])),
    )
    return Findings(case.name, case.title, NOTE, figures=tuple(figures), targets=targets)


def _ours(volume: Volume) -> PlacedGrid:
    return place(volume, Wanted("SPL", (WANTED_MM,) * 3, (None, None, None), "linear"))


def _image(voxels: NDArray[np.float32]) -> Any:
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing(SPACING_MM[::-1])
    return image


def _grid(grid: PlacedGrid) -> Any:
    """The same places for SimpleITK."""
    onto = SimpleITK.Image([int(count) for count in grid.shape[::-1]], SimpleITK.sitkFloat32)
    onto.SetSpacing([float(step) for step in grid.spacing_mm[::-1]])
    onto.SetOrigin([float(line.first * spacing) for line, spacing in zip(grid.lines[::-1], SPACING_MM[::-1], strict=True)])
    return onto
