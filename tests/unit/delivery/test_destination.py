from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from vigil.delivery.destination import Address, Connection, TlsFiles, pacs_destination, ris_destination
from vigil.delivery.hl7.profile import AcrIn, LinkAs, PriorityIn, StudyUidAs, Version
from vigil.domain.answer import AnswerKind
from vigil.domain.concepts import Code
from vigil.settings import (
    AssigningAuthority,
    Hl7Profile,
    PacsDestination,
    RisDestination,
    SecondAddress,
    Settings,
    TlsSettings,
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
                second=SecondAddress(host="ris2.hosp.example", port=2576), tls=TlsSettings(authority_file=Path("/etc/ca.pem")),
                profile=Hl7Profile(
                    version="2.4", study_uid="RP", study_uid_code="UID^Study", zds=True, priority="OBR-5", acr_category="OBX-15",
                    link_as="TX", coded_answer=False, values=False, notes=False, test=True, version_text="2.5",
                    accept_acknowledgement="AL", application_acknowledgement="AL", coding_systems={"99VIGIL": "L"},
                    character_set="8859/1", result_status="P",
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
    assert destination.addresses == (Address("ris.hosp.example", 2575), Address("ris2.hosp.example", 2576))
    assert destination.tls == TlsFiles(authority=Path("/etc/ca.pem"))
    profile = destination.profile
    assert (profile.version, profile.study_uid, profile.zds) == (Version.V24, StudyUidAs.RP, True)
    assert (profile.character_set, profile.result_status) == ("8859/1", "P")
    assert profile.answer_kinds == {AnswerKind.POSITIVE, AnswerKind.FAILED}
    assert profile.patient_assigning_authority == "HOSP^1.2.3^ISO"
    assert profile.zone == ZoneInfo("Europe/Berlin")
    assert profile.study == Code("UID", "", "Study")
    assert (profile.priority, profile.acr_category, profile.link_as) == (PriorityIn.OBR_5, AcrIn.OBX_15, LinkAs.TX)
    assert (profile.coded_answer, profile.values, profile.notes, profile.test) == (False, False, False, True)
    assert (profile.version_text, profile.accept_acknowledgement, profile.application_acknowledgement) == ("2.5", "AL", "AL")
    assert profile.coding_systems == {"99VIGIL": "L"}
