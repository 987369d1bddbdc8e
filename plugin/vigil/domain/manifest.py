"""What a model package says of itself: ``models/<id>/manifest.yaml``, version 1 of the schema.

The manifest is the author's whole contract: what the model may be run on, how its input is prepared, what its output
means and what may leave the house. Unknown keys are errors, so that a misspelt limit never passes as an absent one.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from vigil.domain.codes import UNITS
from vigil.domain.concepts import Code


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CodeEntry(Strict):
    """A code of the manifest: value, scheme and meaning, as DICOM writes them."""

    value: str = Field(min_length=1, max_length=16)
    scheme: str = Field(min_length=1, max_length=16)
    meaning: str = Field(min_length=1, max_length=64)

    def code(self) -> Code:
        return Code(self.value, self.scheme, self.meaning)


class RegulatoryStatus(StrEnum):
    RESEARCH = "research"
    CLEARED = "cleared"


class PermittedOutput(StrEnum):
    """What a clearance lets a model say. A triage-only model has ``notification`` alone and draws nothing."""

    NOTIFICATION = "notification"
    SCORE = "score"
    MEASUREMENT = "measurement"
    LOCATION = "location"
    CONTOUR = "contour"


class Regulatory(Strict):
    status: RegulatoryStatus
    intended_use: str = Field(min_length=20)
    clearance: str | None = None
    permitted_outputs: frozenset[PermittedOutput]

    @model_validator(mode="after")
    def _cleared_says_where(self) -> Regulatory:
        if self.status is RegulatoryStatus.CLEARED and not self.clearance:
            raise ValueError("a cleared model names its clearance (number and authority) in 'clearance'")
        return self


class WhenUnknown(StrEnum):
    """What to do where the header does not say: refuse (the default) or accept."""

    REFUSE = "refuse"
    ACCEPT = "accept"


class BodyPart(Strict):
    """Accepted values of Body Part Examined; ``words`` are looked for in the study, series and protocol descriptions
    where Body Part Examined is absent."""

    any_of: tuple[str, ...] = Field(min_length=1)
    words: tuple[str, ...] = ()
    unknown: WhenUnknown = WhenUnknown.REFUSE


class Range(Strict):
    """A closed range; the unit is in the name of the key that holds it."""

    minimum: float | None = None
    maximum: float | None = None
    unknown: WhenUnknown = WhenUnknown.REFUSE

    @model_validator(mode="after")
    def _possible(self) -> Range:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        return self


class AnyOf(Strict):
    """Accepted values of a text of the header, in any case of letters."""

    any_of: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)
    unknown: WhenUnknown = WhenUnknown.REFUSE


class Contrast(StrEnum):
    NONE = "none"
    """Only images without a contrast agent: one that the header names refuses them."""
    GIVEN = "given"
    """Only images whose header names a contrast agent."""


class Scope(Strict):
    """On what the model may run (law 5)."""

    modality: tuple[str, ...] = Field(min_length=1)
    body_part: BodyPart
    age_years: Range | None = None
    slice_thickness_mm: Range | None = None
    sex: AnyOf | None = None
    """Patient's Sex: M, F or O."""
    manufacturers: AnyOf | None = None
    """Words of Manufacturer, for example "siemens"."""
    kernels: AnyOf | None = None
    """Convolution Kernels, each whole, for example "H30s"."""
    field_strength_t: Range | None = None
    contrast: Contrast | None = None
    lossy: Literal["refuse", "accept"] = "refuse"
    """What to do with images that were ever compressed with loss: nobody knows what a network makes of its traces."""
    views: AnyOf | None = None
    """View Positions of projection images: PA, AP, LL, MLO, CC."""


class SeriesInput(Strict):
    """How the one series of this input is picked, and when it is complete (law 2)."""

    name: str
    excluded_image_types: tuple[str, ...] = ("LOCALIZER", "SECONDARY")
    excluded_words: tuple[str, ...] = ()
    """Words of a series description that rule a series out, for example "bone"."""
    required_words: tuple[str, ...] = ()
    """Words of which one must stand in the series description or the protocol's name, for example "t1"; none needs to
    where there are none."""
    minimum_slices: int = Field(ge=1)
    minimum_coverage_mm: float = Field(gt=0)
    maximum_slices: int = Field(default=2000, ge=1)
    spacing_tolerance: float = Field(default=0.05, gt=0, lt=1)
    """Largest relative departure of a slice gap from the median gap; beyond it a slice is missing or the spacing
    irregular."""
    largest_gantry_tilt_degrees: float = Field(default=0, ge=0, le=45)
    """Up to which a tilted stack is straightened before the model sees it; 0 refuses any."""
    quiet_s: float = Field(default=0, ge=0)
    """Time without a new image that a study needs beside Orthanc's StableAge before a negative may leave."""
    give_up_after_s: float = Field(default=600, ge=0)
    """Time without a new image after which an incomplete study is answered "not analysed"."""


