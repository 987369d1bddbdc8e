"""Reads ``manifest.yaml``, so that whoever wrote a wrong one is told the line, the key and what to write there."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError

from vigil.domain.manifest import Manifest
from vigil.inference.errors import ManifestInvalid

FILE = "manifest.yaml"
LARGEST_BYTES = 1 << 20
FAULTS_NAMED = 8


def read_manifest(path: Path) -> Manifest:
    """Raises: ManifestInvalid, with every fault in one message."""
    return parse_manifest(manifest_text(manifest_bytes(path)))


def manifest_bytes(path: Path) -> bytes:
    """Raises: ManifestInvalid."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= LARGEST_BYTES else b""
    except OSError as error:
        raise ManifestInvalid(f"{FILE} cannot be read ({type(error).__name__}); check its permissions") from None
    if size > LARGEST_BYTES:
        raise ManifestInvalid(f"{FILE} is larger than {LARGEST_BYTES >> 20} MiB; weights belong in files of their own")
    return content


def manifest_text(content: bytes) -> str:
    """Raises: ManifestInvalid."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ManifestInvalid(f"{FILE} cannot be read ({type(error).__name__}); it must be UTF-8 text") from None


def parse_manifest(text: str) -> Manifest:
    """Raises: ManifestInvalid."""
    try:
        if any(isinstance(token, yaml.AliasToken | yaml.AnchorToken) for token in yaml.scan(text)):
            raise ManifestInvalid(f"{FILE} uses anchors (&) or aliases (*); write the values out")
        root = yaml.compose(text, yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ManifestInvalid(f"{FILE}{line}: {error.problem or 'this is not YAML'}; check indentation and quotes") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ManifestInvalid(f"{FILE} is not YAML ({type(error).__name__}); check indentation and quotes") from None
    if not isinstance(root, yaml.MappingNode) or not isinstance(content, dict):
        raise ManifestInvalid(f"{FILE} must be a mapping that begins with 'schema_version: 1'")
    _refuse_doubles(root, "")
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        said = [_fault(root, item["loc"], item["type"], item["msg"]) for item in faults[:FAULTS_NAMED]]
        more = f" (and {len(faults) - FAULTS_NAMED} more)" if len(faults) > FAULTS_NAMED else ""
        raise ManifestInvalid("; ".join(said) + more) from None


def _fault(root: yaml.MappingNode, loc: tuple[int | str, ...], kind: str, message: str) -> str:
    line, keys = _place(root, loc, missing=kind == "missing")
    if kind == "extra_forbidden":
        cure = "this key is not known; correct its spelling or take it out"
    elif kind == "missing":
        cure = "this key is required; add it"
    else:
        cure = message.removeprefix("Value error, ")
    return f"{FILE}, line {line}, {'.'.join(keys) or 'the whole'}: {cure}"


def _place(root: yaml.MappingNode, loc: tuple[int | str, ...], *, missing: bool) -> tuple[int, list[str]]:
    """The line of the key that is nearest to the fault. A discriminator in ``loc`` has no key of its own."""
    node: yaml.Node = root
    line, keys = root.start_mark.line, list[str]()
    for step in loc:
        if isinstance(node, yaml.MappingNode):
            entry = next(((key, value) for key, value in node.value if key.value == str(step)), None)
            if entry is None and missing and step == loc[-1]:
                keys.append(str(step))
            if entry is None:
                continue
            line, node = entry[0].start_mark.line, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line
        keys.append(str(step))
    return line + 1, keys


def _refuse_doubles(node: yaml.Node, under: str) -> None:
    """YAML's reader keeps the last of two equal keys and says nothing: a limit could be overruled unseen."""
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _refuse_doubles(child, under)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        name = str(key.value)
        if name in seen:
            raise ManifestInvalid(f"{FILE}, line {key.start_mark.line + 1}, {under}{name}: this key stands here twice; keep one")
        seen.add(name)
        _refuse_doubles(value, f"{under}{name}.")
