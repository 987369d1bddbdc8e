"""The drop-in for orthanc.service: systemd understands every line of it, and it closes what it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vigil.host.entry import STOP_WITHIN_S

REPOSITORY = Path(__file__).resolve().parents[3]
DROP_IN = REPOSITORY / "scripts" / "installer" / "orthanc.service.d" / "vigil.conf"
LONGEST_STOP_S = 15
MOST_EXPOSED = 4.0
"""Of systemd's scale from 0 to 10; Debian's own unit has 9.2."""
UNIT = """[Unit]
Description=Orthanc, as Debian ships it
[Service]
User=daemon
ExecStart=/bin/true
TimeoutSec=600
Restart=on-failure
"""


def directives() -> dict[str, str]:
    lines = [line for line in DROP_IN.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "[Service]"
    pairs = [(key, value) for key, _, value in (line.partition("=") for line in lines[1:])]
    found = dict(pairs)
    assert len(found) == len(pairs), "a key that stands twice"
    return found


def test_only_what_orthanc_and_vigil_must_write_can_be_written() -> None:
    found = directives()
    assert found["ProtectSystem"] == "strict"
    assert found["ReadWritePaths"].split() == ["-/var/lib/orthanc", "-/var/log/orthanc", "-/var/lib/vigil"]
    assert found["UMask"] == "0077"
    assert [found[key] for key in ("ProtectHome", "PrivateTmp", "NoNewPrivileges", "LockPersonality")] == ["yes"] * 4
    assert found["CapabilityBoundingSet"] == found["AmbientCapabilities"] == ""


def test_the_network_stays_open_to_it_and_names_can_be_looked_up() -> None:
    found = directives()
    assert set(found["RestrictAddressFamilies"].split()) == {"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"}
    assert "PrivateNetwork" not in found
    assert "IPAddressDeny" not in found


def test_it_waits_longer_than_a_stop_takes() -> None:
    found = directives()
    assert int(found["TimeoutStopSec"]) >= 2 * LONGEST_STOP_S > STOP_WITHIN_S
    assert found["Restart"] == "on-failure"
    assert "TimeoutStartSec" not in found, "a newer Orthanc may migrate its index for minutes"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    path = tmp_path / "orthanc.service"
    path.write_text(UNIT + DROP_IN.read_text().partition("[Service]\n")[2])
    return path


def test_systemd_understands_every_line_and_finds_little_open(unit: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not on this machine")
    looked = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in looked.stderr.splitlines() if str(unit) in line] == []
    done = subprocess.run([analyze, "security", "--offline=true", "--no-pager", str(unit)],
                          capture_output=True, text=True, timeout=60, check=False)
    level = re.search(r"Overall exposure level for orthanc\.service: ([\d.]+)", done.stdout)
    assert level is not None, done.stderr
    assert float(level[1]) <= MOST_EXPOSED
