"""The reference configuration: it loads, it is safe, and it shows every key there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from vigil.settings import (
    AlertOverride,
    AssigningAuthority,
    CommitmentListener,
    DicomWebDestination,
    Hl7Profile,
    PacsDestination,
    RisDestination,
    SecondAddress,
    Settings,
    StorageCommitment,
    TlsSettings,
    WebAuthentication,
    load,
)
from vigil.settings.configuration_files import read_configuration, without_comments
from vigil.settings.escalation import (
    BudgetSettings,
    ContentSettings,
    EscalationSettings,
    LadderSettings,
    MailSettings,
    QuietHoursSettings,
    StepSettings,
    WebhookSettings,
)
from vigil.settings.section import VigilSection

REFERENCE = Path(__file__).parents[3] / "orthanc.json"


@pytest.fixture
def reference() -> dict[str, Any]:
    return read_configuration(REFERENCE)


def examples() -> dict[str, Any]:
    """What stands in the comments that begin with "Example:"."""
    found: dict[str, Any] = {}
    for text in re.findall(r"/\* Example:(.*?)\*/", REFERENCE.read_text(), re.DOTALL):
        found |= json.loads("{" + without_comments(text).strip().rstrip(",") + "}")
    return found


def test_the_reference_loads_with_the_defaults(reference: dict[str, Any]) -> None:
    smallest = load({"Vigil": {"SchemaVersion": 1, "StateDirectory": "/var/lib/vigil"}})
    assert load(reference).model_dump(exclude={"models"}) == smallest.model_dump(exclude={"models"})


def test_no_model_runs_before_the_site_says_so(reference: dict[str, Any]) -> None:
    settings = load(reference)
    assert settings.models
    assert settings.enabled_models() == ()


def test_nothing_is_sent_anywhere_before_the_site_says_so(reference: dict[str, Any]) -> None:
    settings = load(reference)
    assert not settings.pacs
    assert not settings.dicom_web
    assert settings.commitment_listener is None
    assert not settings.ris
    assert not settings.escalation.told()


def test_nobody_gets_in_before_a_user_is_declared(reference: dict[str, Any]) -> None:
    """With remote access and no user, Orthanc makes a user "orthanc" with the password "orthanc"."""
    assert reference["AuthenticationEnabled"] is True
    assert reference["RegisteredUsers"] == {}
    assert reference["RemoteAccessAllowed"] is False


@pytest.mark.parametrize("key", [
    "ExecuteLuaEnabled", "RestApiWriteToFileSystemEnabled", "WebDavEnabled", "DicomAlwaysAllowEcho", "DicomAlwaysAllowStore",
    "DicomAlwaysAllowFind", "DicomAlwaysAllowFindWorklist", "DicomAlwaysAllowGet", "DicomAlwaysAllowMove",
    "DicomModalitiesInDatabase",
])
def test_what_opens_orthanc_is_closed(reference: dict[str, Any], key: str) -> None:
    assert reference[key] is False


def test_senders_are_known_by_title_and_address(reference: dict[str, Any]) -> None:
    assert reference["DicomCheckModalityHost"] is True
    assert reference["DicomCheckCalledAet"] is True
    assert reference["DicomModalities"] == {}


def test_the_examples_load(reference: dict[str, Any]) -> None:
    section = reference["Vigil"] | examples()
    settings: Settings = load(reference | {"Vigil": section})
    assert list(settings.pacs) == ["pacs"]
    assert list(settings.dicom_web) == ["archive"]
    assert settings.commitment_listener is not None
    assert list(settings.ris) == ["ris"]
    assert settings.escalation.told() == {"neuroradiology-on-call", "pager"}
    assert settings.enabled_models()


@pytest.mark.parametrize("model", [
    VigilSection, PacsDestination, DicomWebDestination, WebAuthentication, StorageCommitment, CommitmentListener,
    RisDestination, Hl7Profile, AlertOverride, AssigningAuthority, EscalationSettings, MailSettings, WebhookSettings,
    StepSettings, LadderSettings, QuietHoursSettings, BudgetSettings, ContentSettings, TlsSettings, SecondAddress,
])
def test_every_key_is_shown(model: type[BaseModel]) -> None:
    text = REFERENCE.read_text()
    missing = [field.alias for field in model.model_fields.values() if f'"{field.alias}"' not in text]
    assert missing == []
