"""Makes a golden case of a folder of DICOM images: chosen, read and run as a study is, then kept without a header."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import yaml

from vigil.authoring.acceptance import own_runtime
from vigil.authoring.errors import NotAccepted, NothingToChange
from vigil.domain.answer import Answer, Part
from vigil.domain.manifest import Manifest
from vigil.imaging.as_seen import as_the_network_sees, sources_of
from vigil.imaging.load import load_stack
from vigil.imaging.straighten import straighten
from vigil.imaging.volume import Volume
from vigil.inference.aligned import colour_of
from vigil.inference.golden_file import Golden, golden_bytes
from vigil.inference.manifest_file import FILE
from vigil.inference.registry import read_package
from vigil.intake.appraise import Verdict, appraise
from vigil.intake.errors import UnreadableInstance
from vigil.intake.header import ImageHeader, read_header
from vigil.intake.study import StudyContent

A_QUIET_WHILE = timedelta(days=1)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,46}")


@dataclass(frozen=True)
class Made:
    """``voxels``: of each region."""

    file: str
    kind: str
    sentence: str
    value: float | None
    voxels: dict[str, int]
    slices: int
    bytes: int


def make_golden(folder: Path, images: Path, name: str, now: datetime) -> Made:
    """Writes ``golden/NAME.npz`` into the package and names it in the manifest.

    Raises: NotAccepted where the package or the images do not do; NothingToChange where the case is there already; those of
    reading and running.
    """
    model = read_package(folder)
    if model.manifest is None or model.problem is not None:
        raise NotAccepted("the package cannot be read" if model.problem is None else model.problem.text)
    if _NAME.fullmatch(name) is None:
        raise NotAccepted("the name of a golden case has letters, digits, spaces and . _ - alone, at most 47")
    file = f"golden/{name.replace(' ', '-').lower()}.npz"
    if file in model.manifest.files or (folder / file).exists():
        raise NothingToChange(f"the package has {file} already; take it out of folder and manifest, or give another name")
    case = Golden(_volumes(images, model.manifest, now), {})
    with own_runtime() as runtime:
        runtime.load(model)
        found = runtime.run(model, case.reference, operating_point="default", stop=threading.Event(), further=case.further)
    content = golden_bytes(replace(case, regions=dict(found.masks)))
    text = named((folder / FILE).read_text("utf-8"), name, file, sha256(content).hexdigest(), found.answer)
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_bytes(content)
    (folder / FILE).write_text(text, "utf-8")
    measured = found.answer.measured
    return Made(file, found.answer.kind.value, found.answer.sentence, None if measured is None else measured.value,
                {region: int(mask.sum()) for region, mask in found.masks.items()},
                sum(len(volume.voxels) for volume in case.volumes.values()), len(content))


def _volumes(images: Path, manifest: Manifest, now: datetime) -> dict[str, Volume]:
    """By input, of the series that the manifest would choose in a hospital."""
    paths: dict[str, Path] = {}
    headers: list[ImageHeader] = []
    for path in sorted(item for item in images.rglob("*") if item.is_file()):
        try:
            headers.append(read_header(str(path), path.read_bytes()))
        except UnreadableInstance:
            continue  # a DICOMDIR, a text beside the images
        paths[str(path)] = path
    if not headers:
        raise NotAccepted(f"no DICOM image was found in {images}")
    content = StudyContent("golden", "", tuple(sorted(headers, key=lambda item: item.sop_instance_uid)))
    appraisal = appraise(content, manifest, now=now, quiet_since=now - A_QUIET_WHILE)
    if appraisal.verdict is not Verdict.WANTED:
        why = "they are not of its kind" if appraisal.reason is None else appraisal.reason.text
        raise NotAccepted(f"the package would not analyse these images: {why}")
    volumes: dict[str, Volume] = {}
    for wanted, stack in zip(manifest.inputs, appraisal.stacks, strict=True):
        loaded = load_stack(stack, lambda image: paths[image].read_bytes(), colour=wanted.colour)
        volumes[wanted.name] = straighten(as_the_network_sees(loaded.volume, sources_of(loaded), wanted)).volume
        volumes |= {colour_of(wanted.name, colour): plane for colour, plane in loaded.colours.items()}
    return volumes


def _part(part: Part) -> str:
    value = "" if part.measured is None else f", value: {part.measured.value}, tolerance: 0.1"
    return f"{{finding: {json.dumps(part.concept.value)}, kind: {part.kind.value}{value}}}"


def named(text: str, name: str, file: str, digest: str, answer: Answer) -> str:
    """The manifest with the case in it; every other line, comments too, stays as it is. Raises: NotAccepted."""
    value = "" if answer.measured is None else f", value: {answer.measured.value}, tolerance: 0.1"
    case = f"  - {{name: {json.dumps(name)}, file: {file}, kind: {answer.kind.value}{value}}}\n"
    if answer.parts:
        case = case.removesuffix("}\n") + ", parts: [" + ", ".join(_part(part) for part in answer.parts) + "]}\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    root = yaml.compose(text, yaml.SafeLoader)
    assert root is not None  # noqa: S101 - it was read as a manifest before
    entries = {key.value: (key, node) for key, node in root.value}
    files, golden = entries["files"][1], entries.get("golden")
    if files.flow_style or (golden is not None and golden[1].flow_style):
        raise NotAccepted("write 'files' and 'golden' of the manifest with a line for each entry, then try again")
    key, last = files.value[-1]
    inserted = [(last.end_mark.line, f"{' ' * key.start_mark.column}{file}: {digest}\n")]
    if golden is None:
        inserted.append((len(lines) - 1, f"\ngolden:\n{case}"))
    else:
        inserted.append((golden[0].start_mark.line, f"{' ' * golden[1].start_mark.column}{case.lstrip()}"))
    for line, what in sorted(inserted, reverse=True):
        lines.insert(line + 1, what)
    return "".join(lines)
