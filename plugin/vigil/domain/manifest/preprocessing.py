"""From the source volume to a network's input tensor."""

from __future__ import annotations

from itertools import permutations, product
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from vigil.domain.manifest.intensity import IntensityStep, Quantiles
from vigil.domain.manifest.sides import insist_it_can_be_held
from vigil.domain.manifest.strict import Finite, Strict

LEAST_SPACING_MM, LARGEST_SPACING_MM = 0.05, 50.0
LONGEST_SIDE = 4096
MOST_CHANNELS = 64

ORIENTATIONS = frozenset(
    "".join(letters)
    for axes in permutations(("LR", "AP", "SI"))
    for letters in product(*axes)
)
"""The 48 ways in which three axes can run along the patient's."""


class Preprocessing(Strict):
    """The whole volume on a spacing, with its own values (kind "spacing")."""

    kind: Literal["spacing"] = "spacing"
    orientation: Literal["LPS"] = "LPS"
    """Direction in which column, row and slice index grow, in patient axes."""
    spacing_mm: tuple[float, float, float]
    """Slice, row and column spacing of the network's input."""
    interpolation: Literal["linear"] = "linear"
    outside: float = -1024.0
    """Value beyond the field of view, in the unit of the input (HU for CT)."""
    layout: Literal["NCDHW"] = "NCDHW"


class Channel(Strict):
    """One channel of the tensor: which input it is made of, and further steps for it."""

    input: str | None = None
    """The name of one of ``inputs``; the first where it is left out."""
    colour: Literal["red", "green", "blue"] | None = None
    """Which colour of an input of ``colour: rgb``."""
    intensity: tuple[IntensityStep, ...] = ()


def _kind_of_channel(value: Any) -> str:
    return "steps" if isinstance(value, list | tuple) else "channel"


AnyChannel = Annotated[
    Annotated[tuple[IntensityStep, ...], Tag("steps")] | Annotated[Channel, Tag("channel")], Discriminator(_kind_of_channel)]


class TensorPreprocessing(Strict):
    """Any tensor: axes, voxels, values and layout as the author says (kind "tensor").

    Of each axis ``spacing_mm`` alone keeps the field of view; ``shape`` alone brings the field of view to so many voxels;
    both resample to the spacing, then cut or pad about the middle; neither (null) leaves the axis as it is.
    """

    kind: Literal["tensor"]
    orientation: str
    """Where each of the three axes of the volume grows to, first axis first: "RAS" grows to the right, the front and the
    head (as MONAI and NiBabel write it), "SPL" is a stack of axial slices as they are looked at, with rows and columns."""
    spacing_mm: tuple[Finite | None, Finite | None, Finite | None] = (None, None, None)
    shape: tuple[int | None, int | None, int | None] = (None, None, None)
    interpolation: Literal["linear", "linear-averaged", "nearest", "nearest-exact"] = "linear"
    """"linear": between two neighbours. "linear-averaged": where voxels become larger, all that lie in the new one count.
    "nearest" and "nearest-exact": as PyTorch defines them."""
    align: Literal["edges", "centres"] = "edges"
    """What of first and last voxel stays in place: their outer edges (PyTorch, SimpleITK), or their centres (scipy's zoom,
    "align_corners"; with "shape" alone)."""
    outside: Finite = 0.0
    """Value of what lies outside of the field of view, before the steps of ``intensity``."""
    intensity: tuple[IntensityStep, ...] = ()
    """Done with each input by itself: quantiles, means and extremes are its own."""
    channels: tuple[AnyChannel, ...] = Field(default=((),), min_length=1, max_length=MOST_CHANNELS)
    """Each channel of the tensor: a list of further steps (several windows of one series), or which input it is made of, with
    its steps. One channel where it is not given."""
    layout: Literal["NCDHW", "NDHWC", "NCHW", "NHWC"] = "NCDHW"
    """C: channels; D, H, W: first, second and third axis. Without D each slice across the first axis is an image."""
    dtype: Literal["float32", "float16", "uint8", "int16", "int32"] = "float32"

    @model_validator(mode="after")
    def _possible(self) -> TensorPreprocessing:
        if self.orientation not in ORIENTATIONS:
            raise ValueError(f"orientation '{self.orientation}' is none; write one letter for each axis: R or L, A or P, S or I, "
                             "such as RAS, LIA or SPL")
        for spacing in self.spacing_mm:
            if spacing is not None and not LEAST_SPACING_MM <= spacing <= LARGEST_SPACING_MM:
                raise ValueError(f"each spacing_mm must lie from {LEAST_SPACING_MM} to {LARGEST_SPACING_MM}")
        for side in self.shape:
            if side is not None and not 1 <= side <= LONGEST_SIDE:
                raise ValueError(f"each side of shape must lie from 1 to {LONGEST_SIDE}")
        both = any(side is not None and spacing is not None for side, spacing in zip(self.shape, self.spacing_mm, strict=True))
        if self.align == "centres" and any(spacing is not None for spacing in self.spacing_mm):
            raise ValueError("align 'centres' goes with 'shape' alone; take out 'spacing_mm'")
        if self.interpolation == "nearest" and both:
            raise ValueError("interpolation 'nearest' goes with 'shape' or 'spacing_mm', not with both; use 'nearest-exact'")
        further = [step for channel in self.each_channel for step in channel.intensity]
        if any(isinstance(step, Quantiles) and step.of == "locator" for step in further):
            raise ValueError("quantiles 'of: locator' stand in preprocessing.intensity, not in channels")
        insist_it_can_be_held("shape", (len(self.channels), *(side or 1 for side in self.shape)))
        return self

    @property
    def settled_by_locator(self) -> bool:
        """Whether a step takes its limits from the input of an earlier network."""
        return any(isinstance(step, Quantiles) and step.of == "locator" for step in self.intensity)

    @property
    def each_channel(self) -> tuple[Channel, ...]:
        """The channels in one form."""
        return tuple(item if isinstance(item, Channel) else Channel(intensity=item) for item in self.channels)

    def serving(self, reference: str) -> tuple[str, ...]:
        """Of each channel the input that it is made of. ``reference``: the name of the first."""
        return tuple(channel.input or reference for channel in self.each_channel)

    @property
    def of_slices(self) -> bool:
        """Whether the network is given images, not volumes."""
        return "D" not in self.layout


def _kind_of_preprocessing(value: Any) -> str:
    """"spacing" where the manifest does not say: the kind of version 1's first models."""
    kind = value.get("kind", "spacing") if isinstance(value, dict) else getattr(value, "kind", "spacing")
    return str(kind)


AnyPreprocessing = Annotated[
    Annotated[Preprocessing, Tag("spacing")]
    | Annotated[TensorPreprocessing, Tag("tensor")],
    Discriminator(_kind_of_preprocessing),
]
