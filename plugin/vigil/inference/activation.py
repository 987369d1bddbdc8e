"""From a network's raw values to probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vigil.domain.manifest.outputs import Activation

Values = NDArray[np.float32]


def activated(values: Values, activation: Activation, axis: int = 0) -> Values:
    """``axis``: that of the classes, of a softmax."""
    if activation == "sigmoid":
        return sigmoid(values)
    if activation == "softmax":
        # In place: a volume's probabilities take some hundred megabytes.
        powers = values - values.max(axis=axis, keepdims=True)
        np.exp(powers, out=powers)
        powers /= powers.sum(axis=axis, keepdims=True)
        return np.asarray(powers, np.float32)
    return values


def sigmoid(values: Values) -> Values:
    """Without overflow on either side."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)), np.float32)
