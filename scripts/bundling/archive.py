"""The archive and its checksums: the same contents give the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"


class NotSigned(Exception):
    """The key does not sign."""


def write_sums(folder: Path) -> None:
    lines = []
    for path in files(folder):
        with path.open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.relative_to(folder)}\n")
    (folder / SUMS).write_text("".join(lines), "utf-8")


def sign(folder: Path, key: Path) -> None:
    """Ed25519, by openssl, which every host has: it can be checked without us."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise NotSigned("openssl is missing, which signs the bundle. Install it.")
    done = subprocess.run(
        [openssl, "pkeyutl", "-sign", "-inkey", str(key), "-rawin", "-in", str(folder / SUMS), "-out", str(folder / SIGNATURE)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NotSigned(
            f"{key} does not sign: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}. A key is made by: "
            "openssl genpkey -algorithm ed25519 -out KEY.pem"
        )


def pack(folder: Path, target: Path, moment_s: int) -> None:
    """``moment_s``: the time that every file bears, in seconds since 1970."""

    def plain(item: tarfile.TarInfo) -> tarfile.TarInfo:
        item.uid = item.gid = 0
        item.uname = item.gname = "root"
        item.mtime = moment_s
        item.mode = 0o755 if item.isdir() or item.mode & 0o100 else 0o644
        return item

    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=moment_s) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in [folder, *sorted(folder.rglob("*"))]:
            archive.add(path, path.relative_to(folder.parent), recursive=False, filter=plain)


def files(folder: Path) -> Iterator[Path]:
    """All but the bundle's own sums and signature: those of the models lie deeper, and are a part like any other."""
    own = (folder / SUMS, folder / SIGNATURE)
    yield from sorted(path for path in folder.rglob("*") if path.is_file() and path not in own)