class Preprocessing(Strict):
    """From the source volume to the network's input tensor: the whole volume on a spacing."""

    kind: Literal["spacing"] = "spacing"
    orientation: Literal["LPS"] = "LPS"
    """Direction in which column, row and slice index grow, in patient axes."""
    spacing_mm: tuple[float, float, float]
    """Slice, row and column spacing of the network's input."""
    interpolation: Literal["linear"] = "linear"
    outside: float = -1024.0
    """Value beyond the field of view, in the unit of the input (HU for CT)."""
    layout: Literal["NCDHW"] = "NCDHW"


class ShapePreprocessing(Strict):
    """From the source volume to the network's input tensor: a box of the volume on a shape, with values of no unit."""

    kind: Literal["fixed-shape"]
    orientation: Literal["RAS"]
    """Direction in which the three axes of the tensor grow: to the right, to the front, to the head."""
    shape: tuple[int, int, int]
    interpolation: Literal["nearest-exact"]
    clamp_quantiles: tuple[float, float]
    """Values below the first and above the second quantile (of the locator's input) become these."""
    mean: float
    deviation: float = Field(gt=0)
    """Mean and standard deviation that the input is brought to."""
    layout: Literal["NCDHW"] = "NCDHW"

    @model_validator(mode="after")
    def _possible(self) -> ShapePreprocessing:
        low, high = self.clamp_quantiles
        if not 0 <= low < high <= 1:
            raise ValueError(f"clamp_quantiles {low} and {high} must rise, from 0 to 1")
        _sides(self.shape)
        return self


def _sides(shape: tuple[int, int, int]) -> None:
    if any(not LEAST_SIDE <= side <= LARGEST_SIDE for side in shape):
        raise ValueError(f"each side of shape must lie from {LEAST_SIDE} to {LARGEST_SIDE}")


LEAST_SIDE, LARGEST_SIDE = 16, 512


def _kind_of_preprocessing(value: Any) -> str:
    """"spacing" where the manifest does not say: the kind of version 1's first models."""
    kind = value.get("kind", "spacing") if isinstance(value, dict) else getattr(value, "kind", "spacing")
    return str(kind)


AnyPreprocessing = Annotated[
    Annotated[Preprocessing, Tag("spacing")] | Annotated[ShapePreprocessing, Tag("fixed-shape")],
    Discriminator(_kind_of_preprocessing),
]


class Network(Strict):
    file: str
    input: str
    outputs: tuple[str, ...] = Field(min_length=1)


class Locator(Strict):
    """An earlier network, which finds the box of the volume that the deciding one is given. Its input is prepared as the
    deciding network's, on a shape of its own."""

    network: Network
    shape: tuple[int, int, int]
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
        _sides(self.shape)
        return self


class HyperdenseVolume(Strict):
    """Cavity and band of :mod:`vigil.inference.hyperdense`: the band inside the intracranial cavity, as a region and
    a volume."""

    kind: Literal["hyperdense-volume"]
    cavity_output: str
    """1 in soft tissue, up to the bone. The cavity is its largest part, opened."""
    band_output: str
    """1 in soft tissue of raised density: what makes a region."""
    raised_output: str = "raised"
    """1 in soft tissue at half the way up to that density: how far a region goes."""
    region: str
    opening_radius_mm: float = Field(default=12.0, gt=0)
    """A ball of this radius finds no way from the cavity through openings of the skull."""
    growth_mm: float = Field(default=3.0, ge=0)
    """How far a region goes on from the band into what is raised."""
    minimum_component_ml: float = Field(ge=0)
    plausible_cavity_ml: Range
    largest_open_share_at_base: float = Field(default=0.15, gt=0, lt=1)
    """Area of the cavity in the lowest slice, as a share of its largest slice; beyond it the scan ends inside the head."""
    largest_open_share_elsewhere: float = Field(default=0.08, gt=0, lt=1)
    """The same at the vertex and at the four sides."""


