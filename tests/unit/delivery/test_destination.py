from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from vigil.delivery.destination import (
    Address,
    Connection,
    TlsFiles,
    WebDestination,
    pacs_destination,
    result_destination,
    ris_destination,
    site_profile,
)
from vigil.delivery.hl7.profile import AcrIn, LinkAs, PriorityIn, StudyUidAs, Version
from vigil.domain.answer import AnswerKind
from vigil.domain.concepts import Code
from vigil.results.viewer_profile import PROFILES, Encoding
from vigil.settings import (
    AssigningAuthority,
    Hl7Profile,
    RisDestination,
    SecondAddress,
    Settings,
    TlsSettings,
)
from vigil.settings.destinations import DicomWebDestination, PacsDestination, StorageCommitment


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


def test_the_site_may_change_what_a_profile_says() -> None:
    entry = PacsDestination(host="h", port=104, aet="PACS", profile="weasis", transfer_syntaxes=("jpeg-ls", "uncompressed"),
                            most_captures=3)
    profile = site_profile(entry)
    assert profile.encodings == (Encoding.JPEG_LS, Encoding.UNCOMPRESSED)
    assert profile.most_captures == 3
    assert (profile.roles, profile.most_segmentation_frames) == (PROFILES["weasis"].roles, 400)
    assert site_profile(PacsDestination(host="h", port=104, aet="PACS")) == PROFILES["standard"]


def test_who_confirms_is_the_same_node_unless_the_site_names_another() -> None:
    settings = make_settings()
    for commitment, node in ((StorageCommitment(), ("PACS", 104)), (StorageCommitment(aet="COMMIT", port=105), ("COMMIT", 105))):
        entry = settings.pacs["main"].model_copy(update={"storage_commitment": commitment})
        made = pacs_destination("main", settings.model_copy(update={"pacs": {"main": entry}})).commitment
        assert made is not None
        assert (made.aet, made.port) == node
    assert pacs_destination("main", settings).commitment is None


def test_a_destination_of_results_is_found_among_pacs_and_dicomweb_servers() -> None:
    web = DicomWebDestination(url="https://archive.example.org/dicom-web/", models=("hdv",), profile="ohif")
    settings = make_settings().model_copy(update={"dicom_web": {"archive": web}})
    found = result_destination("archive", settings)
    assert isinstance(found, WebDestination)
    assert (found.url, found.profile.name) == ("https://archive.example.org/dicom-web", "ohif")
    assert found.takes("hdv")
    assert not found.takes("other")
    assert result_destination("main", settings) == pacs_destination("main", settings)
    assert result_destination("ed", settings) is None


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
