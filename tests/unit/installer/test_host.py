"""How the site starts its Orthanc, as systemd would read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.host import Service, numbers, service

DEBIAN = "[Unit]\nDescription=x\n[Service]\nUser=orthanc\nExecStart=/usr/sbin/Orthanc --logdir=/var/log/orthanc /etc/orthanc\n"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    strong, weak = tmp_path / "etc", tmp_path / "lib"
    weak.mkdir()
    (weak / "orthanc.service").write_text(DEBIAN)
    return strong, weak


def drop_in(folder: Path, name: str, text: str) -> None:
    (folder / "orthanc.service.d").mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.service.d" / name).write_text(f"[Service]\n{text}\n")


def test_the_unit_of_the_package(folders: tuple[Path, Path]) -> None:
    assert service(folders) == Service("orthanc", Path("/etc/orthanc"), Path("/usr/sbin/Orthanc"))


def test_drop_ins_are_laid_over_it_in_the_order_of_their_names(folders: tuple[Path, Path]) -> None:
    drop_in(folders[1], "20.conf", "User=pacs")
    drop_in(folders[0], "30.conf", "# ours\nExecStart=\nExecStart=-/opt/orthanc/bin/Orthanc /srv/orthanc.json")
    assert service(folders) == Service("pacs", Path("/srv/orthanc.json"), Path("/opt/orthanc/bin/Orthanc"))
    drop_in(folders[0], "20.conf", "User=imaging")  # of the same name, the stronger folder's counts
    assert service(folders).user == "imaging"


def test_no_service_and_one_that_nobody_can_read(tmp_path: Path) -> None:
    assert service((tmp_path,)) == Service(None, None, None)
    (tmp_path / "orthanc.service").write_text('[Service]\nExecStart="unclosed\n')
    assert service((tmp_path,)) == Service(None, None, None)


def test_versions() -> None:
    assert numbers("1.12.7+dfsg") == (1, 12, 7)
    assert numbers("1.10.1") < numbers("1.12.7") < numbers("mainline")
