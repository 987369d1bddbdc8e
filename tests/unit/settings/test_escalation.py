"""The section "Escalation": what is wrong with it is told by key, value and cure, and no secret stands in it."""

from __future__ import annotations

from typing import Any

import pytest

from vigil.settings import Settings, load, settings_snapshot
from vigil.settings.errors import SettingsInvalid

MAIL = {"Host": "mail.example.org", "Sender": "vigil@example.org", "To": ["a@example.org"]}
HOOK = {"Url": "https://pager.example.org/in", "SecretVariable": "PAGER"}
RIS = {"ris": {"Host": "127.0.0.1", "Port": 2575}}


def read(**escalation: Any) -> Settings:
    return load({"Vigil": {"SchemaVersion": 1, "StateDirectory": "/var/lib/vigil", "Ris": RIS, "Escalation": escalation}})


def refused(**escalation: Any) -> str:
    with pytest.raises(SettingsInvalid) as raised:
        read(**escalation)
    return str(raised.value)


def test_a_whole_one_is_read() -> None:
    settings = read(Mail={"m": MAIL}, Webhooks={"w": HOOK}, LinkBase="https://orthanc.example.org/",
                    Ladders={"Category1": [{"AfterMinutes": 5, "Tell": ["m", "w"]}, {"AfterMinutes": 10, "Tell": ["ris"]}]})
    assert settings.escalation.told() == {"m", "w", "ris"}
    assert settings.escalation.link_base == "https://orthanc.example.org"


def test_a_step_that_tells_nobody_known_is_told() -> None:
    said = refused(Mail={"m": MAIL}, Ladders={"Category2": [{"AfterMinutes": 5, "Tell": ["m", "nobody"]}]})
    assert 'Vigil.Escalation.Ladders.Category2.0.Tell: "nobody" is not allowed; give names that' in said


def test_a_name_is_one_of_its_own_among_all_destinations() -> None:
    assert "Vigil.Escalation.Mail.RIS: Vigil.Ris.ris has this name already" in refused(Mail={"RIS": MAIL})


@pytest.mark.parametrize("quiet", [[1], [1, 2], []])
def test_no_settings_make_category_1_quiet(quiet: list[int]) -> None:
    assert "Vigil.Escalation.QuietHours.Categories" in refused(
        QuietHours={"Begin": "22:00", "End": "06:00", "Categories": quiet})


@pytest.mark.parametrize(("mail", "words"), [
    ({"User": "u"}, "one of PasswordFile and PasswordVariable"),
    ({"PasswordVariable": "P"}, "one of PasswordFile and PasswordVariable"),
    ({"User": "u", "PasswordVariable": "P", "PasswordFile": "/p"}, "one of PasswordFile and PasswordVariable"),
    ({"User": "u", "PasswordVariable": "P", "Security": "none"}, "in clear"),
    ({"To": []}, "1 to 20 mail addresses"), ({"To": ["no address"]}, "1 to 20 mail addresses"),
    ({"Sender": "a@b\r\nBcc: x@y"}, "one mail address"), ({"Password": "x"}, "is not a known key"),
])
def test_mail(mail: dict[str, Any], words: str) -> None:
    assert words in refused(Mail={"m": MAIL | mail})


@pytest.mark.parametrize(("hook", "words"), [
    ({"SecretVariable": None}, "one of SecretFile and SecretVariable"),
    ({"SecretFile": "/s"}, "one of SecretFile and SecretVariable"),
    ({"Url": "https://user:word@pager.example.org"}, "holds no user, password or query"),
    ({"Url": "ftp://pager.example.org"}, "begins with https:// or http://"),
])
def test_webhooks(hook: dict[str, Any], words: str) -> None:
    said = refused(Webhooks={"w": HOOK | hook})
    assert words in said
    assert "word@" not in said


def test_steps_come_in_the_order_of_time() -> None:
    steps = [{"AfterMinutes": 10, "Tell": ["m"]}, {"AfterMinutes": 5, "Tell": ["m"]}]
    assert "in the order of time" in refused(Mail={"m": MAIL}, Ladders={"Category1": steps})


def test_the_snapshot_names_where_a_secret_lies_and_not_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "unmistakable")
    _, text = settings_snapshot(read(Webhooks={"w": HOOK}))
    assert "PAGER" in text
    assert "unmistakable" not in text
