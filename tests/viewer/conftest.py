"""Studies as they lie in a hospital's archive, and the viewer that a person would open them with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "unit" / "results")]
# ruff: noqa: E402 - what follows is found by the line above

from pydicom import dcmread
from result_cases import CASES, of_radiograph

from hospital.ct_series import dicom_bytes
from hospital.network import enter_namespace
from hospital.orthanc import REPOSITORY, Orthanc
from viewer.packages import DRIVER, VIEWER
from viewer.site import serve_viewer
from vigil.results.make import make_results
from vigil.results.marks import KIND_COLOURS, YELLOW
from vigil.results.options import ResultOptions

Seen = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """At a series: by a text of its thumbnail. ``awaits``: a text that comes with the picture; ``scroll_to``: the text of
    an image further down."""

    series: str
    awaits: str = ""
    scroll_to: str = ""


Open = Callable[[Path, Sequence[Look]], Seen]
Drive = Callable[[Path, dict[str, Any]], Seen]
HERE = Path(__file__).parent
OPEN_STUDY, LOOK_AT_PAGE = HERE / "read_study.cjs", HERE / "look_at_page.cjs"
COLOURS = {"banner": YELLOW} | {kind.value: colour for kind, colour in KIND_COLOURS.items()}


@pytest.fixture(scope="session", autouse=True)
def _own_network() -> None:
    """scripts/test starts the tests in a network of their own; a developer's bare pytest enters one here."""
    enter_namespace()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the demo keeps: a folder a study, with the images that were sent and the results that the PACS received."""
    folder = tmp_path_factory.mktemp("demo")
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "scripts")}
    command = [sys.executable, "-m", "hospital.demo", "--out", str(folder)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="session")
def positive(demo: Path) -> Path:
    return _only(demo.glob("head-with-*"))


@pytest.fixture(scope="session")
def negative(demo: Path) -> Path:
    return _only(demo.glob("the-same-head-*"))


@pytest.fixture(scope="session")
def phantom_study(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with the images of a case of ``result_cases``, or of a radiograph, and what is said of it, the flat report
    included."""

    def written(name: str) -> Path:
        case = of_radiograph(1024, 1250) if name == "radiograph" else CASES[name]()
        folder = tmp_path_factory.mktemp("study") / name.replace(" ", "-")
        folder.mkdir()
        for index, ds in enumerate(case.files):
            (folder / f"image-{index:03}.dcm").write_bytes(dicom_bytes(ds))
        for made in make_results(replace(case.asked, options=ResultOptions(text_report=True))):
            (folder / f"{made.role}-{made.index}.dcm").write_bytes(made.dicom)
        return folder

    return written


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where the screenshots are put. They stay: somebody looks at them before a release."""
    folder = REPOSITORY / "build" / "viewer" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def drive() -> Drive:
    """Hands what is asked for to a script that opens a browser, and returns what that has seen."""
    if not DRIVER.is_here:
        pytest.fail(f"{DRIVER.name} {DRIVER.version} is not here. Run tests/viewer/packages.py first.")
    browser, node = shutil.which("chromium"), shutil.which("node")
    if browser is None or node is None:
        pytest.fail("Chromium or Node.js was not found. Install the Debian packages chromium and nodejs.")

    def driven(script: Path, asked: dict[str, Any]) -> Seen:
        whole = asked | {"playwright": str(DRIVER.folder), "browser": browser, "colours": COLOURS}
        run = subprocess.run(
            [node, str(script)], input=json.dumps(whole), capture_output=True, text=True, timeout=240, check=False
        )
        assert run.returncode == 0, run.stderr
        return dict(json.loads(run.stdout))

    return driven


@pytest.fixture
def open_study(tmp_path: Path, pictures: Path, drive: Drive) -> Iterator[Open]:
    """Puts the files of a folder into a plain Orthanc, opens the study in the viewer, there one series after the other
    and says what is seen."""
    if not VIEWER.is_here:
        pytest.fail(f"{VIEWER.name} {VIEWER.version} is not here. Run tests/viewer/packages.py first.")
    with Orthanc(tmp_path / "orthanc", script=None) as orthanc:

        def opened(folder: Path, looks: Sequence[Look]) -> Seen:
            paths = sorted(folder.rglob("*.dcm"))
            for path in paths:
                orthanc.post("/instances", path.read_bytes())
            asked = {
                "study": str(dcmread(paths[0], stop_before_pixels=True).StudyInstanceUID),
                "items": [
                    asdict(look) | {"picture": str(pictures / f"{folder.name}-{look.series.replace(' ', '-')}.png")}
                    for look in looks
                ],
            }  # fmt: skip
            with serve_viewer(VIEWER.folder / "dist", orthanc.http_port) as address:
                return drive(OPEN_STUDY, asked | {"address": address})

        yield opened


def _only(found: Iterator[Path]) -> Path:
    (path,) = found
    return path
