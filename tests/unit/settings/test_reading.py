"""The section as it is read: what is right becomes typed, what is wrong is told all at once."""

from __future__ import annotations

import copy
import json
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from vigil.domain.answer import AnswerKind
from vigil.domain.errors import Category
from vigil.settings import RuntimeSettings, Settings, load, settings_snapshot
from vigil.settings.errors import Fault, SettingsInvalid

FULL: dict[str, Any] = {
    "Name": "Orthanc",
    "StableAge": 30,
    "OverwriteInstances": True,
    "DicomAet": "HOSPITAL",
    "Vigil": {
        "SchemaVersion": 1,
        "StateDirectory": "/var/lib/vigil",
        "TimeZone": "Europe/Berlin",
        "Models": {
            "bleed": {"Stage": "live", "AlertOverride": {"By": "A. Head", "Reason": "Trial 4", "Date": "2026-11-23"}},
            "stroke": {"Stage": "shadow"},
            "old": {},
        },
        "Pacs": {"pacs": {"Host": "192.0.2.1", "Port": 104, "Aet": "PACS", "Models": ["bleed"]}},
        "Ris": {"ris": {"Host": "ris.example.org", "Port": 2575, "Profile": {"AnswerKinds": ["positive", "failed"]}}},
        "Runtime": {"MemoryBudgetMiB": 8192},
    },
}


def changed(path: str, value: object) -> dict[str, Any]:
    """The full configuration with one value put at a path of keys."""
    configuration = copy.deepcopy(FULL)
    *folders, last = path.split(".")
    place = configuration
    for key in folders:
        place = place.setdefault(key, {})
    place[last] = value
    return configuration


def faults(configuration: dict[str, Any]) -> dict[str, Fault]:
    with pytest.raises(SettingsInvalid) as raised:
        load(configuration)
    assert raised.value.category is Category.SETTINGS_INVALID
    for fault in raised.value.faults:
        assert fault.text() in raised.value.message
    return {fault.key: fault for fault in raised.value.faults}


def test_a_full_section_is_read_with_its_types() -> None:
    settings = load(FULL)
    assert settings.state_directory == Path("/var/lib/vigil")
    assert settings.pacs["pacs"].port == 104
    assert settings.pacs["pacs"].models == ("bleed",)
    assert settings.ris["ris"].profile.answer_kinds == (AnswerKind.POSITIVE, AnswerKind.FAILED)
    override = settings.models["bleed"].alert_override
    assert override is not None
    assert override.date == date(2026, 11, 23)
    assert settings.runtime.memory_budget_mib == 8192


def test_what_vigil_needs_of_orthanc_is_carried_along() -> None:
    settings = load(FULL)
    assert (settings.stable_age_s, settings.overwrite_instances, settings.dicom_aet) == (30, True, "HOSPITAL")


def test_the_smallest_section_has_safe_defaults() -> None:
    settings = load({"Vigil": {"SchemaVersion": 1, "StateDirectory": "/s"}})
    assert settings.enabled
    assert settings.models == {}
    assert settings.pacs == {}
    assert settings.ris == {}
    assert settings.max_study_age_hours == 24
    assert settings.models_directory is None
    assert (settings.stable_age_s, settings.overwrite_instances, settings.dicom_aet) == (60, False, "ORTHANC")
    assert (settings.runtime.provider, settings.runtime.threads, settings.runtime.allow_cpu_fallback) == ("cpu", 2, False)
    assert (settings.retry.first_delay_seconds, settings.retry.deadline_hours, settings.retry.refused_attempts) == (5, 72, 3)
    assert (settings.reconcile.interval_seconds, settings.reconcile.grace_seconds) == (60, 3)


def test_a_destination_has_the_defaults_of_its_kind() -> None:
    settings = load({"Vigil": {"SchemaVersion": 1, "StateDirectory": "/s",
                               "Pacs": {"p": {"Host": "h", "Port": 1, "Aet": "A"}}, "Ris": {"r": {"Host": "::1", "Port": 2}}}})
    pacs, ris = settings.pacs["p"], settings.ris["r"]
    assert (pacs.calling_aet, pacs.timeout_seconds, pacs.models) == ("VIGIL", 10, None)
    assert (ris.connection, ris.timeout_seconds) == ("persistent", 10)
    assert (ris.profile.version, ris.profile.result_status, ris.profile.processing_id, ris.profile.study_uid, ris.profile.zds) \
        == ("2.5.1", "R", "P", "ST", False)
    assert (ris.profile.answer_kinds, ris.profile.character_set) == ((AnswerKind.POSITIVE,), "UNICODE UTF-8")


