"""Several findings in one message: each coded and valued in a group of its own, and taken back there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hl7
import pytest
from delivery_cases import PROFILE, SENT_AT, alert, manifest
from delivery_cases import answer as of_one

from vigil.delivery.hl7.alert import Alert, AlertKind
from vigil.delivery.hl7.message import write
from vigil.delivery.hl7.profile import AcrIn, Hl7Profile
from vigil.delivery.hl7.trial import trial_message
from vigil.domain import codes
from vigil.domain.answer import Answer, AnswerKind, Criterion, Finding, Measurement, Part, gravest, joined
from vigil.domain.concepts import Code
from vigil.domain.manifest import FurtherFinding

EFFUSION = Code("60046008", "SCT", "Pleural effusion")
FRACTURE = Code("X-FRACTURE", "99MINE", "Fracture")
P, I, N = AnswerKind.POSITIVE, AnswerKind.INDETERMINATE, AnswerKind.NEGATIVE  # noqa: E741 - the three that are decided
SCORES = {P: 72.0, I: 44.0, N: 12.0}


def several(main: AnswerKind, effusion: AnswerKind, fracture: AnswerKind = N, category: int | None = 1) -> Answer:
    """``category``: of the effusion."""
    kinds = {codes.HYPERDENSE_REGION: main, EFFUSION: effusion, FRACTURE: fracture}
    parts = tuple(
        Part(code, codes.MORPHOLOGICALLY_ALTERED_STRUCTURE, codes.BRAIN, kind, f"{code.meaning}: {SCORES[kind]:.1f} %.",
             Measurement(codes.PROBABILITY, SCORES[kind], codes.PERCENT),
             Criterion("default", codes.PROBABILITY, 50.0, codes.PERCENT)) for code, kind in kinds.items())
    findings = tuple(
        Finding(part.concept, part.category, part.site, (part.measured,) if part.measured is not None else (), kind=part.kind,
                acr_category=category if part.concept == EFFUSION and part.kind is P else None)
        for part in parts if part.kind is not N)
    grave = gravest(parts)
    return Answer(grave.kind, joined(parts), grave.criterion, grave.measured, findings, parts=parts)


def obx(made: Alert, profile: Hl7Profile = PROFILE) -> list[list[str]]:
    """Code, group, value, flag, status of each."""
    message = hl7.parse(write(made, profile).content.decode())
    found = []
    for segment in message.segments("OBX"):
        values = [str(part) for part in segment] + [""] * 20
        found.append([values[3].split("^")[0], values[4], values[5].split("^")[0], values[8], values[11]])
    return found


def coded(rows: list[list[str]]) -> list[list[str]]:
    return [row for row in rows if row[0] not in ("59776-5", "113014", "55112-7")]


def words(rows: list[list[str]]) -> list[str]:
    return [row[2] for row in rows if row[0] == "59776-5" and row[2]]


def test_a_further_positive_is_told_as_itself_and_the_main_one_as_absent() -> None:
    rows = obx(alert(answer=several(N, P, I)))
    assert coded(rows) == [
        ["VG-HDR", "1", "272519000", "", "R"], ["18782-3", "2", "60046008", "AA", "R"], ["X-FRACTURE", "3", "82334004", "", "R"],
        ["122157", "1", "12.0", "", "R"], ["122157", "2", "72.0", "AA", "R"], ["122157", "3", "44.0", "", "R"],
        ["VG-ACRCAT", "2", "RID49480", "AA", "R"],
    ]  # fmt: skip
    said = words(rows)
    assert said[0] == "AI ALERT, unread: Pleural effusion: 72.0 %."
    assert said[2:5] == [
        "Finding 1: Pleural effusion, Brain: suspected, 72.0 % (threshold 50.0 %), ACR category 1.",
        "Finding 2: Fracture, Brain: the model could not decide, 44.0 % (threshold 50.0 %). This does not exclude it.",
        "Finding 3: Hyperdense intracranial region, Brain: not detected, 12.0 % (threshold 50.0 %). This does not exclude it."]


def test_a_category_stands_with_its_finding_in_obx_15() -> None:
    content = write(alert(answer=several(P, P)), replace(PROFILE, acr_category=AcrIn.OBX_15)).content.decode()
    producers = {line.split("|")[4]: line.split("|")[15] for line in content.split("\r")
                 if line.startswith("OBX") and line.split("|")[2] in ("CWE", "CE") and line.split("|")[4]}
    assert producers["1"] == producers["3"] == ""
    assert producers["2"].startswith("RID49480")


def correction(now: Answer, before: Answer) -> Alert:
    return alert(AlertKind.CORRECTION, revision=2, cause="late images arrived", answer=now, replaces=before)


def test_a_correction_takes_back_each_finding_that_no_longer_stands_in_its_group() -> None:
    rows = coded(obx(correction(several(P, N), several(N, P))))
    assert ["VG-HDR", "1", "52101004", "A", "R"] in rows
    assert ["60046008", "2", "272519000", "", "R"] in rows
    assert ["18782-3", "2", "", "", "D"] in rows, "the disease was told as present before"
    assert ["VG-ACRCAT", "2", "", "", "D"] in rows
    assert not [row for row in rows if row[4] == "D" and row[2]]
    told = {(row[0], row[1]) for row in rows if row[4] == "R"}
    assert not told & {(row[0], row[1]) for row in rows if row[4] == "D"}


def test_a_correction_leaves_what_has_not_changed_as_it_was() -> None:
    before = several(P, P, N)
    first, rows = coded(obx(alert(answer=before))), coded(obx(correction(several(P, N, N), before)))
    told = [row for row in first if row[1] in ("1", "3")]
    assert told
    assert all(row in rows for row in told)
    erased = {(row[0], row[1]) for row in rows if row[4] == "D"}
    assert erased & {(row[0], row[1]) for row in first} == {("18782-3", "2"), ("VG-ACRCAT", "2")}


def test_what_a_newer_version_of_the_model_words_anew_is_told_and_not_erased_at_once() -> None:
    def reworded(code: Code) -> Code:
        return replace(code, meaning=f"{code.meaning}, as it is called now")

    before = several(P, P, N)
    now = replace(
        before, parts=tuple(replace(part, concept=reworded(part.concept), measured=part.measured and replace(
            part.measured, concept=reworded(part.measured.concept))) for part in before.parts),
        findings=tuple(replace(item, concept=reworded(item.concept)) for item in before.findings))
    rows = coded(obx(correction(now, before)))
    told = {(row[0], row[1]) for row in rows if row[4] == "R"}
    assert told
    assert not told & {(row[0], row[1]) for row in rows if row[4] == "D"}


@pytest.mark.parametrize("now", [of_one(AnswerKind.NOT_ANALYSED), of_one(N, 1.2)], ids=["not analysed", "of one"])
def test_an_answer_without_several_takes_them_all_back(now: Answer) -> None:
    before = several(N, P, P)
    rows = obx(correction(now, before))
    first = {(row[0], row[1]) for row in coded(obx(alert(answer=before)))}
    still = {(row[0], row[1]) for row in coded(rows)}
    assert first <= still, "each observation is told anew or erased"
    assert all(row[2] == "" and row[4] == "D" for row in coded(rows) if row[1] in ("2", "3"))
    places = {row[1] for row in obx(alert(answer=before)) if row[0] == "59776-5"}
    assert places <= {row[1] for row in rows if row[0] == "59776-5"}, "no line of text is left standing"


def test_a_withdrawal_takes_every_observation_back() -> None:
    before = several(N, P, I)
    rows = obx(alert(AlertKind.WITHDRAWAL, revision=2, cause="repeated", answer=before))
    first = {(row[0], row[1]) for row in coded(obx(alert(answer=before)))}
    assert first <= {(row[0], row[1]) for row in coded(rows) if row[4] == "D" and not row[2]}


@pytest.mark.parametrize("permitted", [["notification"], ["notification", "measurement"]])
def test_no_score_leaves_where_the_clearance_lets_none_out(permitted: list[str]) -> None:
    content = write(alert(answer=several(N, P, I), manifest=manifest(permitted=permitted)), PROFILE).content.decode()
    for number in ("72.0", "44.0", "12.0"):
        assert number not in content
    rows = obx(alert(answer=several(N, P, I), manifest=manifest(permitted=permitted)))
    assert words(rows)[0] == "AI ALERT, unread: Pleural effusion suspected."
    assert "Finding 3: Hyperdense intracranial region, Brain: not detected. This does not exclude it." in words(rows)


VOLUME = Measurement(codes.HYPERDENSE_VOLUME, 19.9, codes.MILLILITRE)


@pytest.mark.parametrize(("permitted", "leaves", "stays"), [
    ("score", ["72.0", "44.0"], "19.9"), ("measurement", ["19.9"], "72.0"), ("measurement", ["19.9"], "44.0"),
])
def test_of_each_finding_its_number_leaves_where_its_kind_of_number_may(permitted: str, leaves: list[str], stays: str) -> None:
    """The main one is decided by a volume, the others by scores."""
    made = several(P, P, I)
    measured = replace(made.parts[0], measured=VOLUME, sentence="A volume of 19.9 mL.",
                       criterion=Criterion("default", codes.HYPERDENSE_VOLUME, 5.0, codes.MILLILITRE))
    found = replace(made.findings[0], measurements=(VOLUME,))
    made = replace(made, parts=(measured, *made.parts[1:]), findings=(found, *made.findings[1:]), measured=VOLUME,
                   notes=("Pleural effusion: the predictions differ by 7.25 %.",))
    of_site = alert(answer=made, manifest=manifest(permitted=["notification", permitted]))
    rows, content = obx(of_site), write(of_site, PROFILE).content.decode()
    assert [row[2] for row in rows if row[0] in ("VG-HDV", "122157")] == leaves
    assert all(number in " ".join(words(rows)) for number in leaves)
    assert stays not in content
    assert "7.25" not in content, "a note tells a number of one finding"
    assert words(rows)[0] == ("AI ALERT, unread: Hyperdense intracranial region suspected. Pleural effusion: 72.0 %."
                              if permitted == "score" else "AI ALERT, unread: A volume of 19.9 mL. Pleural effusion suspected.")


def test_a_trial_shows_every_finding() -> None:
    main = manifest()
    entry: dict[str, Any] = main.finding.model_dump()
    further = FurtherFinding.model_validate(entry | {
        "concept": {"value": EFFUSION.value, "scheme": "SCT", "meaning": EFFUSION.meaning},
        "operating_points": {"default": {"positive": 7.0}}})
    model = main.model_copy(update={"further_findings": (further,)})
    content = trial_message("RIS", PROFILE, model, SENT_AT).content.decode()
    assert "|CWE|VG-HDR^Hyperdense intracranial region^99VIGIL|1|52101004" in content
    assert "|CWE|18782-3^Radiology Study observation^LN|2|60046008" in content
