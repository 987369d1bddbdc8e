"""An answer of several findings: as grave as its gravest, and each stands and falls by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.domain.answer import (
    GRAVITY,
    Answer,
    AnswerKind,
    Finding,
    Measurement,
    Part,
    gravest,
    joined,
    of_a_part_of_the_study,
)
from vigil.domain.codes import PERCENT, PROBABILITY
from vigil.domain.concepts import Code

P, I, N, U = GRAVITY  # noqa: E741 - the four kinds of a part


def answer(*kinds: AnswerKind) -> Answer:
    """The findings are numbered."""
    codes = [Code(str(number), "99T", f"Finding {number}") for number in range(len(kinds))]
    parts = tuple(
        Part(code, code, code, kind, f"{code.meaning} is {kind}", Measurement(PROBABILITY, 1.0, PERCENT))
        for code, kind in zip(codes, kinds, strict=True))
    found = tuple(Finding(part.concept, part.category, part.site, (), kind=part.kind) for part in parts if part.kind in (P, I))
    return Answer(gravest(parts).kind, joined(parts), findings=found, parts=parts)


@given(st.lists(st.sampled_from(GRAVITY[:3]), min_size=1, max_size=16))
def test_the_kind_is_the_gravest_of_the_parts_and_every_part_is_told_the_gravest_first(kinds: list[AnswerKind]) -> None:
    made = answer(*kinds)
    assert made.kind is (P if P in kinds else I if I in kinds else N)
    told = [sentence.rpartition(" ")[2] for sentence in made.sentence.rstrip(".").split(". ")]
    assert told == sorted(kinds, key=GRAVITY.index)
    for kind in {*GRAVITY[:3]} - {made.kind}:
        with pytest.raises(ValueError, match="has a part of kind"):
            replace(made, kind=kind)


def test_of_images_that_are_not_all_only_positives_leave() -> None:
    made = of_a_part_of_the_study(answer(N, P, I), "26 of 30 images have arrived.")
    assert [part.kind for part in made.parts] == [U, P, U]
    assert [finding.concept.value for finding in made.findings] == ["1"]
    assert made.parts[0].measured is None
    assert "negative. " not in made.sentence
    assert made.sentence.count("not analysed: 26 of 30 images have arrived. This is not a negative result.") == 2
    single = Answer(P, "Found.")
    assert of_a_part_of_the_study(single, "why") is single


def test_only_what_is_positive_is_told_to_who_is_called() -> None:
    assert [item.concept.value for item in answer(I, P, N).grave_findings] == ["1"]


@pytest.mark.parametrize(("before", "after", "withdrawn"), [
    ((P, N), (N, P), True), ((P, N), (P, P), False), ((P, P), (P, I), True), ((P, N), (I, N), True), ((N, I), (N, N), False),
    ((P, P), (P, U), False),
])  # fmt: skip
def test_a_positive_is_withdrawn_though_another_one_is_found(
    before: tuple[AnswerKind, ...], after: tuple[AnswerKind, ...], withdrawn: bool
) -> None:
    assert answer(*before).withdrawn_by(answer(*after)) is withdrawn


@pytest.mark.parametrize(("after", "stand", "open_"), [((N, P), (False, True), False), ((U, P), (True, True), True),
                                                      ((P, U), (True, True), True), ((P, P), (True, True), False)])
def test_what_stands_and_what_was_not_judged_again(after: tuple[AnswerKind, ...], stand: tuple[bool, ...], open_: bool) -> None:
    before, newer = answer(P, P), answer(*after)
    assert tuple(before.stands_in(newer, part.concept) for part in before.parts) == stand
    assert before.not_judged_again_by(newer) is open_
    assert not before.stands_in(Answer(N, "Gone."), before.parts[0].concept)


def test_a_finding_that_a_newer_version_words_anew_still_stands() -> None:
    def reworded(code: Code) -> Code:
        return replace(code, meaning=f"{code.meaning}, as it is called now")

    before = answer(P, N)
    after = replace(before, parts=tuple(replace(part, concept=reworded(part.concept)) for part in before.parts),
                    findings=tuple(replace(item, concept=reworded(item.concept)) for item in before.findings))
    assert not before.withdrawn_by(after)
    assert len({code for item in (before, after) for code in item.positives}) == 1


def test_of_images_that_are_not_all_no_note_leaves_of_what_does_not() -> None:
    made = replace(answer(N, P, I), notes=("Finding 0: it differs by 0.1 mL.", "Finding 1: it differs by 0.2 mL.",
                                           "Finding 2: it differs by 0.3 mL.", "A word on all."))
    assert of_a_part_of_the_study(made, "some are missing").notes == ("Finding 1: it differs by 0.2 mL.", "A word on all.")


def test_of_a_single_finding_a_positive_stands_in_any_positive() -> None:
    assert not Answer(P, "Found.").withdrawn_by(Answer(P, "Found again."))
    assert Answer(P, "Found.").withdrawn_by(Answer(N, "Gone."))
