"""The software bill of materials: CycloneDX 1.6, in JSON. One component a library, one a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import yaml

from bundling.wheels import Wheel


def bill(version: str, made_at: datetime, wheels: Sequence[Wheel], models: Path) -> bytes:
    """The same contents give the same bytes."""
    components: dict[tuple[str, str], dict[str, object]] = {}
    for wheel in wheels:
        component = components.setdefault(
            (wheel.name.lower(), wheel.version),
            {
                "type": "library",
                "bom-ref": f"pkg:pypi/{wheel.name.lower()}@{wheel.version}",
                "name": wheel.name,
                "version": wheel.version,
                "description": wheel.summary,
                "licenses": [{"license": {"name": wheel.licence}}],
                "purl": f"pkg:pypi/{wheel.name.lower()}@{wheel.version}",
                "hashes": [],
                "properties": [],
            },
        )
        component["properties"] += [{"name": "vigil:wheel", "value": wheel.path.name}]  # type: ignore[operator]
        component["hashes"] += [{"alg": "SHA-256", "content": wheel.sha256}]  # type: ignore[operator]
    listed: list[object] = [components[key] for key in sorted(components)]
    for manifest in sorted(models.glob("*/manifest.yaml")):
        model = yaml.safe_load(manifest.read_text("utf-8"))
        listed.append(
            {
                "type": "machine-learning-model",
                "bom-ref": f"model:{model['id']}@{model['version']}",
                "name": model["id"],
                "version": model["version"],
                "licenses": [{"license": {"name": model["licence"]}}],
            }
        )
    root = f"pkg:generic/orthanc-vigil@{version}"
    return (
        json.dumps(
            {
                "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
                "bomFormat": "CycloneDX",
                "specVersion": "1.6",
                "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, json.dumps(listed, sort_keys=True) + version)}",
                "version": 1,
                "metadata": {
                    "timestamp": made_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
                    "component": {
                        "type": "application",
                        "bom-ref": root,
                        "name": "orthanc-vigil",
                        "version": version,
                        "licenses": [{"license": {"id": "AGPL-3.0-or-later"}}],
                    },
                },
                "components": listed,
                "dependencies": [{"ref": root, "dependsOn": [item["bom-ref"] for item in listed]}],  # type: ignore[index]
            },
            indent=1,
            ensure_ascii=False,
        ).encode()
        + b"\n"
    )
