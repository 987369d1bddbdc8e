from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from vigil.delivery.destination import Connection, pacs_destination, ris_destination
from vigil.delivery.hl7.profile import StudyUidAs, Version
from vigil.domain.answer import AnswerKind
from vigil.settings import (
    AssigningAuthority,
    Hl7Profile,
    PacsDestination,
    RisDestination,
    Settings,
)


def make_settings() -> Settings:
    return Settings(
        schema_version=1,
        state_directory=Path("/var/lib/vigil"),
        time_zone="Europe/Berlin",
        pacs={"main": PacsDestination(host="pacs.hosp.example", port=104, aet="PACS", models=("hdv",), timeout_seconds=3.0)},
        ris={
            "ed": RisDestination(
                host="ris.hosp.example", port=2575, connection="per-message",
                profile=Hl7Profile(
                    version="2.4", study_uid="RP", zds=True, character_set="8859/1", result_status="P",
                    answer_kinds=(AnswerKind.POSITIVE, AnswerKind.FAILED),
                    patient_assigning_authority=AssigningAuthority(
                        namespace_id="HOSP", universal_id="1.2.3", universal_id_type="ISO"
                    ),
                ),
            )
        },
    )


def test_a_pacs_of_the_settings_becomes_a_destination() -> None:
    destination = pacs_destination("main", make_settings())
    assert (destination.host, destination.port, destination.aet) == ("pacs.hosp.example", 104, "PACS")
    assert (destination.timeout_s, destination.connect_timeout_s) == (3.0, 3.0)
    assert destination.takes("hdv")
    assert not destination.takes("other")


def test_a_ris_of_the_settings_becomes_a_destination_with_its_profile() -> None:
    destination = ris_destination("ed", make_settings())
    assert destination.connection is Connection.PER_MESSAGE
    assert (destination.timeout_s, destination.connect_timeout_s) == (10.0, 5.0)
    profile = destination.profile
    assert (profile.version, profile.study_uid, profile.zds) == (Version.V24, StudyUidAs.RP, True)
    assert (profile.character_set, profile.result_status) == ("8859/1", "P")
    assert profile.answer_kinds == {AnswerKind.POSITIVE, AnswerKind.FAILED}
    assert profile.patient_assigning_authority == "HOSP^1.2.3^ISO"
    assert profile.zone == ZoneInfo("Europe/Berlin")
