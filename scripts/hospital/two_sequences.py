"""A head in two MR sequences, T1 sagittal and FLAIR axial, and a model package that needs both: what it answers depends on which
is which.

The head holds a lesion (dark in T1, bright in FLAIR) and a decoy (the other way round), so that sequences that were taken for one
another give another answer at another place. Both series are computed from one body in patient coordinates (LPS), so nothing of
the product's own geometry is in them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from math import pi
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from pydicom import Dataset

from hospital.ct_series import Patient
from hospital.mr_head import AXIAL, SAGITTAL, MrHead, Orientation, mr_series

MODEL = "lesion-t1-flair"
LESION_AT_MM, LESION_ML = (-28.0, 18.0, 22.0), 6.0
DECOY_AT_MM, DECOY_ML = (24.0, -30.0, -14.0), 14.0
"""Left, back and head from the middle."""
BRAIN_MM = (62.0, 78.0, 60.0)
"""Half axes: to the left, the back, the head."""
T1 = {"brain": 600.0, "lesion": 300.0, "decoy": 1400.0}
FLAIR = {"brain": 500.0, "lesion": 1400.0, "decoy": 300.0}
ECHO_MS = {"t1": "2.98", "flair": "120"}
Place = tuple[float, float, float]


@dataclass(frozen=True)
class Head:
    """``lesion``: whether it is there. ``matrix``: of the T1; the FLAIR has as many slices as ``flair_slices``."""

    lesion: bool = True
    t1_slices: int = 36
    flair_slices: int = 30
    seed: str = "two-sequences"
    patient: Patient = field(default_factory=Patient)
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC).replace(microsecond=0))
    declared: bool = False


def t1(head: Head, **acquisition: Any) -> list[Dataset]:
    """Sagittal slices of 4 mm, rows from head to foot, 2.5 mm pixels."""
    grid = _grid(T1, head, SAGITTAL, (4.0, 2.5, 2.5), (head.t1_slices, 64, 72))
    return _series(grid, head, "t1", {"series_description": "t1_mprage_sag", "series_number": 2, **acquisition})


def flair(head: Head, **acquisition: Any) -> list[Dataset]:
    """Axial slices of 5 mm, 3 mm pixels; nodded by fifteen degrees, as heads are planned."""
    grid = _grid(FLAIR, head, _nodded(15.0), (5.0, 3.0, 3.0), (head.flair_slices, 72, 64))
    return _series(grid, head, "flair", {"series_description": "t2_flair_tra", "series_number": 3, **acquisition})


def _series(grid: MrHead, head: Head, kind: str, acquisition: dict[str, Any]) -> list[Dataset]:
    of = {"study_seed": head.seed, "started": head.started, "declare_images": head.declared, "accession": f"ACC-{head.seed}"[:16],
          **acquisition}
    made = []
    for ds in mr_series(grid, f"{head.seed}-{kind}-{of['series_number']}", head.patient, **of):
        ds.ProtocolName = kind
        ds.EchoTime = ECHO_MS[kind]
        made.append(ds)
    return made


def _grid(
    values: dict[str, float], head: Head, orientation: Orientation, spacing_mm: Place, shape: tuple[int, int, int]
) -> MrHead:
    """The body at the centres of the voxels of a grid about its middle."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    steps = np.stack([np.cross(row, column), column, row], axis=1) * spacing_mm
    origin = -steps @ ((np.array(shape) - 1) / 2)
    index = np.stack(np.meshgrid(*(np.arange(side) for side in shape), indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(index @ steps.T + origin, -1, 0)
    held = np.zeros(shape)
    held[(x / BRAIN_MM[0]) ** 2 + (y / BRAIN_MM[1]) ** 2 + (z / BRAIN_MM[2]) ** 2 <= 1] = values["brain"]
    balls = [("decoy", DECOY_AT_MM, DECOY_ML)] + ([("lesion", LESION_AT_MM, LESION_ML)] if head.lesion else [])
    for name, at, ml in balls:
        held[(x - at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2 <= radius_mm(ml) ** 2] = values[name]
    held += np.random.default_rng(5).normal(0, 8, shape) * (held > 0)
    return MrHead(np.rint(held).astype(np.uint16), orientation, (origin[0], origin[1], origin[2]), spacing_mm)


def radius_mm(volume_ml: float) -> float:
    return float((3 * volume_ml * 1000 / (4 * pi)) ** (1 / 3))


def _nodded(degrees: float) -> Orientation:
    angle = np.deg2rad(degrees)
    return (*AXIAL[:3], 0.0, float(np.cos(angle)), float(np.sin(angle)))


def network() -> bytes:
    """Two graph inputs, "t1" and "flair", of one channel each: bright in the one and dark in the other. Seeded weights around the
    middle are small; they make it a real convolution."""
    weights = np.random.default_rng(17).normal(0, 1e-3, (1, 2, 3, 3, 3)).astype(np.float32)
    weights[0, :, 1, 1, 1] += np.array([-10.0, 10.0], np.float32)
    sides: list[str | int | None] = ["n", 1, "d", "h", "w"]
    model = helper.make_model(helper.make_graph(
        [helper.make_node("Concat", ["t1", "flair"], ["both"], axis=1),
         helper.make_node("Conv", ["both", "weights", "bias"], ["logits"], kernel_shape=[3, 3, 3], pads=[1] * 6)],
        "two sequences", [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in ("t1", "flair")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, sides)],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([-5.0], np.float32), "bias")],
    ), opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return bytes(model.SerializeToString())


def manifest(content: bytes, **changes: Any) -> dict[str, Any]:
    """The first input, the T1, is the reference."""
    code = {"value": "X-LESION", "scheme": "99T", "meaning": "Lesion"}
    needs: dict[str, Any] = {"minimum_slices": 20, "minimum_coverage_mm": 98, "give_up_after_s": 2}
    return {
        "schema_version": 1, "id": MODEL, "version": "1.0.0", "name": "Lesion, T1 and FLAIR", "vendor": "Test", "licence": "MIT",
        "summary": "Outlines what is dark in T1 and bright in FLAIR.",
        "regulatory": {"status": "research", "intended_use": "For the tests of several inputs alone.",
                       "permitted_outputs": ["notification", "measurement", "location", "contour"]},
        "files": {"model.onnx": hashlib.sha256(content).hexdigest()},
        "scope": {"modality": ["MR"], "body_part": {"any_of": ["HEAD"]}},
        "inputs": [
            {"name": "T1", "required_words": ["t1"], "excluded_words": ["flair"], **needs},
            {"name": "FLAIR", "required_words": ["flair"], "largest_uncovered_share": 0.4, **needs},
        ],
        "preprocessing": {
            "kind": "tensor", "orientation": "RAS", "spacing_mm": [3.0, 3.0, 3.0],
            "channels": [{"input": "T1"}, {"input": "FLAIR"}], "intensity": [{"step": "scale", "divide": 1000}],
        },
        "network": {"file": "model.onnx", "inputs": {"t1": "T1", "flair": [1]}, "outputs": ["logits"]},
        "outputs": [{"kind": "heat-map", "name": "suspect", "tensor": "logits", "activation": "sigmoid"}],
        "postprocessing": {"kind": "regions", "regions": [{"name": "lesion", "output": "suspect", "minimum_ml": 0.5}]},
        "measurements": [{"name": "volume", "kind": "volume", "region": "lesion"}],
        "operating_points": {"default": {"positive": 2.0}},
        "finding": {
            "concept": code, "category": {"value": "49755003", "scheme": "SCT", "meaning": "Morphologically Altered Structure"},
            "site": {"value": "12738006", "scheme": "SCT", "meaning": "Brain"}, "unit": "mL",
            "measurement": {"value": "118565006", "scheme": "SCT", "meaning": "Volume"}, "acr_category": 2,
            "positive": "Lesion of {value} {unit}, at or above {threshold} {unit}.",
            "negative": "Lesion of {value} {unit}, below {threshold} {unit}. This does not exclude disease.",
            "indeterminate": "Lesion of {value} {unit}: indeterminate.",
        },
        "limitations": ["none"], "changes": {"1.0.0": "First."},
    } | changes


def install(models: Path, **changes: Any) -> Path:
    """The package in a folder of packages. ``changes`` replace keys of the manifest."""
    package = models / MODEL
    package.mkdir(parents=True)
    content = network()
    (package / "model.onnx").write_bytes(content)
    (package / "manifest.yaml").write_text(json.dumps(manifest(content, **changes)))  # which is YAML, without its anchors
    for name in ("CARD.md", "LICENSE"):
        (package / name).write_text("Test")
    return package


def centre_mm(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the middle of a mask [slice, row, column] lies in the patient."""
    places: NDArray[np.float64] = affine[:3, :3] @ np.argwhere(mask).mean(axis=0) + affine[:3, 3]
    return places
