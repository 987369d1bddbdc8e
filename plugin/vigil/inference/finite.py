"""Whether tensors hold numbers alone: a NaN or an infinity, in or out, is no answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vigil.inference.errors import InferenceFailed


def insist_finite(what: str, values: NDArray[np.number]) -> None:
    """Raises: InferenceFailed."""
    # A NaN or an infinity anywhere makes the sum one, for half of what a mask costs. In float32 large numbers may do so too: then
    # the sum in float64 has the last word.
    with np.errstate(over="ignore", invalid="ignore"):
        if values.dtype == np.float32 and np.isfinite(values.sum()):
            return
        if not np.isfinite(values.sum(dtype=np.float64)):
            raise InferenceFailed(f"{what} holds a value that is no number")
