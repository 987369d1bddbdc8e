"""What a network's output tensors mean."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from vigil.domain.manifest.strict import Finite, Name, Strict

Activation = Literal["none", "sigmoid", "softmax"]


class Segmentation(Strict):
    """Channels of the input's own shape, one a structure: [N, C, D, H, W] or as the layout says."""

    kind: Literal["segmentation"]
    name: Name
    tensor: str
    activation: Activation = "none"
    channels: int = Field(ge=1, le=1024)


class HeatMap(Strict):
    """One channel of the input's own shape: how suspect each place is, 0 to 1 after the activation."""

    kind: Literal["heat-map"]
    name: Name
    tensor: str
    activation: Literal["none", "sigmoid"] = "none"

    @property
    def channels(self) -> int:
        return 1


class Classification(Strict):
    """[N, classes]: a probability for each class, after the activation ("softmax": one of them; "sigmoid": each by itself)."""

    kind: Literal["classification"]
    name: Name
    tensor: str
    activation: Activation = "none"
    classes: tuple[Name, ...] = Field(min_length=1)
    over_slices: Literal["maximum", "mean"] = "maximum"
    """How the slices of a per-slice strategy become one value."""

    @model_validator(mode="after")
    def _possible(self) -> Classification:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("each of classes must have a name of its own")
        if self.activation == "softmax" and len(self.classes) < 2:
            raise ValueError("activation 'softmax' needs two classes or more; of one it always makes 1")
        return self


class Regression(Strict):
    """[N, values] or [N]: a number, multiplied and shifted into the unit that is told."""

    kind: Literal["regression"]
    name: Name
    tensor: str
    index: int = Field(default=0, ge=0)
    scale: Finite = 1.0
    offset: Finite = 0.0
    over_slices: Literal["maximum", "mean"] = "mean"


class Detection(Strict):
    """Boxes with scores: ``boxes`` [N, boxes, 4] of slices or [N, boxes, 6] of volumes, ``scores`` [N, boxes] or [N, boxes,
    classes]; N may be absent where the network takes one image. Overlapping boxes are thinned out by their score."""

    kind: Literal["detection"]
    name: Name
    boxes: str
    scores: str
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    """"softmax" takes the first class as "nothing"."""
    class_index: int = Field(default=0, ge=0)
    """Which of several classes counts."""
    box_format: Literal["corners", "corners-xy", "centre-size", "centre-size-xy"] = "corners"
    """"corners": (d1,) h1, w1, (d2,) h2, w2 along the axes as they stand in the tensor; "centre-size": (d,) h, w, then sizes.
    "-xy": the axes in reverse (x1, y1, x2, y2), as most detectors write them."""
    coordinates: Literal["voxels", "shares"] = "voxels"
    """Counted from the outer edge of the first voxel, in voxels or as a share of the side."""
    least_score: Finite = Field(ge=0, le=1)
    largest_overlap: Finite = Field(default=0.5, ge=0, le=1)
    """Intersection over union above which the box of the lower score goes."""
    most_boxes: int = Field(default=100, ge=1, le=10_000)
    """Kept of each image."""


Output = Annotated[Segmentation | HeatMap | Classification | Regression | Detection, Field(discriminator="kind")]


def tensors_of(output: Output) -> tuple[str, ...]:
    return (output.boxes, output.scores) if isinstance(output, Detection) else (output.tensor,)
