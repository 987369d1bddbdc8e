from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from vigil.domain import identity
from vigil.domain.answer import InputInstance

ANALYSIS = {"orthanc_study_id": "s", "model_id": "m", "inputs_sha256": "i", "weights_sha256": "w", "operating_point": "o",
            "renderer_version": "1"}


def image(uid: str, content: str = "c") -> InputInstance:
    return InputInstance(orthanc_id=f"o-{uid}", sop_instance_uid=uid, sop_class_uid="1", series_instance_uid="2",
                         content_sha256=content)


@given(st.lists(st.text()), st.lists(st.text()))
def test_different_parts_have_different_digests(one: list[str], other: list[str]) -> None:
    assert (identity.digest(*one) == identity.digest(*other)) == (one == other)


@given(st.permutations(["1.2.3", "1.2.4", "1.2.5"]))
def test_the_inputs_digest_knows_no_order_of_arrival(uids: list[str]) -> None:
    assert identity.inputs_digest([image(uid) for uid in uids]) == \
        identity.inputs_digest([image(uid) for uid in sorted(uids)])


def test_another_content_under_the_same_uid_is_another_input() -> None:
    assert identity.inputs_digest([image("1", "a")]) != identity.inputs_digest([image("1", "b")])


def test_each_part_of_an_analysis_changes_its_id() -> None:
    ids = {identity.analysis_id(**{**ANALYSIS, key: "other"}) for key in ANALYSIS}
    ids |= {identity.analysis_id(**ANALYSIS), identity.analysis_id(**ANALYSIS, refusal="incomplete"),
            identity.analysis_id(**ANALYSIS, attempt=2)}

    assert len(ids) == len(ANALYSIS) + 3
    assert all(re.fullmatch(r"[0-9a-f]{32}", item) for item in ids)


@given(st.text(), st.sampled_from(["summary", "report"]), st.integers(0, 500))
def test_an_object_uid_is_a_valid_uid_of_a_uuid(analysis: str, role: str, index: int) -> None:
    uid = identity.object_uid(analysis, role, index)
    value = int(uid.removeprefix("2.25."))

    assert len(uid) <= 64
    assert value >> 76 & 0xF == 8
    assert value >> 62 & 0x3 == 2
    assert uid == identity.object_uid(analysis, role, index)


def test_a_message_control_id_fits_msh_10_and_changes_with_the_revision() -> None:
    first, second = (identity.message_control_id("ris", "a" * 32, revision) for revision in (1, 2))

    assert first != second
    assert all(len(item) == 20 and item.isalnum() for item in (first, second))


def test_a_filler_order_number_is_one_for_a_study_and_model() -> None:
    assert identity.filler_order_number("s", "m") == identity.filler_order_number("s", "m")
    assert identity.filler_order_number("s", "m") != identity.filler_order_number("s", "n")
    assert len(identity.filler_order_number("s", "m")) <= 22
