"""What a network's input tensor is by its manifest, and whether the graph agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from vigil.domain.manifest import Manifest, Network, TensorPreprocessing
from vigil.domain.manifest.sides import FLOAT32_BYTES, LARGEST_TENSOR_BYTES
from vigil.domain.manifest.strategy import PerSlice, SlidingWindow, Tiles
from vigil.inference.errors import ModelInvalid

ONNX_TYPES = {
    "float32": "tensor(float)", "float16": "tensor(float16)", "uint8": "tensor(uint8)", "int16": "tensor(int16)",
    "int32": "tensor(int32)",
}
SMALL, SMALL_OF_SHAPED = 16, 32
"""Sides of the tensor that warms a session where nothing says them. Deeper networks halve their input more often than one of
16 allows."""


@dataclass(frozen=True)
class TensorForm:
    """``layout``: a letter for each axis. ``sides``: None where only the source tells. ``small``: for those, when warming.
    ``ports``: of a graph with several inputs, how many of the channels each is given; empty where one is given all."""

    layout: str
    dtype: str
    sides: tuple[int | None, ...]
    small: int = SMALL
    ports: tuple[tuple[str, int], ...] = ()

    def of_port(self, name: str) -> TensorForm:
        """What one input of the graph is given."""
        if not self.ports:
            return self
        count = dict(self.ports)[name]
        sides = tuple(count if letter == "C" else side for letter, side in zip(self.layout, self.sides, strict=True))
        return replace(self, sides=sides, ports=())

    def agreed(self, name: str, onnx_type: str, graph: Sequence[object]) -> tuple[int, ...]:
        """A shape that both the graph and the manifest allow.

        Raises: ModelInvalid where there is none, or where it is larger than any machine should be asked for.
        """
        if onnx_type != ONNX_TYPES[self.dtype]:
            raise ModelInvalid(f"the network's input '{name}' is {onnx_type}; the manifest makes {ONNX_TYPES[self.dtype]} of "
                               f"{self.layout}")
        if len(graph) != len(self.layout):
            raise ModelInvalid(f"the network's input '{name}' is of rank {len(graph)}; it must be {self.dtype}, {self.layout}")
        agreed = []
        for letter, side, wanted in zip(self.layout, self.sides, graph, strict=True):
            fixed = wanted if isinstance(wanted, int) and wanted > 0 else None
            if fixed is not None and side is None:
                raise ModelInvalid(f"the network's input '{name}' takes {fixed} along {letter}, and the manifest leaves it to "
                                   f"the source; say {fixed} in preprocessing.shape, or use a sliding window or tiles")
            if fixed is not None and fixed != side:
                raise ModelInvalid(f"the network's input '{name}' takes {fixed} along {letter}, and the manifest gives {side}; "
                                   "make them the same (a batch of more than 1 needs a graph with a free batch)")
            if letter == "N" and fixed is not None and fixed > 1:
                raise ModelInvalid(f"the network's input '{name}' takes {fixed} at a time and no fewer, and what is left of a "
                                   "volume may be fewer; export it again with a free batch, or with one of 1")
            agreed.append(fixed or side or self.small)
        if (needed := FLOAT32_BYTES * prod(agreed)) > LARGEST_TENSOR_BYTES:
            raise ModelInvalid(f"the network's input '{name}' asks for a tensor of {needed / (1 << 30):.1f} GiB; at most "
                               f"{LARGEST_TENSOR_BYTES >> 30} GiB are given")
        return tuple(agreed)


def form_of(manifest: Manifest, network: Network) -> TensorForm:
    input_ = manifest.preprocessing
    if not isinstance(input_, TensorPreprocessing):
        return TensorForm("NCDHW", "float32", (1, 1, None, None, None))
    channels = len(input_.channels)
    blocks = 2 * manifest.strategy.neighbours + 1 if isinstance(manifest.strategy, PerSlice) else 1
    locator = manifest.locator
    if locator is not None and network == locator.network:
        return TensorForm("NCDHW", "float32", (1, channels, *locator.shape), ports=_ports(network, manifest, 1))
    strategy = manifest.strategy
    batch = 1
    depth, height, width = input_.shape
    if isinstance(strategy, SlidingWindow):
        batch = strategy.batch
        depth, height, width = strategy.window
    elif isinstance(strategy, Tiles):
        batch = strategy.batch
        height, width = strategy.tile
    elif isinstance(strategy, PerSlice):
        batch = strategy.batch
        channels *= blocks
    by_letter = {"N": batch, "C": channels, "D": depth, "H": height, "W": width}
    sides = tuple(by_letter[letter] for letter in input_.layout)
    return TensorForm(input_.layout, input_.dtype, sides, SMALL_OF_SHAPED, _ports(network, manifest, blocks))


def channels_of(network: Network, manifest: Manifest) -> dict[str, tuple[int, ...]]:
    """By input of the graph, which channels of the prepared tensor it is given; empty where it has one input for all."""
    input_ = manifest.preprocessing
    if network.inputs is None or not isinstance(input_, TensorPreprocessing):
        return {}
    return network.ports(input_.serving(manifest.reference.name))


def _ports(network: Network, manifest: Manifest, blocks: int) -> tuple[tuple[str, int], ...]:
    return tuple((name, len(channels) * blocks) for name, channels in channels_of(network, manifest).items())
