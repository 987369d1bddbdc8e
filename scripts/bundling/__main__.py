"""``scripts/make-bundle``: see its ``--help``."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bundling import archive, sbom
from bundling.wheels import NotFetched, described, fetch, licence_texts

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.fetch:
            for python in options.python or PYTHONS:
                keep_wheels(options.wheels or REPOSITORY / "build" / "wheels", python)
            return 0
        made = make(options.out, options.python or PYTHONS, options.key, options.version, options.wheels)
    except (NotFetched, archive.NotSigned) as error:
        print(f"make-bundle: {error}", file=sys.stderr)
        return 1
    print(f"{made}  {made.stat().st_size / 1e6:.0f} MB" + ("" if options.key else "  (not signed: --key KEY.pem signs it)"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make-bundle", description="Makes one archive that installs Vigil without a network and without a compiler."
    )
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "bundle", help="folder of the archive (%(default)s)")
    parser.add_argument(
        "--python", action="append", choices=PYTHONS, help="only for this Python; may be given again (all of them)"
    )
    parser.add_argument("--key", type=Path, help="sign with this Ed25519 key (openssl genpkey -algorithm ed25519 -out KEY.pem)")
    parser.add_argument("--version", help="call it so (the version of pyproject.toml)")
    parser.add_argument("--wheels", type=Path, help="keep fetched wheels here, and take what is there")
    parser.add_argument("--fetch", action="store_true", help="only fetch the wheels into the folder of --wheels")
    return parser


def make(out: Path, pythons: Sequence[str], key: Path | None, version: str | None, kept_wheels: Path | None) -> Path:
    version = version or tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    moment_s = _moment_s()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        folder = Path(scratch) / f"vigil-{version}"
        for name in ("plugin", "models"):
            shutil.copytree(REPOSITORY / name, folder / name, ignore=IGNORED)
        shutil.copytree(REPOSITORY / "scripts" / "installer", folder / "installer", ignore=IGNORED)
        for source, name in (
            ("scripts/install", "install"),
            ("orthanc.json",) * 2,
            ("LICENSE",) * 2,
            ("README.md",) * 2,
            ("CHANGELOG.md",) * 2,
        ):
            shutil.copy2(REPOSITORY / source, folder / name)
        shutil.copytree(REPOSITORY / "docs", folder / "docs")
        _name_version(folder / "plugin" / "vigil" / "__init__.py", version)
        (folder / "VERSION").write_text(f"{version}\n", "utf-8")
        (folder / "requirements").mkdir()
        wheels = folder / "wheels"
        wheels.mkdir()
        for python in pythons:
            lock = REPOSITORY / "requirements" / f"runtime-py{python}.txt"
            shutil.copy2(lock, folder / "requirements" / lock.name)
            for path in keep_wheels(kept_wheels or Path(scratch) / "fetched", python).glob("*.whl"):
                if not (wheels / path.name).exists():
                    shutil.copyfile(path, wheels / path.name)
        known = list(described(wheels.glob("*.whl")))
        for wheel in known:
            for name, text in licence_texts(wheel):
                target = folder / "licences" / f"{wheel.name}-{wheel.version}" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(text)
        made_at = datetime.fromtimestamp(moment_s, UTC)
        (folder / "sbom.cdx.json").write_bytes(sbom.bill(version, made_at, known, folder))
        archive.write_sums(folder)
        if key is not None:
            archive.sign(folder, key)
        target = out / f"vigil-{version}.tar.gz"
        unfinished = Path(scratch) / target.name
        archive.pack(folder, unfinished, moment_s)
        unfinished.replace(target)
    return target


def keep_wheels(kept: Path, python: str) -> Path:
    """The wheels of a Python's lock file in a folder of their own, fetched where they are not those that are there."""
    lock, folder = REPOSITORY / "requirements" / f"runtime-py{python}.txt", kept / python
    if not (folder / ".whole").exists() or (folder / ".whole").read_bytes() != lock.read_bytes():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        fetch(lock, python, folder)
        (folder / ".whole").write_bytes(lock.read_bytes())
    return folder


def _name_version(module: Path, version: str) -> None:
    """The version that results and health page tell is the bundle's."""
    text = module.read_text("utf-8")
    module.write_text(re.sub(r'^__version__ = ".*"$', f'__version__ = "{version}"', text, flags=re.MULTILINE), "utf-8")


def _moment_s() -> int:
    """SOURCE_DATE_EPOCH, else the time of the last commit, else now."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip() else int(datetime.now(UTC).timestamp())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
