"""The networks of a model, and the order in which they run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, model_validator

from vigil.domain.manifest.sides import Sides, insist_on_sides
from vigil.domain.manifest.strict import Strict


class Network(Strict):
    """``input`` is given every channel of the prepared tensor; of a graph with several inputs ``inputs`` says which is given
    which."""

    file: str
    input: str | None = None
    inputs: dict[str, str | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]] | None = Field(
        default=None, min_length=1)
    """By name of the graph's input: the name of one of ``inputs`` (all of its channels), or a list of channels of
    ``preprocessing.channels``, counted from 0."""
    outputs: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _given_something(self) -> Network:
        if (self.input is None) == (self.inputs is None):
            raise ValueError("a network has either 'input' (one, for all channels) or 'inputs' (several)")
        return self

    def ports(self, serving: Sequence[str]) -> dict[str, tuple[int, ...]]:
        """The channels that each input of the graph is given. ``serving``: of each channel the input of the manifest that it is
        made of.

        Raises: ValueError where it names what is not there.
        """
        if self.inputs is None:
            return {self.input or "": tuple(range(len(serving)))}
        found: dict[str, tuple[int, ...]] = {}
        for port, given in self.inputs.items():
            channels = tuple(index for index, name in enumerate(serving) if name == given) if isinstance(given, str) else given
            if not channels or max(channels) >= len(serving):
                raise ValueError(f"network.inputs '{port}': {given} is neither an input that a channel is made of nor a list of "
                                 f"channels from 0 to {len(serving) - 1}")
            found[port] = channels
        return found


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