def test_models_in_shadow_or_live_are_enabled_and_the_others_are_off() -> None:
    assert load(FULL).enabled_models() == ("bleed", "stroke")


def test_settings_cannot_be_changed() -> None:
    settings = load(FULL)
    with pytest.raises(ValidationError):
        settings.enabled = False
    with pytest.raises(ValidationError):
        settings.pacs["pacs"].port = 1


def test_parts_can_be_made_by_their_python_names() -> None:
    assert RuntimeSettings(threads=4).threads == 4


def test_python_names_are_unknown_keys_in_the_file() -> None:
    found = faults(changed("Vigil.state_directory", "/x"))
    assert found["Vigil.state_directory"].text().endswith('is not a known key; did you mean "StateDirectory"?')


def test_any_mapping_will_do() -> None:
    assert load(MappingProxyType({"Vigil": MappingProxyType({"SchemaVersion": 1, "StateDirectory": "/s"})})).enabled


@pytest.mark.parametrize(("path", "value", "told"), [
    ("Vigil.SchemaVersion", 2, "2 is not allowed; give 1"),
    ("Vigil.SchemaVersion", True, "true is not allowed; give 1"),
    ("Vigil.Enabled", "yes", '"yes" is not allowed; give true or false'),
    ("Vigil.StateDirectory", "vigil", '"vigil" is not allowed; give an absolute path'),
    ("Vigil.ModelsDirectory", "models", "give null for the bundle's own models, or an absolute path"),
    ("Vigil.MaxStudyAgeHours", 0, "0 is not allowed; give a number of hours above 0"),
    ("Vigil.TimeZone", "Mars/Olympus", "give an IANA time zone"),
    ("Vigil.TimeZone", "../../etc/passwd", "give an IANA time zone"),
    ("Vigil.InstallationName", "a\\b", "without backslash"),
    ("Vigil.AnalysedLabel", "analysed by Vigil", "letters, digits, - and _"),
    ("Vigil.AnalysedLabel", "", "give null, or 1 to 64"),
    ("Vigil.LogLevel", "LOUD", 'give "debug", "info", "warning" or "error"'),
    ("Vigil.Models.bleed.Stage", "on", '"on" is not allowed; give "off", "shadow" or "live"'),
    ("Vigil.Models.bleed.AlertOverride.Date", "23.11.2026", '"YYYY-MM-DD"'),
    ("Vigil.Models.bleed", 3, "3 is not allowed; give an object with Stage"),
    ("Vigil.Pacs.pacs.Port", 70000, "70000 is not allowed; give a port number, 1 to 65535"),
    ("Vigil.Pacs.pacs.Port", "104", '"104" is not allowed; give a port number'),
    ("Vigil.Pacs.pacs.Port", True, "true is not allowed; give a port number"),
    ("Vigil.Pacs.pacs.Port", 104.5, "104.5 is not allowed; give a port number"),
    ("Vigil.Pacs.pacs.Port", None, "null is not allowed; give a port number"),
    ("Vigil.Pacs.pacs.Host", "two words", "give a host name or an IP address"),
    ("Vigil.Pacs.pacs.Host", "", "give a host name or an IP address"),
    ("Vigil.Pacs.pacs.Aet", "SEVENTEEN_LETTERS", "1 to 16 ASCII characters without backslash"),
    ("Vigil.Pacs.pacs.Aet", "A\\B", "1 to 16 ASCII characters without backslash"),
    ("Vigil.Pacs.pacs.Aet", " ", "1 to 16 ASCII characters without backslash"),
    ("Vigil.Pacs.pacs.CallingAet", "Ä", "1 to 16 ASCII characters without backslash"),
    ("Vigil.Pacs.pacs.TimeoutSeconds", 0, "give a number of seconds above 0"),
    ("Vigil.Pacs.pacs.Models", [], "a list is not allowed; give null for every model, or a list of ids"),
    ("Vigil.Pacs.pacs", {}, None),
    ("Vigil.Ris.ris.Connection", "sometimes", 'give "persistent" or "per-message"'),
    ("Vigil.Ris.ris.Profile.Version", "2.6", 'give "2.5.1", "2.4" or "2.3.1"'),
    ("Vigil.Ris.ris.Profile.ResultStatus", "F", "never final"),
    ("Vigil.Ris.ris.Profile.SendingFacility", "A|B", "without |"),
    ("Vigil.Ris.ris.Profile.Link", "ftp://x/", "http:// or https://"),
    ("Vigil.Ris.ris.Profile.AnswerKinds", ["positive", "positive"], "each once"),
    ("Vigil.Ris.ris.Profile.PatientAssigningAuthority", {"NamespaceId": "H", "UniversalId": "1.2"}, "together or not at all"),
    ("Vigil.Runtime.MemoryBudgetMiB", 1, "256 or more"),
    ("Vigil.Retry", {"FirstDelaySeconds": 400}, "FirstDelaySeconds may not be above MaximumDelaySeconds"),
    ("Vigil.Reconcile", [], "a list is not allowed; give an object"),
    ("StableAge", "60", '"60" is not allowed; give a whole number of seconds'),
    ("OverwriteInstances", 1, "1 is not allowed; give true or false"),
])
def test_a_wrong_value_is_told_with_its_key_and_what_is_allowed(path: str, value: object, told: str | None) -> None:
    found = faults(changed(path, value))
    if told is None:
        assert set(found) == {f"{path}.Host", f"{path}.Port", f"{path}.Aet"}
        assert "is missing; give a port number, 1 to 65535" in found[f"{path}.Port"].text()
    else:
        assert set(found) == {path}
        assert told in found[path].text()


