"""A process for each model: whether it can be had here, and whether systemd would undo it."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_cases import Clinic
from doctor_faults import unit

from vigil.domain.errors import Category
from vigil.inference.apart.errors import NoInterpreter
from vigil.inference.apart.interpreter import find_interpreter
from vigil.oversight.doctor.check import Level
from vigil.oversight.doctor.examine import look_around
from vigil.oversight.doctor.isolation import look_at_isolation
from vigil.pipeline.accelerator import maker_of
from vigil.settings import RuntimeSettings


def looked(clinic: Clinic) -> list[tuple[Level, str]]:
    clinic.write("orthanc.json", clinic.whole)
    site, _ = look_around(clinic.config, clinic.around())
    assert site.settings is not None
    checks = look_at_isolation(site, site.settings, (clinic.units,))
    assert all((check.subject, check.where) == ("settings", "Vigil.Runtime.Isolation") for check in checks)
    return [(check.level, f"{check.what} -> {check.remedy}") for check in checks]


def test_nothing_is_said_where_it_is_not_wanted(clinic: Clinic) -> None:
    unit(clinic, "User=orthanc\n")
    assert looked(clinic) == []


def test_where_it_can_be_had_the_program_is_named_and_nothing_is_complained_of(clinic: Clinic) -> None:
    clinic.vigil["Runtime"] = {"Isolation": "process"}
    (level, what), = looked(clinic)
    assert level is Level.GOOD
    assert str(find_interpreter()) in what
    assert clinic.complaints() == []


@pytest.fixture
def no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("vigil.inference.apart.interpreter._folders", lambda: iter([str(tmp_path)]))


@pytest.mark.usefixtures("no_program")
def test_where_there_is_no_program_it_is_an_error_with_what_to_install(clinic: Clinic) -> None:
    clinic.vigil["Runtime"] = {"Isolation": "process"}
    complaint, = clinic.complaints()
    assert complaint.level is Level.ERROR
    assert "and no program python3." in complaint.what
    assert "-minimal, or set" in complaint.remedy


@pytest.mark.usefixtures("no_program")
def test_a_start_is_refused_there_in_words() -> None:
    with pytest.raises(NoInterpreter, match="install it") as caught:
        maker_of(RuntimeSettings(isolation="process"))
    assert caught.value.category is Category.SETTINGS_INVALID
    assert maker_of(RuntimeSettings())


def test_a_systemd_that_would_stop_all_of_orthanc_is_warned_of(clinic: Clinic) -> None:
    clinic.vigil["Runtime"] = {"Isolation": "process"}
    unit(clinic, "TimeoutSec=600\n")
    level, what = looked(clinic)[-1]
    assert level is Level.WARNING
    assert "systemd stops all of Orthanc" in what
    assert "OOMPolicy=continue" in what
    (clinic.units / "orthanc.service.d" / "site.conf").write_text("[Service]\nOOMPolicy=continue\n")
    assert [level for level, _ in looked(clinic)] == [Level.GOOD]
