"""A bundle that is broken in one of many ways: Orthanc starts, stores and says what is wrong (law 1)."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hospital import modality
from hospital.ct_series import Acquisition, ct_series
from hospital.hospital import LIVE, MODEL
from hospital.orthanc import BUNDLE_SCRIPT, Orthanc, OrthancRefused

PLUGIN = BUNDLE_SCRIPT.parent


def told(orthanc: Orthanc, expected: str) -> str:
    """What /vigil/health/ready says, once it says ``expected``."""
    deadline = time.monotonic() + 30
    said = "nothing"
    while time.monotonic() < deadline:
        with pytest.raises(OrthancRefused) as refusal:
            orthanc.get("/vigil/health/ready")
        assert refusal.value.status == 503
        content = json.loads(refusal.value.body)
        assert content["ready"] is False
        said = " ".join(content["missing"])
        if expected in said:
            return said
        time.sleep(0.1)
    raise AssertionError(f"/vigil/health/ready says: {said}")


def stores(orthanc: Orthanc) -> None:
    images = list(ct_series(np.zeros((3, 16, 16)), Acquisition("broken", spacing_mm=(5.0, 1.0, 1.0))))
    assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
    assert len(orthanc.instances()) == 3
    assert orthanc.get("/vigil/health/live") == {"live": True}


def broken_copy(folder: Path, mend: Callable[[Path], None]) -> Path:
    copy = folder / "plugin"
    shutil.copytree(PLUGIN, copy, ignore=shutil.ignore_patterns("__pycache__"))
    mend(copy)
    return copy / "vigil_plugin.py"


def test_code_that_cannot_be_imported(tmp_path: Path) -> None:
    def spoil(copy: Path) -> None:
        (copy / "vigil" / "host" / "entry.py").write_text("import a_module_that_is_nowhere\n")

    with Orthanc(tmp_path / "o", script=broken_copy(tmp_path, spoil)) as orthanc:
        assert "a_module_that_is_nowhere" in told(orthanc, "install the bundle again")
        stores(orthanc)
        assert orthanc.terminate(15).in_order


def test_code_that_is_cut_off_in_the_middle(tmp_path: Path) -> None:
    def spoil(copy: Path) -> None:
        file = copy / "vigil" / "host" / "entry.py"
        file.write_text("\n".join(file.read_text().splitlines()[:12]) + "\ndef (\n")

    with Orthanc(tmp_path / "o", script=broken_copy(tmp_path, spoil)) as orthanc:
        assert "SyntaxError" in told(orthanc, "could not start")
        stores(orthanc)


def test_code_behind_the_door_that_is_broken(tmp_path: Path) -> None:
    def spoil(copy: Path) -> None:
        (copy / "vigil" / "pipeline" / "house.py").write_text("raise RuntimeError('broken')\n")

    with Orthanc(tmp_path / "o", script=broken_copy(tmp_path, spoil)) as orthanc:
        told(orthanc, "could not start (RuntimeError)")
        stores(orthanc)
        assert orthanc.terminate(15).in_order


@pytest.mark.parametrize(("settings", "expected"), [
    ({"StatDirectory": "/tmp/x"}, "StateDirectory"),
    ({"MaxStudyAgeHours": "a day"}, "Vigil.MaxStudyAgeHours"),
    ({"Pacs": {"pacs": {"Host": "127.0.0.1", "Port": 70000, "Aet": "PACS"}}}, "Vigil.Pacs.pacs.Port"),
    ({"SchemaVersion": 2}, "Vigil.SchemaVersion"),
])
def test_settings_that_are_wrong(tmp_path: Path, settings: dict[str, object], expected: str) -> None:
    with Orthanc(tmp_path / "o", vigil=settings) as orthanc:
        said = told(orthanc, expected)
        assert "Traceback" not in said
        assert "Error(" not in said
        stores(orthanc)


def test_a_model_that_is_not_installed(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    with Orthanc(tmp_path / "o", vigil={"ModelsDirectory": str(models), "Models": {MODEL: LIVE}}) as orthanc:
        told(orthanc, f"'{MODEL}' does not run: it is not installed")
        stores(orthanc)


def test_a_ledger_that_cannot_be_read(tmp_path: Path) -> None:
    state = tmp_path / "o" / "vigil"
    state.mkdir(parents=True)
    (state / "ledger.sqlite").write_bytes(b"this is no database, and long enough to be looked at as one" * 40)
    with Orthanc(tmp_path / "o") as orthanc:
        said = told(orthanc, "ledger")
        assert "Traceback" not in said
        stores(orthanc)
        assert orthanc.terminate(15).in_order


def test_a_library_that_is_missing(tmp_path: Path) -> None:
    empty = tmp_path / "site-packages"
    empty.mkdir()
    with Orthanc(tmp_path / "o", vigil={"SitePackages": str(empty)}) as orthanc:
        told(orthanc, "install the bundle again")
        stores(orthanc)


def test_a_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("")
    with Orthanc(tmp_path / "o", vigil={"StateDirectory": str(blocked / "state")}) as orthanc:
        told(orthanc, "state directory")
        stores(orthanc)


def test_vigil_that_is_switched_off(tmp_path: Path) -> None:
    with Orthanc(tmp_path / "o", vigil={"Enabled": False}) as orthanc:
        told(orthanc, "switched off")
        stores(orthanc)
