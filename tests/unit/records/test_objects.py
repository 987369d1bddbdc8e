"""Result objects: bytes sealed and purged, UIDs for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from vigil.domain.answer import Analysis, Answer
from vigil.records.errors import SealBroken
from vigil.records.ledger import Ledger, ObjectRecord
from vigil.records.tables import result_object
from vigil.results.objects import ResultObject, Role


@pytest.fixture
def made(
    ledger: Ledger, make_analysis: Callable[..., Analysis], positive: Answer, make_objects: Callable[..., list[ResultObject]],
) -> list[ResultObject]:
    """Three objects, the last of them with another role, in the ledger."""
    first, second, third = make_objects(count=3)
    objects = [second, first, ResultObject(Role.REPORT, 0, third.sop_class_uid, third.sop_instance_uid, "2.25.5", third.dicom)]
    ledger.begin_analysis(make_analysis())
    ledger.freeze_answer("a1", positive, objects)
    return objects


def test_objects_come_back_in_the_order_of_their_making(ledger: Ledger, made: list[ResultObject]) -> None:
    found = ledger.objects("a1")
    assert found == [
        ObjectRecord(item.role, item.index, item.sop_class_uid, item.sop_instance_uid, item.series_instance_uid,
                     hashlib.sha256(item.dicom).hexdigest(), len(item.dicom), None, None)
        for item in made
    ]
    assert found[2].role == Role.REPORT


def test_the_first_storing_is_the_time_of_storing(ledger: Ledger, made: list[ResultObject], clock: Any) -> None:
    uid = made[0].sop_instance_uid
    then = clock.move(1)
    ledger.mark_object_stored(uid, "orthanc-1", then)
    ledger.mark_object_stored(uid, "orthanc-2", clock.move(1))
    stored = ledger.objects("a1")
    assert [(item.orthanc_id, item.stored_at) for item in stored] == [("orthanc-1", then), (None, None), (None, None)]


def test_own_objects_are_known_among_many(ledger: Ledger, made: list[ResultObject]) -> None:
    own = {item.sop_instance_uid for item in made}
    others = [f"1.2.3.{number}" for number in range(1300)]
    assert ledger.own_sop_instance_uids([*others, *own, *others]) == own
    assert ledger.own_sop_instance_uids([]) == set()


def test_purged_bytes_are_gone_and_the_rest_stays(ledger: Ledger, made: list[ResultObject]) -> None:
    before = ledger.objects("a1")
    ledger.purge_object_bytes("a1")
    assert [ledger.object_bytes(item.sop_instance_uid) for item in made] == [None, None, None]
    assert ledger.objects("a1") == before
    assert len(ledger.own_sop_instance_uids(item.sop_instance_uid for item in made)) == 3


def test_bytes_of_an_unknown_object_are_absent(ledger: Ledger) -> None:
    assert ledger.object_bytes("1.2.3") is None


def test_bytes_that_were_moved_to_another_object_do_not_open(ledger: Ledger, made: list[ResultObject]) -> None:
    first, second = made[0].sop_instance_uid, made[1].sop_instance_uid
    with ledger._database.write() as connection:
        sealed = connection.execute(
            result_object.select().where(result_object.c.sop_instance_uid == first)).one().sealed
        connection.execute(update(result_object).where(result_object.c.sop_instance_uid == second).values(sealed=sealed))
    assert ledger.object_bytes(first) == made[0].dicom
    with pytest.raises(SealBroken):
        ledger.object_bytes(second)
