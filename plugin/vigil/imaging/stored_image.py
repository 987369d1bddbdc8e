"""The pixels of one image as they are stored, and what makes values of them: half the memory of the values themselves.

An image waits in this form, from its arrival until its volume is made: the one step left is a multiplication.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AIR_HU = -1024.0


@dataclass(frozen=True, eq=False)
class StoredImage:
    """``pixels``: stored values [row, column], of 8 or 16 bits, signed or not (PS3.5 8.1.1). Value = stored value x ``slope`` +
    ``intercept`` (PS3.3 C.11.1.1.2). ``padding``: the lowest and the highest stored value that is no tissue (PS3.3
    C.7.5.1.1.2), None where there is none, or it is not to be told from tissue.
    """

    pixels: NDArray[np.integer]
    slope: float = 1.0
    intercept: float = 0.0
    padding: tuple[int, int] | None = None

    def into(self, out: NDArray[np.float32]) -> None:
        """Writes the values into ``out`` [row, column]: HU for CT, where padding becomes -1024 HU."""
        if self.slope == 1.0:
            np.add(self.pixels, np.float32(self.intercept), out=out, dtype=np.float32)
        else:
            np.multiply(self.pixels, np.float32(self.slope), out=out, dtype=np.float32)
            out += np.float32(self.intercept)
        if self.padding is not None:
            lowest, highest = self.padding
            out[(self.pixels >= lowest) & (self.pixels <= highest)] = AIR_HU