class BrainVolume(Strict):
    """The brain inside the locator's box, as a region and a volume: :mod:`vigil.inference.brain_volume`."""

    kind: Literal["brain-volume"]
    output: str
    channel: int = Field(ge=0)
    threshold: float
    region: str
    plausible_ml: Range
    """Outside of it nothing is measured: the brain was not outlined, or is not there as a whole."""
    largest_open_share: float = Field(gt=0, lt=1)
    """Area of the brain in a border of the images, as a share of its largest section; beyond it they end inside the
    brain."""


Postprocessing = Annotated[HyperdenseVolume | BrainVolume, Field(discriminator="kind")]


class OperatingPoint(Strict):
    """Positive at or above ``positive``; between ``indeterminate`` (where given) and ``positive`` the model
    abstains."""

    positive: float
    indeterminate: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> OperatingPoint:
        if self.indeterminate is not None and self.indeterminate > self.positive:
            raise ValueError("the abstain band lies below the positive threshold")
        return self


class FindingEntry(Strict):
    """What the answer is about, in codes and in words. The sentences are format strings over ``value``, ``unit`` and
    ``threshold``: either the three of a decision, or the one of a measurement, which decides nothing."""

    concept: CodeEntry
    category: CodeEntry
    site: CodeEntry
    measurement: CodeEntry
    unit: str
    acr_category: Literal[1, 2, 3] | None = None
    positive: str = ""
    negative: str = ""
    indeterminate: str = ""
    measured: str = ""

    @model_validator(mode="after")
    def _can_be_said(self) -> FindingEntry:
        if self.unit not in UNITS:
            raise ValueError(f"unit '{self.unit}' is not known; one of {', '.join(UNITS)}")
        decision = (self.positive, self.negative, self.indeterminate)
        if self.measured and (any(decision) or self.acr_category is not None):
            raise ValueError("a finding that is 'measured' decides nothing: it has no 'positive', 'negative', 'indeterminate' "
                             "and no 'acr_category'")
        if not self.measured and not all(decision):
            raise ValueError("a finding needs the sentences 'positive', 'negative' and 'indeterminate', or 'measured' alone")
        for sentence in (*decision, self.measured):
            try:
                sentence.format(value="", unit="", threshold="")
            except (LookupError, ValueError, AttributeError) as error:
                raise ValueError("a sentence may name {value}, {unit} and {threshold}, and nothing else in braces") from error
        return self


class Manifest(Strict):
    schema_version: Literal[1]
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,46}[a-z0-9]$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    name: str = Field(max_length=40)
    vendor: str = Field(max_length=64)
    licence: str
    summary: str
    regulatory: Regulatory
    files: dict[str, str]
    """SHA-256 of every file that the model needs, by its name in the folder."""
    scope: Scope
    inputs: tuple[SeriesInput, ...] = Field(min_length=1, max_length=1)
    preprocessing: AnyPreprocessing
    locator: Locator | None = None
    network: Network
    postprocessing: Postprocessing
    operating_points: dict[str, OperatingPoint] = Field(default_factory=dict)
    finding: FindingEntry
    limitations: tuple[str, ...] = Field(min_length=1)
    changes: dict[str, str]

    @model_validator(mode="after")
    def _whole(self) -> Manifest:
        for network in self.networks:
            if network.file not in self.files:
                raise ValueError(f"network.file '{network.file}' has no SHA-256 under 'files'")
        if not self.finding.measured and "default" not in self.operating_points:
            raise ValueError("operating_points needs one named 'default'")
        if self.finding.measured and self.operating_points:
            raise ValueError("a finding that is 'measured' has no operating points")
        boxed = isinstance(self.postprocessing, BrainVolume)
        if boxed != isinstance(self.preprocessing, ShapePreprocessing) or boxed != (self.locator is not None):
            raise ValueError(
                "postprocessing 'brain-volume' goes with a 'locator' and preprocessing of kind 'fixed-shape', and no other does"
            )
        if boxed != bool(self.finding.measured):
            raise ValueError("postprocessing 'brain-volume' goes with a finding that is 'measured', and no other does")
        if isinstance(self.postprocessing, BrainVolume) and self.postprocessing.output not in self.network.outputs:
            raise ValueError(f"postprocessing.output '{self.postprocessing.output}' is none of network.outputs")
        return self

    @property
    def networks(self) -> tuple[Network, ...]:
        """In the order in which they run."""
        return (self.network,) if self.locator is None else (self.locator.network, self.network)

    @property
    def weights_sha256(self) -> str:
        """Of the network's file; of several networks, the SHA-256 of their SHA-256s (hexadecimal) in the order in which
        they run."""
        if self.locator is None:
            return self.files[self.network.file]
        return sha256("".join(self.files[network.file].lower() for network in self.networks).encode()).hexdigest()
