"""Bundles for the tests, made once a run by the command that makes real ones; wheels are kept for the next run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bundling.archive import SIGNATURE, SUMS, sign, write_sums
from hospital.host_root import HostRootMissing, host_root
from hospital.network import enter_namespace
from hospital.site_before import VERSIONS, Site

REPOSITORY = Path(__file__).resolve().parents[2]
WHEELS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vigil" / "wheels"
PYTHON = {"bookworm": "3.11", "trixie": "3.13", "forky": "3.14"}


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Path]]:
    """Two versions for a host's Python, unpacked and signed: {"vigil": ..., "vigil-next": ..., "public": the key}."""
    folder = tmp_path_factory.mktemp("bundles")
    made: dict[str, dict[str, Path]] = {}

    def of(host: str) -> dict[str, Path]:
        if host not in made:
            made[host] = _make(folder / host, PYTHON[host])
        return made[host]

    return of


def _make(folder: Path, python: str) -> dict[str, Path]:
    """The first by the command that makes real ones; the next is the same under another version, signed by the same key."""
    folder.mkdir()
    key, public = folder / "key.pem", folder / "public.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public)], check=True)
    make = [
        str(REPOSITORY / "scripts" / "make-bundle"),
        "--out",
        str(folder),
        "--python",
        python,
        "--key",
        str(key),
        "--wheels",
        str(WHEELS),
    ]
    subprocess.run([*make, "--version", VERSIONS[0]], check=True, capture_output=True)
    archive = folder / f"vigil-{VERSIONS[0]}.tar.gz"
    this, following = folder / "vigil", folder / "vigil-next"
    this.mkdir()
    subprocess.run(["tar", "-xzf", str(archive), "--strip-components=1", "-C", str(this)], check=True)
    archive.unlink()
    subprocess.run(["cp", "-al", str(this), str(following)], check=True)
    for name in ("VERSION", "plugin/vigil/__init__.py"):
        text = (this / name).read_text()
        (following / name).unlink()
        (following / name).write_text(text.replace(VERSIONS[0], VERSIONS[1]))
    for name in (SUMS, SIGNATURE):
        (following / name).unlink()
    write_sums(following)
    sign(following, key)
    return {"public": public, "vigil": this, "vigil-next": following}


@pytest.fixture(scope="session", autouse=True)
def _own_network() -> None:
    enter_namespace()


@pytest.fixture
def bare(tmp_path: Path, bundles: Callable[[str], dict[str, Path]]) -> Iterator[Site]:
    """A site on Debian 12, before anything of ours; Orthanc does not run."""
    try:
        host_root("bookworm")
    except HostRootMissing as missing:
        pytest.skip(str(missing))
    made = bundles("bookworm")
    site = Site("bookworm", tmp_path, {"vigil": made["vigil"], "vigil-next": made["vigil-next"]})
    try:
        yield site.open()
    finally:
        site.close()
