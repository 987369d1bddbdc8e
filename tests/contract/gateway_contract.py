"""What both gateways must do, as one list of questions with their answers. Runs inside Orthanc too, so it needs no pytest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from vigil.domain.gateway import Gateway, GatewayError


def ask(gateway: Gateway, image: bytes, second: bytes) -> dict[str, object]:
    """Asks everything of an empty Orthanc, ``image`` and ``second`` being two DICOM files of one study. The answers hold no
    times and no ids that differ from one Orthanc to another."""
    system = gateway.system()
    before = gateway.last_change()
    first = gateway.store(image)
    again = gateway.store(image)
    other = gateway.store(second)
    study = gateway.study(first.orthanc_study_id)
    assert study is not None
    page = gateway.changes(before, 1)
    whole = gateway.changes(before, 1000)
    instances = gateway.instances(first.orthanc_study_id)
    found = gateway.dicom(first.orthanc_id)
    listed = {item.orthanc_id: item for item in instances}
    alone = gateway.instance(first.orthanc_id)
    return {
        "system": (bool(system.name), system.version.count("."), system.dicom_aet),
        "stored": (first.status.value, again.status.value, other.status.value),
        "same id again": first.orthanc_id == again.orthanc_id,
        "one study": first.orthanc_study_id == other.orthanc_study_id,
        "orthanc id": first.orthanc_id,
        "study uid": study.study_instance_uid,
        "last update has a zone": study.last_update.tzinfo is not None,
        "update of a series": gateway.series_updated_at(listed[first.orthanc_id].series_orthanc_id) == study.last_update,
        "update of an unknown series": gateway.series_updated_at("00000000-00000000-00000000-00000000-00000000"),
        "patient": study.patient_orthanc_id,
        "study of an instance": gateway.study_of(other.orthanc_id) == study.orthanc_id,
        "studies with the uid": gateway.studies_with_uid(study.study_instance_uid) == [study.orthanc_id],
        "studies with an unknown uid": gateway.studies_with_uid("1.2.3.4.5"),
        "instances": sorted(item.sop_instance_uid for item in instances),
        "instances by id": {first.orthanc_id, other.orthanc_id} == {item.orthanc_id for item in instances},
        "an instance alone is as it is listed": alone == listed[first.orthanc_id],
        "each file has a name": len({item.file_uuid for item in instances} - {""}),
        "study of a series": gateway.study_of_series(listed[first.orthanc_id].series_orthanc_id) == study.orthanc_id,
        "sender of what came by no association": gateway.sender(first.orthanc_id),
        "sender of an unknown instance": gateway.sender("00000000-00000000-00000000-00000000-00000000"),
        "file is as stored": None if found is None else hashlib.sha256(found).hexdigest(),
        "a page": (len(page.changes), page.done),
        "new instances": sum(1 for change in whole.changes if change.kind == "NewInstance"),
        "pages join": gateway.changes(page.last_sequence, 1000).changes == whole.changes[1:],
        "nothing after the last": len(gateway.changes(gateway.last_change(), 10).changes),
        "unknown study": gateway.study("00000000-00000000-00000000-00000000-00000000"),
        "unknown instance": gateway.dicom("00000000-00000000-00000000-00000000-00000000"),
        "an unknown instance alone": gateway.instance("00000000-00000000-00000000-00000000-00000000"),
        "study of an unknown series": gateway.study_of_series("00000000-00000000-00000000-00000000-00000000"),
        "study of an unknown instance": gateway.study_of("00000000-00000000-00000000-00000000-00000000"),
        "instances of an unknown study": gateway.instances("00000000-00000000-00000000-00000000-00000000"),
        "a label twice, where there are labels": (
            gateway.label(study.orthanc_id, "vigil-analysed"), gateway.label(study.orthanc_id, "vigil-analysed"))
        == (_has_labels(system.version),) * 2,
        "a label of an unknown study": gateway.label("00000000-00000000-00000000-00000000-00000000", "vigil-analysed"),
        "no dicom": _error(lambda: gateway.store(b"this is no DICOM file")),
    }


def _has_labels(version: str) -> bool:
    major, minor = version.split(".")[:2]
    return (int(major), int(minor)) >= (1, 12)


def _error(call: Callable[[], object]) -> str:
    try:
        call()
    except GatewayError as error:
        return error.category.value
    return "nothing was raised"
