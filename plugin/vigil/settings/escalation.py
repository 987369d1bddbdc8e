"""The "Escalation" section: who is told, by what way, after how long without a person's acknowledgement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from vigil.settings.base import AbsolutePath, Host, Name, Port, Seconds, Section
from vigil.settings.errors import Fault

CATEGORIES = (1, 2, 3)
"""ACR actionable categories: to be communicated within minutes, hours, days."""


def _address(url: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/\-]*)?", url):
        raise ValueError("not a plain address")
    return url.rstrip("/")


def _each_once(values: tuple[object, ...]) -> tuple[object, ...]:
    if len(set(values)) != len(values):
        raise ValueError("named twice")
    return values


Address = Annotated[str, Field(max_length=500), AfterValidator(_address)]
MailAddress = Annotated[str, Field(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\-]{1,64}@[A-Za-z0-9.\-]{1,189}$")]
TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
FILE = "null, or the absolute path of a file that holds it and nothing else"
VARIABLE = "null, or the name of an environment variable of Orthanc's process that holds it"


class MailSettings(Section):
    """A mail server, and who is written to through it. The password is never in the settings themselves."""

    host: Host = Field(description="a host name or an IP address")
    port: Port = Field(default=587, description="a port number, 1 to 65535")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description='"starttls", "tls" (from the first byte) or "none"')
    authority_file: AbsolutePath | None = Field(
        default=None, description="null for the authorities that the system trusts, or the absolute path of a PEM file")
    user: str | None = Field(default=None, min_length=1, max_length=200, description="null, or the user's name")
    password_file: AbsolutePath | None = Field(default=None, description=FILE)
    password_variable: Variable | None = Field(default=None, description=VARIABLE)
    sender: MailAddress = Field(description="one mail address")
    to: Annotated[tuple[MailAddress, ...], AfterValidator(_each_once)] = Field(
        min_length=1, max_length=20, description="a list of 1 to 20 mail addresses, each once")
    timeout_seconds: Seconds = Field(default=10.0, description="a number of seconds above 0, at most 3600")

    @model_validator(mode="after")
    def _password(self) -> MailSettings:
        given = [key for key in (self.password_file, self.password_variable) if key is not None]
        if len(given) > 1 or (self.user is None) != (not given):
            raise ValueError("User comes with one of PasswordFile and PasswordVariable, or all three are null")
        if self.user is not None and self.security == "none":
            raise ValueError('with Security "none" the password would cross the network in clear; use "starttls" or "tls"')
        return self


class WebhookSettings(Section):
    """An address that is sent a signed JSON object by POST."""

    url: Address = Field(description="an address that begins with https:// or http:// and holds no user, password or query")
    authority_file: AbsolutePath | None = Field(
        default=None, description="null for the authorities that the system trusts, or the absolute path of a PEM file")
    secret_file: AbsolutePath | None = Field(default=None, description=FILE)
    secret_variable: Variable | None = Field(default=None, description=VARIABLE)
    timeout_seconds: Seconds = Field(default=10.0, description="a number of seconds above 0, at most 3600")

    @model_validator(mode="after")
    def _secret(self) -> WebhookSettings:
        if (self.secret_file is None) == (self.secret_variable is None):
            raise ValueError("give one of SecretFile and SecretVariable: what is sent is signed with it")
        return self


class StepSettings(Section):
    after_minutes: Annotated[float, Field(ge=0, le=43_200, allow_inf_nan=False)] = Field(
        description="a number of minutes from 0 to 43200, counted from the finding")
    tell: Annotated[tuple[Name, ...], AfterValidator(_each_once)] = Field(
        min_length=1, description="a list of names, each once, of Escalation.Mail, Escalation.Webhooks or Ris")


Ladder = tuple[StepSettings, ...]
LADDER = "a list of objects with AfterMinutes and Tell, in the order of time"


class LadderSettings(Section):
    """For each ACR category its steps."""

    category1: Ladder = Field(default=(), description=LADDER)
    category2: Ladder = Field(default=(), description=LADDER)
    category3: Ladder = Field(default=(), description=LADDER)

    @model_validator(mode="after")
    def _in_order(self) -> LadderSettings:
        for category in CATEGORIES:
            minutes = [step.after_minutes for step in self.of(category)]
            if minutes != sorted(set(minutes)):
                raise ValueError(f"the steps of Category{category} must come in the order of time, no two at one time")
        return self

    def of(self, category: int) -> Ladder:
        return {1: self.category1, 2: self.category2, 3: self.category3}.get(category, ())


class QuietHoursSettings(Section):
    """When nobody is told. A finding of category 1 knows no quiet hours."""

    begin: TimeOfDay = Field(description='a time of day in the site\'s zone, such as "22:00"')
    end: TimeOfDay = Field(description='a time of day in the site\'s zone, such as "06:30"')
    categories: Annotated[tuple[Literal[2, 3], ...], AfterValidator(_each_once)] = Field(
        default=(2, 3), min_length=1, description="a list of 2 and 3; category 1 knows no quiet hours")

    @model_validator(mode="after")
    def _some_time(self) -> QuietHoursSettings:
        if self.begin == self.end:
            raise ValueError("Begin and End are the same time; leave QuietHours null where there are none")
        return self


class BudgetSettings(Section):
    """How many messages people are sent in a time. A finding of category 1 is outside it, and uses none of it up."""

    messages: int = Field(ge=1, le=100_000, description="a whole number, 1 or more")
    per_hours: Annotated[float, Field(gt=0, le=8760, allow_inf_nan=False)] = Field(
        default=1.0, description="a number of hours above 0, at most 8760")
    overflow: Literal["wait", "withhold"] = Field(
        default="wait",
        description='"wait" (sent when there is room again) or "withhold" (not sent, and shown as withheld)')


class ContentSettings(Section):
    """What of a study stands in a mail, a webhook's object and on the page of the link, beside the category."""

    finding: bool = Field(default=False, description="true or false")
    accession_number: bool = Field(default=False, description="true or false")
    study_description: bool = Field(default=False, description="true or false")


