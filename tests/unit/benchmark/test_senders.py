from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.cases.orthanc import stages
from benchmark.senders import NotSent, send, shares
from hospital.network import free_port
from hospital.orthanc import Orthanc


def test_files_are_shared_out_in_turn(tmp_path: Path) -> None:
    folders = shares(tmp_path, [b"0", b"1", b"2", b"3"], count=3)
    assert [sorted(path.read_bytes() for path in folder.iterdir()) for folder in folders] == [[b"0", b"3"], [b"1"], [b"2"]]


def test_a_receiver_that_is_not_there_is_told(tmp_path: Path) -> None:
    orthanc = Orthanc(tmp_path / "never-started")
    orthanc.dicom_port = free_port()
    with pytest.raises(NotSent, match="dcmsend ended with"):
        send(shares(tmp_path / "images", [b"no image"], count=1), orthanc)


def test_stages_are_read_from_what_vigil_tells_of_itself() -> None:
    told = 'vigil_stage_seconds_sum{stage="read"} 1.5\nvigil_stage_seconds_count{stage="read"} 1\nother 3\n'
    assert stages(told) == {"read": 1.5}
