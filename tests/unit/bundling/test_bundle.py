"""What is written into a bundle: the same bytes for the same contents, a signature that openssl checks."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from bundling.archive import SIGNATURE, SUMS, NotSigned, pack, sign, write_sums

MOMENT_S = 1_764_000_000


def contents(folder: Path, mask: int) -> Path:
    before = os.umask(mask)
    try:
        (folder / "vigil-1.0.0" / "plugin").mkdir(parents=True)
        (folder / "vigil-1.0.0" / "plugin" / "a.py").write_text("a = 1\n")
        (folder / "vigil-1.0.0" / "install").write_text("#!/bin/sh\n")
    finally:
        os.umask(before)
    (folder / "vigil-1.0.0" / "install").chmod(0o755)
    return folder / "vigil-1.0.0"


def test_the_same_contents_are_the_same_bytes_whoever_packs_them(tmp_path: Path) -> None:
    packed = []
    for name, mask in (("one", 0o022), ("two", 0o077)):
        folder = contents(tmp_path / name, mask)
        write_sums(folder)
        pack(folder, tmp_path / f"{name}.tar.gz", MOMENT_S)
        packed.append((tmp_path / f"{name}.tar.gz").read_bytes())
    assert packed[0] == packed[1]
    with tarfile.open(tmp_path / "one.tar.gz") as archive:
        modes = {item.name: item.mode for item in archive}
        assert (modes["vigil-1.0.0/install"], modes["vigil-1.0.0/plugin/a.py"]) == (0o755, 0o644)


def test_every_file_is_in_the_sums_also_sums_of_its_own(tmp_path: Path) -> None:
    folder = contents(tmp_path, 0o022)
    (folder / "models").mkdir()
    (folder / "models" / SUMS).write_text("what the release approves\n")
    write_sums(folder)
    listed = {line.split("  ", 1)[1] for line in (folder / SUMS).read_text().splitlines()}
    assert listed == {"install", "plugin/a.py", f"models/{SUMS}"}


def test_openssl_alone_checks_the_signature(tmp_path: Path) -> None:
    folder = contents(tmp_path, 0o022)
    write_sums(folder)
    key, public = tmp_path / "key.pem", tmp_path / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public)], check=True)
    sign(folder, key)
    check = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin", "-in", str(folder / SUMS), "-sigfile",
             str(folder / SIGNATURE)]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0
    assert subprocess.run(["sha256sum", "--quiet", "-c", SUMS], cwd=folder, check=False).returncode == 0
    (folder / SUMS).write_text((folder / SUMS).read_text() + "\n")
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0
    with pytest.raises(NotSigned, match="does not sign"):
        sign(folder, public)