@pytest.mark.parametrize(("path", "near"), [
    ("Vigil.Enabeld", "Enabled"),
    ("Vigil.schemaversion", "SchemaVersion"),
    ("Vigil.Pacs.pacs.CallingAET", "CallingAet"),
    ("Vigil.Runtime.Thread", "Threads"),
    ("Vigil.Models.bleed.OperatingPoints", "OperatingPoint"),
    ("Vigil.Ris.ris.Profile.ReceivingAplication", "ReceivingApplication"),
])
def test_an_unknown_key_is_told_with_the_nearest_known_one(path: str, near: str) -> None:
    found = faults(changed(path, 1))
    assert found[path].text() == f'{path}: is not a known key; did you mean "{near}"?'


def test_an_unknown_key_with_no_neighbour_is_told_with_all_known_ones() -> None:
    found = faults(changed("Vigil.Retry.Zzz", 1))
    assert found["Vigil.Retry.Zzz"].text().endswith(
        "known are FirstDelaySeconds, MaximumDelaySeconds, DeadlineHours, RefusedAttempts")


def test_every_fault_is_told_at_once() -> None:
    configuration = changed("Vigil.Pacs.pacs.Port", 0)
    configuration["StableAge"] = None
    configuration["Vigil"]["Typo"] = 1
    configuration["Vigil"]["Ris"]["PACS"] = {"Host": "h", "Port": "x"}
    del configuration["Vigil"]["StateDirectory"]
    found = faults(configuration)
    assert set(found) == {"StableAge", "Vigil.Typo", "Vigil.Pacs.pacs.Port", "Vigil.Ris.PACS", "Vigil.Ris.PACS.Port",
                          "Vigil.StateDirectory"}


def test_one_name_for_two_destinations_is_refused() -> None:
    found = faults(changed("Vigil.Ris.Pacs", {"Host": "h", "Port": 1}))
    assert "Vigil.Pacs.pacs has this name already" in found["Vigil.Ris.Pacs"].text()


def test_a_name_that_cannot_stand_in_an_id_is_refused() -> None:
    found = faults(changed("Vigil.Pacs", {"a|b": {"Host": "h", "Port": 1, "Aet": "A"}}))
    assert "letters, digits" in found["Vigil.Pacs.a|b"].text()


