"""A score as a probability: the fit that the manifest carries, applied."""

from __future__ import annotations

from math import exp, log

import numpy as np

from vigil.domain.manifest.operating import Calibration, Isotonic, Temperature

LEAST = 1e-7
"""A score of 0 or 1 has no logit; this is far beyond any that is told."""


def calibrated(score: float, rule: Calibration | None) -> float:
    """``score`` and result: 0 to 1."""
    if rule is None:
        return score
    if isinstance(rule, Isotonic):
        return float(np.interp(score, rule.score, rule.probability))
    inside = min(max(score, LEAST), 1 - LEAST)
    logit = log(inside / (1 - inside))
    return 1 / (1 + exp(-(logit / rule.temperature if isinstance(rule, Temperature) else rule.slope * logit + rule.intercept)))