class EscalationSettings(Section):
    hold_when_reported: bool = Field(
        default=True, description="true or false: whether alerts wait in the house once the final report is known")
    link_base: Address | None = Field(
        default=None, description="null for no link, or the address at which people reach this Orthanc, such as "
                                  '"https://orthanc.example.org"')
    link_hours: Annotated[float, Field(gt=0, le=720, allow_inf_nan=False)] = Field(
        default=72.0, description="a number of hours above 0, at most 720, after which a link no longer works")
    content: ContentSettings = Field(default_factory=ContentSettings, description="an object")
    mail: Mapping[Name, MailSettings] = Field(
        default_factory=dict, description="an object: for each name an object with Host, Sender and To")
    webhooks: Mapping[Name, WebhookSettings] = Field(
        default_factory=dict, description="an object: for each name an object with Url and SecretFile or SecretVariable")
    ladders: LadderSettings = Field(
        default_factory=LadderSettings, description="an object with Category1, Category2 and Category3, each a list of steps")
    quiet_hours: QuietHoursSettings | None = Field(default=None, description="null, or an object with Begin and End")
    budget: BudgetSettings | None = Field(default=None, description="null, or an object with Messages")

    def told(self) -> frozenset[str]:
        """Every name that a step tells. A RIS among them gets what its step brings, and no other alert."""
        return frozenset(name for category in CATEGORIES for step in self.ladders.of(category) for name in step.tell)


def escalation_faults(escalation: Mapping[str, object], ris: Mapping[str, object]) -> Iterator[Fault]:
    """Names in the ladders that nothing bears: read from the raw section, so that it is told with the other faults."""
    known = {*ris, *_object(escalation.get("Mail")), *_object(escalation.get("Webhooks"))}
    for key, ladder in _object(escalation.get("Ladders")).items():
        for number, step in enumerate(ladder if isinstance(ladder, list | tuple) else ()):
            names = _object(step).get("Tell")
            for name in names if isinstance(names, list | tuple) else ():
                if isinstance(name, str) and name not in known:
                    yield Fault(f"Vigil.Escalation.Ladders.{key}.{number}.Tell",
                                "give names that Escalation.Mail, Escalation.Webhooks or Ris has", f'"{name[:48]}"')


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
