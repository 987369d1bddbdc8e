"""The installed models: one folder a package, read from disk and held to its hashes.

A folder bears its model's id, or id@version where several versions lie side by side. What a package *is* is said by one
number, the SHA-256 of its manifest: that names every other file by its own. It is what is approved.

A broken package is listed with what is wrong with it; it never hides the others and never stops a start (law 1).
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from vigil.domain.answer import Reason
from vigil.domain.errors import VigilError
from vigil.domain.manifest import Manifest, Network
from vigil.inference.errors import ModelFileMissing, ModelHashMismatch, ModelInvalid
from vigil.inference.manifest_file import FILE, manifest_bytes, manifest_text, parse_manifest
from vigil.inference.onnx_file import refuse_custom_operators, refuse_external_data

LARGEST_FILE_BYTES = 4 << 30


class Limit(StrEnum):
    """How far the site lets a package go at most, whatever stage its settings give the model."""

    OFF = "off"
    SHADOW = "shadow"
    LIVE = "live"


@dataclass(frozen=True)
class InstalledModel:
    """A package in its folder. ``problem``: why it cannot run, found when it was listed; ``manifest`` is None where that
    cannot be read, and ``model_id`` then the folder's name. ``sha256``: of the manifest, None where there is none.
    A version that runs in silence beside the one in use has "id@version" as its ``model_id``, so that the two never meet."""

    folder: Path
    manifest: Manifest | None
    model_id: str
    problem: Reason | None
    sha256: str | None = None
    limit: Limit = Limit.LIVE

    @property
    def version(self) -> str | None:
        return None if self.manifest is None else self.manifest.version

    def verify(self) -> Reason | None:
        """Reads and hashes every file again. None where all are what they were when the package was read."""
        try:
            if self.manifest is None:
                return self.problem
            _regular_file(self.folder, FILE)
            if (now := _digest(manifest_bytes(self.folder / FILE))) != self.sha256:
                raise ModelHashMismatch(FILE, self.sha256 or "", now)
            _verify(self.folder, self.manifest)
        except VigilError as error:
            return Reason(error.category, error.message)
        return None

    def read_network(self, network: Network | None = None) -> bytes:
        """A network's file (the deciding one's where none is named), hashed: the bytes returned are the bytes that were
        checked.

        Raises: ModelInvalid, ModelFileMissing, ModelHashMismatch.
        """
        if self.manifest is None:
            raise ModelInvalid("the package has no manifest that can be read")
        content = self.read_file((network or self.manifest.network).file)
        _insist_on_a_network(content)
        return content

    def read_file(self, name: str) -> bytes:
        """A file that the manifest lists, hashed.

        Raises: ModelInvalid, ModelFileMissing, ModelHashMismatch.
        """
        if self.manifest is None or name not in self.manifest.files:
            raise ModelInvalid(f"the manifest lists no file '{name}'")
        content = _read(self.folder, name)
        _insist(name, self.manifest.files[name], _digest(content))
        return content


class Registry:
    """The folder of model packages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def installed(self) -> tuple[InstalledModel, ...]:
        """Every package, by name; none where the folder is missing. Never raises for what a package holds."""
        try:
            folders = sorted(item for item in self._folder.iterdir() if item.is_dir() and not item.name.startswith("."))
        except OSError:
            return ()
        return tuple(read_package(folder) for folder in folders)


def read_package(folder: Path) -> InstalledModel:
    """One package, with what is wrong with it. Never raises for what it holds."""
    manifest: Manifest | None = None
    sha256: str | None = None
    name = folder.name.partition("@")[0]
    try:
        # The manifest, too, must lie in the folder itself.
        _regular_file(folder, FILE)
        content = manifest_bytes(folder / FILE)
        sha256 = _digest(content)
        manifest = parse_manifest(manifest_text(content))
        if folder.name not in (manifest.id, f"{manifest.id}@{manifest.version}"):
            raise ModelInvalid(f"{FILE} says id '{manifest.id}' and version {manifest.version}, and its folder is "
                               f"'{folder.name}'; name the folder {manifest.id} or {manifest.id}@{manifest.version}")
        _verify(folder, manifest)
    except VigilError as error:
        return InstalledModel(folder, manifest, name, Reason(error.category, error.message), sha256)
    return InstalledModel(folder, manifest, name, None, sha256)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _verify(folder: Path, manifest: Manifest) -> None:
    networks = {network.file for network in manifest.networks}
    for name, expected in manifest.files.items():
        if name in networks:
            content = _read(folder, name)
            _insist(name, expected, hashlib.sha256(content).hexdigest())
            _insist_on_a_network(content)
            continue
        path = _regular_file(folder, name)
        try:
            with path.open("rb") as file:
                _insist(name, expected, hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:
            raise ModelFileMissing(f"the file '{name}' cannot be read ({type(error).__name__})") from None


def _insist_on_a_network(content: bytes) -> None:
    refuse_external_data(content)
    refuse_custom_operators(content)


def _insist(name: str, expected: str, actual: str) -> None:
    if actual != expected.lower():
        raise ModelHashMismatch(name, expected, actual)


def _read(folder: Path, name: str) -> bytes:
    path = _regular_file(folder, name)
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise ModelInvalid(f"the file '{name}' is larger than {LARGEST_FILE_BYTES >> 30} GiB")
        return path.read_bytes()
    except OSError as error:
        raise ModelFileMissing(
            f"the file '{name}' cannot be read ({type(error).__name__}); check its permissions"
        ) from None


def _regular_file(folder: Path, name: str) -> Path:
    """The file's path, which lies in the package and is reached through no link: what was approved is what is there."""
    pure = PurePosixPath(name)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
        raise ModelInvalid(f"the file name '{name}' leads out of the package; name files of the package's own folder")
    path = folder
    for index, part in enumerate(pure.parts):
        path = path / part
        try:
            mode = path.lstat().st_mode
        except OSError:
            raise ModelFileMissing(f"the file '{name}' is missing; install the package again") from None
        if stat.S_ISLNK(mode):
            raise ModelInvalid(f"'{name}' is or lies behind a symbolic link; put the file itself into the package")
        last = index == len(pure.parts) - 1
        if not (stat.S_ISREG(mode) if last else stat.S_ISDIR(mode)):
            raise ModelInvalid(f"'{name}' is not a plain file")
    return path
