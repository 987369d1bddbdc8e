"""Sources that are no stack of slices: radiographs without a place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def chest(rows: int, columns: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A chest as a radiograph shows it, bright where much is absorbed, from 0 to 4095, and a mask of the round opacity
    in its right lung."""
    y, x = np.meshgrid(np.linspace(-1, 1, rows, dtype=np.float32), np.linspace(-1, 1, columns, dtype=np.float32), indexing="ij")
    image = np.full((rows, columns), 150, np.float32)
    image[(np.abs(x) / 0.9) ** 4 + (np.abs(y - 0.3) / 1.2) ** 6 <= 1] = 2300
    for side in (-1, 1):
        lung = ((x - side * 0.4) / 0.3) ** 2 + ((y + 0.05) / 0.62) ** 2 <= 1
        image[lung] = 900
    image += 260 * np.exp(-((x / 0.09) ** 2)) + 700 * (((x - 0.12) / 0.3) ** 2 + ((y - 0.28) / 0.3) ** 2 <= 1)
    image += 160 * (np.sin((y + 0.5 * x**2) * 26) > 0.72)
    radius = ((x + 0.42) / 0.1) ** 2 + ((y - 0.12) / 0.085) ** 2
    image += 620 * np.clip(1.15 - radius, 0, 1)
    image += np.random.default_rng(3).normal(0, 24, image.shape).astype(np.float32)
    return np.clip(image, 0, 4095), radius <= 1


def breast(rows: int, columns: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A right breast in medio-lateral oblique view, its chest wall at the right edge, and the mask of a mass in it."""
    y, x = np.meshgrid(np.linspace(-1, 1, rows, dtype=np.float32), np.linspace(0, 1, columns, dtype=np.float32), indexing="ij")
    depth = 1 - ((1 - x) / 0.85) ** 2 - (y / 0.8) ** 2
    image = np.where(depth > 0, 900 + 700 * np.sqrt(np.maximum(depth, 0)), 30).astype(np.float32)
    generator = np.random.default_rng(4)
    coarse = generator.normal(0, 1, (rows // 60, columns // 60)).astype(np.float32)
    glands = np.asarray(Image.fromarray(coarse).resize((columns, rows), Image.Resampling.BICUBIC))
    image += 140 * glands * np.clip(depth * 3, 0, 1)
    image[(x - 0.62) * 0.9 - (y + 0.35) * 0.55 > 0.42] = 2600
    radius = ((x - 0.6) / 0.07) ** 2 + ((y - 0.05) / 0.05) ** 2
    image += 1100 * np.clip(1.2 - radius, 0, 1)
    image += generator.normal(0, 18, image.shape).astype(np.float32)
    return np.clip(image, 0, 4095), radius <= 1
