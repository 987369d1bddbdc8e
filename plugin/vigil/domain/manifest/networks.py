"""The networks of a model, and the order in which they run."""

from __future__ import annotations

from pydantic import Field, model_validator

from vigil.domain.manifest.sides import Sides, insist_on_sides
from vigil.domain.manifest.strict import Strict


class Network(Strict):
    file: str
    input: str
    outputs: tuple[str, ...] = Field(min_length=1)


class Locator(Strict):
    """An earlier network, which finds the box of the volume that the deciding one is given. Its input is prepared as the
    deciding network's, on a shape of its own."""

    network: Network
    shape: Sides
    output: str
    channel: int = Field(ge=0)
    threshold: float
    least_share: float = Field(ge=0, lt=1)
    """A plane belongs to the box where more than this share of it is above the threshold."""
    margin: float = Field(ge=0)
    """Added on each side, as a share of the box."""

    @model_validator(mode="after")
    def _possible(self) -> Locator:
        if self.output not in self.network.outputs:
            raise ValueError(f"output '{self.output}' is none of the locator's network.outputs")
        insist_on_sides("shape", self.shape)
        return self
