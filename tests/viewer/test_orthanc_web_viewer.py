"""Orthanc's own web viewer (Debian's orthanc-webviewer) shows the Secondary Captures: it knows no SR and no SEG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from hospital.orthanc import Orthanc, OrthancDidNotStart, plugin_path
from viewer.conftest import LOOK_AT_PAGE, Drive

pytestmark = [pytest.mark.viewer, pytest.mark.timeout(300)]

MANY = 1000
FEW = 20


def test_the_web_viewer_shows_the_summary_and_the_key_slices_and_nothing_on_the_source(
    phantom_study: Callable[[str], Path], drive: Drive, pictures: Path, tmp_path: Path
) -> None:
    try:
        plugin_path("OrthancWebViewer")
    except OrthancDidNotStart:
        pytest.fail("Orthanc's web viewer was not found. Install the Debian package orthanc-webviewer.")
    folder = phantom_study("positive")
    seen = {}
    with Orthanc(tmp_path / "orthanc", script=None, plugins=("OrthancWebViewer",)) as orthanc:
        for path in sorted(folder.glob("*.dcm")):
            orthanc.post("/instances", path.read_bytes())
        for name in ("image-000", "summary-0", "key-slice-0"):
            uid = str(dcmread(folder / f"{name}.dcm", stop_before_pixels=True).SeriesInstanceUID)
            (series,) = orthanc.post("/tools/lookup", uid.encode())
            address = f"http://127.0.0.1:{orthanc.http_port}/web-viewer/app/viewer.html?series={series['ID']}"
            seen[name] = drive(LOOK_AT_PAGE, {"address": address, "picture": str(pictures / f"web-viewer-{name}.png")})
    assert [view["faults"] for view in seen.values()] == [[], [], []]
    assert seen["image-000"]["coloured"] <= FEW
    assert seen["image-000"]["lit"] > MANY
    assert seen["summary-0"]["colours"]["banner"] > MANY
    assert seen["summary-0"]["colours"]["positive"] > MANY
    assert seen["key-slice-0"]["coloured"] > MANY