def test_a_destination_may_name_only_models_of_the_settings() -> None:
    found = faults(changed("Vigil.Pacs.pacs.Models", ["bled"]))
    assert '"bled" is not allowed' in found["Vigil.Pacs.pacs.Models"].text()


@pytest.mark.parametrize("secret", ["hunter2", "Correct Horse"])
def test_a_value_that_may_be_a_secret_is_never_told(secret: str) -> None:
    configuration = changed("Vigil.Ris.ris.Password", secret)
    configuration["Vigil"]["Ris"]["ris"]["Profile"]["Link"] = f"https://user:{secret}@host/"
    configuration["Vigil"]["Pacs"]["pacs"]["Host"] = {"Token": secret}
    with pytest.raises(SettingsInvalid) as raised:
        load(configuration)
    assert len(raised.value.faults) == 3
    assert secret not in raised.value.message


def test_a_long_value_is_cut() -> None:
    assert len(faults(changed("Vigil.TimeZone", "x" * 10_000))["Vigil.TimeZone"].text()) < 250


@pytest.mark.parametrize("section", [None, [], "Vigil", 3])
def test_a_section_that_is_none_is_told(section: object) -> None:
    assert set(faults({"Vigil": section})) == {"Vigil"}


def test_a_missing_section_is_told_with_where_to_look() -> None:
    assert "reference orthanc.json" in faults({"Name": "x"})["Vigil"].text()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}])
def test_what_json_cannot_hold_is_told(value: object) -> None:
    assert faults(changed("Vigil.MaxStudyAgeHours", value))


def test_text_that_is_no_unicode_is_told() -> None:
    assert faults(changed("Vigil.InstallationName", "\ud800"))["Vigil"].text() == "Vigil: holds text that is no Unicode"
    assert set(faults(changed("DicomAet", "\ud800"))) == {"the configuration"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3), max_leaves=8,
)
PATHS = st.sampled_from([
    "Vigil", "Vigil.SchemaVersion", "Vigil.StateDirectory", "Vigil.TimeZone", "Vigil.Models", "Vigil.Models.bleed",
    "Vigil.Models.bleed.AlertOverride", "Vigil.Pacs", "Vigil.Pacs.pacs", "Vigil.Pacs.pacs.Models", "Vigil.Pacs.pacs.Host",
    "Vigil.Ris", "Vigil.Ris.ris", "Vigil.Ris.ris.Profile", "Vigil.Ris.ris.Profile.AnswerKinds", "Vigil.Ris.ris.Profile.Link",
    "Vigil.Runtime", "Vigil.Retry", "Vigil.Anything", "StableAge", "DicomAet",
])


@settings(deadline=None)
@given(path=PATHS, value=JSON)
def test_whatever_stands_in_the_file_it_is_read_or_named_as_wrong(path: str, value: object) -> None:
    try:
        settings = load(changed(path, value))
    except SettingsInvalid as error:
        assert error.faults
        assert all(fault.key and fault.allowed for fault in error.faults)
    else:
        json.loads(settings_snapshot(settings)[1])


def test_every_key_says_what_is_allowed() -> None:
    """What is allowed is told from the descriptions, so none may be without."""
    def without(model: type[Any], path: str) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            if not field.description:
                found.append(f"{path}.{name}")
            for entry in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(entry, type) and hasattr(entry, "model_fields"):
                    found += without(entry, f"{path}.{name}")
        return found

    assert without(Settings, "Vigil") == ["Vigil.stable_age_s", "Vigil.overwrite_instances", "Vigil.dicom_aet"]


def test_the_snapshot_is_the_same_whatever_the_order_of_the_keys() -> None:
    turned = json.loads(json.dumps(FULL))
    turned["Vigil"] = dict(reversed(list(turned["Vigil"].items())))
    assert settings_snapshot(load(FULL)) == settings_snapshot(load(turned))


def test_the_snapshot_changes_with_any_setting() -> None:
    sha256, text = settings_snapshot(load(FULL))
    other, _ = settings_snapshot(load(changed("Vigil.Models.bleed.Stage", "off")))
    assert sha256 != other
    assert json.loads(text)["Models"]["bleed"]["Stage"] == "live"
    assert len(sha256) == 64
