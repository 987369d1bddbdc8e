"""Several predictions of one input that become one: further networks of the same kind, and mirrored inputs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vigil.domain.manifest.strict import Finite, Strict

MOST_PREDICTIONS = 64


class Ensemble(Strict):
    """What every network gives, of the input as it is and of each flip (turned back), is averaged after the activation; how far
    the predictions differ is told."""

    files: tuple[str, ...] = ()
    """Further networks, with the inputs and outputs of ``network``."""
    flips: tuple[Literal["D", "H", "W", "DH", "DW", "HW", "DHW"], ...] = ()
    """Axes of the tensor along which the input is mirrored as well; each entry is one more prediction of each network."""
    abstain_above_spread: Finite | None = Field(default=None, gt=0)
    """In the unit of the finding: where the predictions' standard deviation is above it, the answer is "indeterminate"."""

    @model_validator(mode="after")
    def _possible(self) -> Ensemble:
        if not self.files and not self.flips:
            raise ValueError("an ensemble has 'files' of further networks, 'flips', or both")
        if len(set(self.files)) != len(self.files) or len(set(self.flips)) != len(self.flips):
            raise ValueError("each of files and flips stands once")
        if self.predictions > MOST_PREDICTIONS:
            raise ValueError(f"files and flips make {self.predictions} predictions of each input; at most {MOST_PREDICTIONS} "
                             "are run")
        return self

    @property
    def predictions(self) -> int:
        return (1 + len(self.files)) * (1 + len(self.flips))
