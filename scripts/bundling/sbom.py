"""The software bill of materials: CycloneDX 1.6, in JSON. One component a library, with its wheels, one a model, with its files,
and our own code; each with its version, its licence, its hash and its package URL."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml

from bundling.wheels import Wheel

Component = dict[str, Any]
LICENCE = "AGPL-3.0-or-later"
CODE = ("installer", "plugin")


def bill(version: str, made_at: datetime, wheels: Sequence[Wheel], folder: Path) -> bytes:
    """``folder``: of the bundle, for its models and our code. The same contents give the same bytes."""
    listed = [*_libraries(wheels), *(_model(manifest) for manifest in sorted(folder.glob("models/*/manifest.yaml")))]
    root = _url("generic", "orthanc-vigil", version)
    own: Component = {
        "type": "application", "bom-ref": root, "name": "orthanc-vigil", "version": version, "purl": root,
        "licenses": [{"license": {"id": LICENCE}}],
        "hashes": [_sha256(code_digest(folder))],
        "properties": [{"name": "vigil:hash-of", "value": "what sha256sum says of every file of " + " and ".join(CODE)}],
    }
    whole = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, json.dumps([own, listed], sort_keys=True))}",
        "version": 1,
        "metadata": {
            "timestamp": made_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "component": own,
        },
        "components": listed,
        "dependencies": [{"ref": root, "dependsOn": [item["bom-ref"] for item in listed]}],
    }
    return json.dumps(whole, indent=1, ensure_ascii=False).encode() + b"\n"


def code_digest(folder: Path) -> str:
    """What the unpacked bundle's ``find installer plugin -type f | LC_ALL=C sort | xargs sha256sum | sha256sum`` says."""
    names = sorted(path.relative_to(folder).as_posix() for name in CODE for path in (folder / name).rglob("*") if path.is_file())
    lines = "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def _libraries(wheels: Iterable[Wheel]) -> list[Component]:
    """One a version of a library; each of its wheels, one for each Python and platform, is a file within it."""
    found: dict[tuple[str, str], Component] = {}
    for wheel in sorted(wheels, key=lambda item: item.path.name):
        url = _url("pypi", wheel.name.lower().replace("_", "-"), wheel.version)
        component = found.setdefault((wheel.name.lower(), wheel.version), {
            "type": "library", "bom-ref": url, "name": wheel.name, "version": wheel.version, "description": wheel.summary,
            "licenses": [{"expression": wheel.licence} if wheel.spdx else {"license": {"name": wheel.licence}}],
            "purl": url, "components": [],
        })
        component["components"].append({
            "type": "file", "bom-ref": f"{url}?file_name={wheel.path.name}", "name": wheel.path.name,
            "purl": f"{url}?file_name={wheel.path.name}", "hashes": [_sha256(wheel.sha256)],
        })
    return [found[key] for key in sorted(found)]


def _model(manifest: Path) -> Component:
    """Its hash is that of the manifest, which names the hash of every other file: what a site approves."""
    content = manifest.read_bytes()
    told = yaml.safe_load(content)
    url = _url("generic", told["id"], str(told["version"]))
    return {
        "type": "machine-learning-model", "bom-ref": url, "name": told["id"], "version": str(told["version"]), "purl": url,
        "licenses": [{"license": {"name": told["licence"]}}],
        "hashes": [_sha256(hashlib.sha256(content).hexdigest())],
        "components": [{"type": "file", "bom-ref": f"{url}#{name}", "name": name, "hashes": [_sha256(sha256)]}
                       for name, sha256 in sorted(told["files"].items())],
    }


def _url(kind: str, name: str, version: str) -> str:
    return f"pkg:{kind}/{name}@{version.replace('+', '%2B')}"


def _sha256(digest: str) -> Component:
    return {"alg": "SHA-256", "content": digest}
