"""What this host is: its Orthanc, that one's plugins and Python, and the libraries in it, as they say themselves.

As a command it prints them as JSON. It runs on this machine and inside the root of any other host.
"""

from __future__ import annotations

import json
import platform
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from hospital.network import enter_namespace
from hospital.orthanc import Orthanc, runtime_site_packages, version_of

LIBRARIES = (
    "numpy", "onnxruntime", "pydicom", "highdicom", "pynetdicom", "imagecodecs", "SimpleITK", "cryptography", "SQLAlchemy")
"""Those with compiled parts, and those that speak DICOM."""

SCRIPT = """
import importlib.metadata, json, platform, sys
sys.path.insert(0, {packages!r})
import orthanc
found = {{"python": platform.python_version(), "libraries": {{name: importlib.metadata.version(name) for name in {libraries!r}}}}}
orthanc.RegisterRestCallback("/facts", lambda output, uri, **request: output.AnswerBuffer(json.dumps(found), "application/json"))
"""


@dataclass(frozen=True)
class Facts:
    """``labels``: whether this Orthanc keeps labels. Versions as they are told."""

    system: str
    orthanc: str
    plugin: str
    python: str
    labels: bool
    libraries: dict[str, str]

    def at_least(self, orthanc: tuple[int, ...] = (), plugin: tuple[int, ...] = ()) -> bool:
        return version_of(self.orthanc) >= orthanc and version_of(self.plugin) >= plugin


def ask_here() -> Facts:
    """Starts this host's Orthanc with a script that says what runs it."""
    with tempfile.TemporaryDirectory(prefix="vigil-facts-") as folder:
        script = Path(folder) / "facts.py"
        script.write_text(SCRIPT.format(packages=str(runtime_site_packages()), libraries=LIBRARIES))
        with Orthanc(Path(folder) / "orthanc", name="FACTS", script=script) as orthanc:
            system, inside = orthanc.get("/system"), orthanc.get("/facts")
            return Facts(
                system=platform.freedesktop_os_release()["PRETTY_NAME"], orthanc=system["Version"],
                plugin=orthanc.get("/plugins/python")["Version"], python=inside["python"],
                labels=bool(system.get("HasLabels")), libraries=inside["libraries"])


def main() -> None:
    enter_namespace()
    print(json.dumps(asdict(ask_here()), indent=1))


if __name__ == "__main__":
    main()
