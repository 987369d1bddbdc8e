"""The libraries: the right versions, imported from the right place. The standard library alone: it is asked when one is missing.

Orthanc's Python also sees the distribution's own packages. An older pydicom there comes before ours where the path is wrong, and
nothing says so until an image cannot be read.
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import vigil
from vigil.oversight.doctor.check import Check, error, good, warning

SUBJECT = "libraries"
MODULES = {
    "alembic": "alembic", "cryptography": "cryptography", "dbos": "dbos", "highdicom": "highdicom", "hl7apy": "hl7apy",
    "imagecodecs": "imagecodecs", "numpy": "numpy", "onnxruntime": "onnxruntime", "pillow": "PIL",
    "prometheus-client": "prometheus_client", "pydantic": "pydantic", "pydicom": "pydicom", "pynetdicom": "pynetdicom",
    "pyyaml": "yaml", "simpleitk": "SimpleITK", "sqlalchemy": "sqlalchemy", "typer": "typer",
}
"""The module of each library that Vigil imports itself."""
EITHER = {"onnxruntime": "onnxruntime-gpu"}
"""One of both is installed."""
BUNDLE = Path(vigil.__file__).resolve().parents[2]
INSTALL_AGAIN = "install the bundle again, and name no other folder as Vigil.SitePackages"


def environment() -> dict[str, Any]:
    """What this interpreter would import, or has imported: for Orthanc's process, which alone knows."""
    libraries = {}
    for name, module in MODULES.items():
        place = _place(module)
        libraries[name] = {"version": None if place is None else _version(name, place),
                           "at": None if place is None else str(place)}
    return {"python": ".".join(map(str, sys.version_info[:3])), "vigil": vigil.__version__,
            "vigil_at": str(Path(vigil.__file__).parent),
            "libraries": libraries}


def default_site_packages(python: str) -> Path:
    """The bundle's own packages. ``python``: "3.11"."""
    return BUNDLE / "venv" / "lib" / f"python{python}" / "site-packages"


def pins(python: str, bundle: Path = BUNDLE) -> dict[str, str]:
    """Name and version of every library of the bundle, from its lock file; empty where that is not there."""
    try:
        text = (bundle / "requirements" / f"runtime-py{python}.txt").read_text("utf-8")
    except OSError:
        return {}
    return {_plain(name): version for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)}


def look_in_folder(folder: Path, pinned: Mapping[str, str]) -> list[Check]:
    """The folder of packages that Orthanc is given, as it lies on disk."""
    if not folder.is_dir():
        return [error(SUBJECT, str(folder), "is not there: Orthanc's Python finds none of the bundle's libraries",
                      f"{INSTALL_AGAIN}; it must be made for the Python that Orthanc embeds")]
    found = {_plain(name): item.version for item in importlib.metadata.distributions(path=[str(folder)])
             if (name := item.metadata["Name"])}
    checks = []
    for name, version in pinned.items():
        has = found.get(name) or found.get(EITHER.get(name, ""))
        if has is None:
            checks.append(error(SUBJECT, name, f"is missing in {folder}", INSTALL_AGAIN))
        elif has != version:
            checks.append(error(SUBJECT, name, f"is {has} in {folder}; this bundle was tested with {version}", INSTALL_AGAIN))
    for name, module in MODULES.items():
        if (name in found or EITHER.get(name) in found) and _place(module, [str(folder)]) is None:
            checks.append(error(SUBJECT, name, f"is listed in {folder}, and its files are not there", INSTALL_AGAIN))
    if not pinned:
        checks.append(warning(SUBJECT, "requirements", "no lock file for this Python lies beside the bundle, so versions were "
                              "not compared", "install the bundle again, whole"))
    return checks or [good(SUBJECT, str(folder), f"{len(pinned)} libraries in the versions of the bundle")]


def look_at_process(environment: Mapping[str, Any], folder: Path, pinned: Mapping[str, str]) -> list[Check]:
    """What Orthanc's own process imports. ``environment``: its answer to /vigil/environment."""
    checks = []
    for name, item in environment.get("libraries", {}).items():
        at, version = item["at"], item["version"]
        if at is None:
            checks.append(error(SUBJECT, name, "cannot be imported in Orthanc's process", INSTALL_AGAIN))
        elif not Path(at).is_relative_to(folder) and not Path(at).resolve().is_relative_to(folder.resolve()):
            checks.append(error(
                SUBJECT, name, f"Orthanc's process imports {version or 'it'} from {at}, and not the bundle's from {folder}",
                "a package of the distribution or of the site's script goes before the bundle's: put the bundle's folder first "
                "in sys.path, before anything is imported (docs/operator.md), and set no PYTHONPATH for Orthanc"))
        elif version is not None and name in pinned and version != pinned[name]:
            checks.append(error(SUBJECT, name, f"Orthanc's process has {version}; this bundle was tested with {pinned[name]}",
                                f"{INSTALL_AGAIN}; then restart Orthanc"))
    return checks or [good(SUBJECT, "Orthanc's process", f"imports every library from {folder}")]


def _place(module: str, path: list[str] | None = None) -> Path | None:
    """The file of a module, without importing it."""
    loaded = sys.modules.get(module) if path is None else None
    at = getattr(loaded, "__file__", None)
    if at is None:
        found = importlib.machinery.PathFinder.find_spec(module, path)
        at = None if found is None else found.origin
    return None if at is None else Path(at)


def _version(name: str, place: Path) -> str | None:
    """The version beside the module itself, and not that of a namesake elsewhere in the path."""
    wanted = (name, EITHER.get(name))
    for item in importlib.metadata.distributions(path=[str(place.parents[1])]):
        known = item.metadata["Name"]
        if known and _plain(known) in wanted:
            return item.version
    return None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
