"""The files of docker/ are what their tools take, and what they name is there. No engine builds them here."""

from __future__ import annotations

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
import yaml

from vigil.settings import load
from vigil.settings.configuration_files import read_configuration

REPOSITORY = Path(__file__).resolve().parents[3]
DOCKER = REPOSITORY / "docker"
HADOLINT = Path(sysconfig.get_path("scripts")) / "hadolint"


def test_hadolint_has_no_complaint_and_sees_a_fault(tmp_path: Path) -> None:
    assert subprocess.run([str(HADOLINT), str(DOCKER / "Dockerfile")], capture_output=True, text=True, check=False).stdout == ""
    broken = tmp_path / "Dockerfile"
    broken.write_text((DOCKER / "Dockerfile").read_text().replace(":26.8.0", ""))
    assert "DL3006" in subprocess.run([str(HADOLINT), str(broken)], capture_output=True, text=True, check=False).stdout


def test_the_image_s_settings_are_right_and_every_model_is_off() -> None:
    settings = load(read_configuration(DOCKER / "vigil.json"))
    assert settings.enabled_models() == ()
    assert f'VOLUME ["{settings.state_directory}"]' in (DOCKER / "Dockerfile").read_text()


def test_what_compose_mounts_is_named_and_nothing_listens_to_the_world_without_tls() -> None:
    composed = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    service = composed["services"]["orthanc"]
    named = {volume.split(":")[0] for volume in service["volumes"] if not volume.startswith(".")}
    assert named == set(composed["volumes"])
    assert set(service["secrets"]) == set(composed["secrets"])
    assert "127.0.0.1:8042:8042" in service["ports"]
    assert all((DOCKER / volume.split(":")[0]).exists() for volume in service["volumes"] if volume.startswith("."))


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml"])
def test_no_version_but_the_bundle_s_own_is_named(file: str) -> None:
    from vigil import __version__

    assert set(re.findall(r"(?:vigil-|orthanc-vigil:)(\d+\.\d+\.\d+)", (DOCKER / file).read_text())) == {__version__}
