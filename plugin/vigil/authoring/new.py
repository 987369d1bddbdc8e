"""A manifest to complete, made of what a graph says of itself: names, shapes, numbers. What only its author knows is left empty,
and ``vigil models validate`` names each empty place by its line.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from onnxruntime import InferenceSession, SessionOptions  # type: ignore[attr-defined]  # exported, though it does not say so

from vigil.authoring.errors import NoPackageMade
from vigil.domain.errors import VigilError
from vigil.domain.manifest.inputs import MOST_INPUTS
from vigil.inference.onnx_file import refuse_custom_operators, refuse_external_data
from vigil.inference.session import NATIVE_ERRORS

FEW_CHANNELS = 16
"""An axis of a fixed size up to this, at either end of a sample, is taken for the channels."""
DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8", "tensor(int16)": "int16",
          "tensor(int32)": "int32"}
_ID = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Port:
    """An input or output of a graph. ``shape``: a number where it is fixed, a name or None where it is free."""

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str


@dataclass(frozen=True)
class NewPackage:
    folder: Path
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layout: str
    guessed: str

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"folder": str(self.folder), "manifest": str(self.folder / "manifest.yaml"), "layout": self.layout,
                "output": self.guessed, "inputs": [port.__dict__ | {"shape": list(port.shape)} for port in self.inputs],
                "outputs": [port.__dict__ | {"shape": list(port.shape)} for port in self.outputs]}


def make_package(model: Path, parent: Path, name: str | None) -> NewPackage:
    """Makes ``parent``/id with a copy of the graph and a manifest to complete.

    Raises: NoPackageMade where the graph cannot be read, or is none that a manifest can describe, or the folder is there.
    """
    try:
        content = model.read_bytes()
    except OSError as error:
        raise NoPackageMade(f"{model} cannot be read: {error.strerror}") from None
    inputs, outputs = _ports(content, model)
    if not 1 <= len(inputs) <= MOST_INPUTS:
        raise NoPackageMade(f"{model.name} has {len(inputs)} inputs; a network of a manifest has 1 to {MOST_INPUTS}")
    image = inputs[0]
    for port in inputs:
        if port.dtype not in DTYPES:
            raise NoPackageMade(f"the input '{port.name}' of {model.name} is a {port.dtype}; a manifest knows "
                                f"{', '.join(DTYPES.values())}")
        if len(port.shape) not in (4, 5):
            raise NoPackageMade(f"the input '{port.name}' of {model.name} has {len(port.shape)} axes; a volume has 5 (such as "
                                "NCDHW) and a slice 4 (such as NCHW)")
        if (len(port.shape), port.dtype) != (len(image.shape), image.dtype):
            raise NoPackageMade(f"the inputs '{image.name}' and '{port.name}' of {model.name} differ in axes or type; those of "
                                "one network are given the same voxels, so they must be alike")
    identity = _ID.sub("-", (name or model.stem).lower()).strip("-") or "model"
    folder = parent / identity
    layout, guessed = _layout(image), _kind(image, outputs)
    try:
        folder.mkdir(parents=True)
        shutil.copyfile(model, folder / "model.onnx")
        (folder / "manifest.yaml").write_text(
            _text(identity, hashlib.sha256(content).hexdigest(), inputs, outputs, layout, guessed), "utf-8")
    except FileExistsError:
        raise NoPackageMade(f"{folder} is there already; name another with --id, or remove it") from None
    except OSError as error:
        raise NoPackageMade(f"{folder} cannot be made: {error.strerror}") from None
    return NewPackage(folder, inputs, outputs, layout, guessed)


def _ports(content: bytes, model: Path) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    try:
        refuse_external_data(content)
        refuse_custom_operators(content)
        options = SessionOptions()
        options.log_severity_level = 4
        session = InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except VigilError as error:
        raise NoPackageMade(error.message) from error
    except NATIVE_ERRORS as error:
        raise NoPackageMade(f"{model.name} is no graph that ONNX Runtime loads: {str(error).splitlines()[0]}") from error
    return tuple(tuple(Port(port.name, tuple(port.shape or ()), port.type) for port in ports)
                 for ports in (session.get_inputs(), session.get_outputs()))  # type: ignore[return-value]


def _layout(image: Port) -> str:
    last, first = image.shape[-1], image.shape[1]
    channels_last = _few(last) and not _few(first)
    if len(image.shape) == 5:
        return "NDHWC" if channels_last else "NCDHW"
    return "NHWC" if channels_last else "NCHW"


def _few(size: int | str | None) -> bool:
    return isinstance(size, int) and size <= FEW_CHANNELS


def _kind(image: Port, outputs: tuple[Port, ...]) -> str:
    if any(len(port.shape) == len(image.shape) for port in outputs):
        return "segmentation"
    if len(outputs) > 1 and any(port.shape and port.shape[-1] == 4 for port in outputs):
        return "detection"
    return "classification"


def _text(
    identity: str, sha256: str, inputs: tuple[Port, ...], outputs: tuple[Port, ...], layout: str, kind: str
) -> str:
    image = inputs[0]
    volume = len(image.shape) == 5
    sides = _spatial(image, layout)
    fixed = all(isinstance(size, int) for size in sides)
    shape = "[" + ", ".join(str(size) if isinstance(size, int) else "null" for size in sides) + "]"
    taken = ", ".join(_name(port.name) for port in outputs)
    lines = [
        "# Made from the graph. Every ~ is for you to fill in; \"vigil models validate\" names what is missing by its line.",
        "# What each key means: docs/model-authors.md",
        "schema_version: 1",
        f"id: {identity}",
        "version: 0.1.0",
        "name: ~                            # as a radiologist reads it on the result",
        "vendor: ~",
        "licence: ~                         # SPDX, such as Apache-2.0",
        "summary: ~                         # one sentence: what it does",
        "regulatory:",
        "  status: research                 # a research model alerts nobody without a named override of the site",
        "  intended_use: ~                  # for whom, on which images, for which purpose",
        "  permitted_outputs: [measurement, score, location, contour]",
        "files:",
        f"  model.onnx: {sha256}",
        "scope:",
        "  modality: ~                      # such as [CT]",
        "  body_part: {any_of: ~, unknown: refuse}   # such as [HEAD]",
        "  # age_years: {minimum: 18, unknown: refuse}",
        *_series(inputs),
        "preprocessing:",
        "  kind: tensor",
        "  orientation: ~                   # where the axes grow to: RAS, LPS, LIA ... (SPL: axial slices as looked at)",
        "  # spacing_mm: [1.0, 1.0, 1.0]     # as at training",
        *([f"  shape: {shape}" + ("" if volume else "          # slices, rows, columns")] if fixed else []),
        "  interpolation: linear",
        f"  layout: {layout}",
        f"  dtype: {DTYPES[image.dtype]}",
        "  intensity:                       # in order, as at training; the most common fault of a packaged model",
        "    - ~                            # such as {step: window, centre: 40, width: 80} or {step: z-score}",
        *_channels(inputs, layout),
        f"strategy: {{kind: {'whole-volume' if volume else 'per-slice'}}}" + (
            "   # or {kind: sliding-window, window: [96, 96, 96], overlap: 0.5}" if volume and not fixed else ""),
        f"network: {{file: model.onnx, {_given(inputs)}, outputs: [{taken}]}}",
        *_outputs(outputs, kind, len(image.shape)),
        "operating_points:",
        "  default: {positive: ~, indeterminate: ~}   # in the unit of the finding; between the two it abstains",
        "finding:",
        "  concept: {value: ~, scheme: ~, meaning: ~}       # SNOMED CT (SCT), RadLex, or your own 99... scheme",
        "  category: {value: \"49755003\", scheme: SCT, meaning: Morphologically Altered Structure}",
        "  site: {value: ~, scheme: ~, meaning: ~}",
        *(["  measurement: {value: \"118565006\", scheme: SCT, meaning: Volume}", "  unit: mL"] if kind == "segmentation" else
          ["  measurement: {value: \"111012\", scheme: DCM, meaning: Certainty of Finding}", "  unit: \"%\""]),
        "  # acr_category: 2                # 1 minutes, 2 hours, 3 days: whether and how soon people are told",
        "  positive: ~                      # a sentence with {value}, {unit}, {threshold}",
        "  negative: ~                      # it must say that it excludes nothing",
        "  indeterminate: ~",
        "limitations: [~]                   # what fools it: printed on every result",
        "changes: {0.1.0: First version.}",
    ]
    return "\n".join(lines) + "\n"


def _series(inputs: tuple[Port, ...]) -> list[str]:
    """One series for each input of the graph: whether that is so only its author knows."""
    lines = ["inputs:"]
    if len(inputs) > 1:
        lines[0] += "                              # the first is the reference: on its voxels the others are brought"
    for port in inputs:
        lines += [
            "  - name: image" if len(inputs) == 1 else f"  - name: {_name(port.name)}",
            "    minimum_slices: ~              # fewer are no study for this model",
            "    minimum_coverage_mm: ~",
        ]
        if len(inputs) > 1:
            lines.append("    required_words: ~              # of the series description or protocol, such as [flair]")
    return lines


def _channels(inputs: tuple[Port, ...], layout: str) -> list[str]:
    if len(inputs) == 1:
        return []
    lines = ["  channels:                        # each with steps of its own where it needs them: intensity: [...]"]
    for port in inputs:
        size = port.shape[-1 if layout.endswith("C") else 1]
        lines += [f"    - {{input: {_name(port.name)}}}"] * (size if isinstance(size, int) and size > 0 else 1)
    return lines


def _given(inputs: tuple[Port, ...]) -> str:
    if len(inputs) == 1:
        return f"input: {_name(inputs[0].name)}"
    return "inputs: {" + ", ".join(f"{_name(port.name)}: {_name(port.name)}" for port in inputs) + "}"


def _name(name: str) -> str:
    """A name of the graph as YAML takes it for one text, whatever is in it."""
    return json.dumps(name)


def _spatial(image: Port, layout: str) -> tuple[int | str | None, ...]:
    inner = image.shape[1:-1] if layout.endswith("C") else image.shape[2:]
    return inner if len(image.shape) == 5 else (None, *inner)


def _outputs(outputs: tuple[Port, ...], kind: str, axes: int) -> list[str]:
    first = outputs[0]
    if kind == "segmentation":
        mask = next(port for port in outputs if len(port.shape) == axes)
        channels = next((size for size in (mask.shape[1], mask.shape[-1]) if _few(size)), None)
        return [
            "outputs:",
            f"  - {{kind: segmentation, name: parts, tensor: {_name(mask.name)}, activation: ~, channels: {channels or '~'}}}"
            "   # softmax, sigmoid or none",
            "postprocessing:", "  kind: regions", "  regions:",
            f"    - {{name: finding, output: parts, channel: {1 if (channels or 2) != 1 else 0}, "
            f"decide: {'argmax' if (channels or 2) != 1 else 'threshold'}, minimum_ml: 0.1}}",
            "measurements:", "  - {name: volume, kind: volume, region: finding}",
        ]
    if kind == "detection":
        boxes = next(port for port in outputs if port.shape and port.shape[-1] == 4)
        scores = next((port for port in outputs if port is not boxes), boxes)
        return ["outputs:", f"  - {{kind: detection, name: boxes, boxes: {_name(boxes.name)}, scores: {_name(scores.name)}}}",
                "measurements:", "  - {name: certainty, kind: score, output: boxes}"]
    count = first.shape[-1] if first.shape and isinstance(first.shape[-1], int) else 1
    return [
        "outputs:",
        f"  - {{kind: classification, name: kind, tensor: {_name(first.name)}, activation: ~, "
        f"classes: [{', '.join(['~'] * count)}]}}"
        "   # softmax, sigmoid or none; a name for each class",
        "measurements:", "  - {name: certainty, kind: score, output: kind, class_name: ~}",
    ]
