"""The support bundle: one archive for whoever helps from outside, without a patient and without a secret.

Everything in it is told by a list of what may be told. Orthanc's own log is not in it: what stands there is not ours to promise.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import vigil
from vigil.domain.errors import VigilError
from vigil.inference.registry import Registry
from vigil.oversight.doctor.check import in_lines
from vigil.oversight.doctor.examine import examine, look_around
from vigil.oversight.doctor.libraries import environment
from vigil.oversight.doctor.site import Site, Surroundings
from vigil.oversight.masking import Pseudonyms, masked_configuration
from vigil.records.glance import glance
from vigil.records.state import StatePaths

LOG_BYTES = 4 << 20
SYSTEM_KEYS = ("Version", "ApiVersion", "DatabaseVersion", "DatabaseBackendPlugin", "StorageAreaPlugin", "PluginsEnabled",
               "MainDicomTags", "OverwriteInstances", "StorageCompression", "IngestTranscoding")
README = """Support bundle of Vigil for Orthanc {version}, made {at} UTC.

doctor.txt, doctor.json   what "vigil doctor" found
configuration.json        the Vigil section and what it depends on in Orthanc's, by a list of known keys; no passwords, no people
versions.json             Orthanc, plugin, Python, libraries and where they were imported from
ledger.json               how many analyses and deliveries are in which state
models.json               each model package: its manifest, and the SHA-256 of each file as it lies there
log.jsonl                 the end of Vigil's own log

No patient is in it: no name, no id, no accession number, no image. Ids of studies (of DICOM and of Orthanc) are replaced by names
that are the same within this bundle and that cannot be turned back. Host names, addresses and AE titles of the site are in it.
"""


def make_bundle(output: Path, config: Path, around: Surroundings) -> tuple[str, ...]:
    """Makes the archive, readable by its maker alone; returns the names of what is in it. Raises FileExistsError and OSError."""
    site, _ = look_around(config, around)
    pseudonyms = Pseudonyms(secrets.token_bytes(32))
    checks = examine(config, around)
    contents: dict[str, str] = {
        "README.txt": README.format(version=vigil.__version__, at=f"{site.now:%Y-%m-%d %H:%M}"),
        "doctor.txt": in_lines(checks) + "\n",
        "doctor.json": _json([check.as_dict() for check in checks]),
        "configuration.json": _json(masked_configuration(site.configuration)),
        "versions.json": _json(_versions(site)),
        "ledger.json": _json(_ledger(site)),
        "models.json": _json(_models(site, around)),
        "log.jsonl": "".join(_log(site)),
    }
    with open(output, "xb", opener=_for_its_maker_alone) as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in contents.items():
            body = pseudonyms.over(text).encode()
            entry = tarfile.TarInfo(f"{output.name.split('.')[0]}/{name}")
            entry.size, entry.mtime, entry.mode = len(body), int(site.now.timestamp()), 0o600
            archive.addfile(entry, io.BytesIO(body))
    return tuple(contents)


def _versions(site: Site) -> dict[str, Any]:
    running = site.running
    return {
        "vigil": vigil.__version__, "machine": {"system": platform.platform(), "processor": platform.machine()},
        "command_line": environment(),
        "orthanc": None if running is None else {
            "system": {key: running.system[key] for key in SYSTEM_KEYS if key in running.system},
            "python_plugin": running.plugin_version, "process": running.environment, "health": running.health}}


def _ledger(site: Site) -> dict[str, Any]:
    if site.state_directory is None or not (ledger := StatePaths(site.state_directory).ledger).exists():
        return {"there": False}
    try:
        seen = glance(ledger)
    except VigilError as failure:
        return {"there": True, "problem": failure.message}
    return {"there": True, "bytes": ledger.stat().st_size, "schema": seen.schema, "counts": seen.counts,
            "audit_entries": seen.audit_entries, "newest_at": None if seen.newest_at is None else seen.newest_at.isoformat()}


def _models(site: Site, around: Surroundings) -> list[dict[str, Any]]:
    named = None if site.settings is None else site.settings.models_directory
    return [{
        "id": model.model_id, "problem": None if model.problem is None else model.problem.text,
        "manifest": None if model.manifest is None else model.manifest.model_dump(mode="json"),
        "sha256": {str(file.relative_to(model.folder)): _sha256(file) for file in sorted(model.folder.rglob("*"))
                   if file.is_file() and not file.is_symlink()},
    } for model in Registry(named or around.bundled_models).installed()]


def _log(site: Site) -> Iterator[str]:
    """The last lines of our own log, each held to its form: what is no JSON object was not written by us."""
    if site.state_directory is None:
        return
    folder = StatePaths(site.state_directory).logs
    try:
        files = sorted(folder.glob("vigil.jsonl*"), key=lambda file: file.stat().st_mtime)
        kept = b"".join(file.read_bytes() for file in files)[-LOG_BYTES:]
    except OSError:
        return
    for line in kept.splitlines():
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict) and "action" in content:
            yield json.dumps(content, ensure_ascii=False) + "\n"


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as failure:
        return f"cannot be read ({failure.strerror})"


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1, default=str) + "\n"


def _for_its_maker_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
