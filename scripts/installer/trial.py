"""A release tried inside this very Orthanc, before anything of the site is touched and before it is the one in use."""

from __future__ import annotations

from pathlib import Path

from installer.host import Host, ask
from installer.refused import Cause, Refused

_IMPORTS = """
import sys
sys.dont_write_bytecode = True
sys.path[:0] = {paths!r}
import importlib
found = {{}}
for name in {names!r}:
    module = importlib.import_module(name)
    place = getattr(module, '__file__', '') or ''
    if not place.startswith({folder!r}):
        raise ImportError(name + ' comes from ' + place)
    found[name] = getattr(module, '__version__', '')
import onnxruntime
found['providers'] = onnxruntime.get_available_providers()
say(found)
"""
_SETTINGS = """
import sys
sys.dont_write_bytecode = True
sys.path[:0] = {paths!r}
from pathlib import Path
from vigil.domain.errors import VigilError
from vigil.settings import load
from vigil.settings.configuration_files import read_configuration
try:
    load(read_configuration(Path({configuration!r})))
except VigilError as error:
    say({{'refused': error.message}})
say({{}})
"""
IMPORTED = (
    "numpy",
    "pydicom",
    "onnxruntime",
    "highdicom",
    "SimpleITK",
    "imagecodecs",
    "hl7apy",
    "pynetdicom",
    "sqlalchemy",
    "dbos",
    "cryptography",
    "PIL",
    "vigil.host.entry",
    "vigil.pipeline.house",
    "vigil.cli.main",
)
"""What a release must be able to import inside this very Orthanc before anything of the site is touched."""


def try_release(host: Host, folder: Path, version: str) -> None:
    """Imports all of it, as the user that Orthanc runs as. ``folder``: where it lies as yet."""
    script = _IMPORTS.format(paths=_paths(host, folder), names=IMPORTED, folder=str(folder))
    said, log = ask(host.binary, host.plugin_file, script, user=host.user)
    problem = log.splitlines()[-1] if said is None and log.strip() else None if said is None else said.get("error")
    if said is None or problem is not None:
        raise Refused(
            Cause.LIBRARY_MISSING,
            f"Vigil {version} cannot run inside this Orthanc: {problem}. If a file lib….so is missing, install the "
            "Debian package that holds it; else take a whole bundle.",
        )


def insist_settings_fit(host: Host, folder: Path, version: str, configuration: Path) -> None:
    """A version that would not start with the site's settings says so before it is the one in use."""
    script = _SETTINGS.format(paths=_paths(host, folder), configuration=str(configuration))
    said, _ = ask(host.binary, host.plugin_file, script, user=host.user)
    if said is not None and "refused" in said:
        raise Refused(
            Cause.SETTINGS_REFUSED,
            f"Vigil {version} would not start with the settings in {configuration}: {said['refused']}. Mend them first.",
        )


def _paths(host: Host, folder: Path) -> list[str]:
    return [str(folder / "venv" / "lib" / f"python{host.python}" / "site-packages"), str(folder / "plugin")]
