"""Who the patient is and which study it is: copied from a source image as its bytes stand, never parsed.

Names that break the rules of their representation are common in archives. A result that rewrote one would no longer be
filed with the study; so values are carried over as they were read (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2).
"""

from __future__ import annotations

import copy
import unicodedata

from pydicom import DataElement, Dataset, Sequence
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

COPIED = (
    # SOP Common: how text and times of the copied attributes are to be read
    "SpecificCharacterSet", "TimezoneOffsetFromUTC",
    # Patient
    "PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID", "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate", "PatientBirthTime", "PatientSex", "OtherPatientIDs", "OtherPatientIDsSequence",
    "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "EthnicGroup", "PatientComments",
    "ReferencedPatientSequence", "QualityControlSubject", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    # Clinical Trial Subject and Study
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
    "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID", "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    # General Study
    "StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence",
    "ConsultingPhysicianName", "StudyID", "AccessionNumber", "IssuerOfAccessionNumberSequence", "StudyDescription",
    "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "RequestingService", "ReferencedStudySequence",
    "ProcedureCodeSequence", "ReasonForPerformedProcedureCodeSequence",
    # Patient Study
    "AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence", "PatientAge", "PatientSize", "PatientWeight",
    "Allergies", "PregnancyStatus", "SmokingStatus", "LastMenstrualDate", "PatientState", "Occupation",
    "AdditionalPatientHistory", "AdmissionID", "IssuerOfAdmissionIDSequence", "ServiceEpisodeID",
    "IssuerOfServiceEpisodeIDSequence", "ServiceEpisodeDescription",
)  # fmt: skip

MANDATORY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber",
)  # fmt: skip
"""Type 2: present in every object, empty where the source does not say."""

_TEXT = frozenset(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"])


def copy_patient_and_study(reference: Dataset, target: Dataset) -> None:
    """Copies patient and study from ``reference``; attributes of type 2 that it lacks become empty."""
    copy_attributes(reference, target, COPIED)
    for keyword in MANDATORY:
        if keyword not in target:
            setattr(target, keyword, None)


def copy_body_part(reference: Dataset, target: Dataset) -> None:
    """Copies what General Series says of the body part. Laterality is present, empty where unknown, also where the body part
    may be one of a pair (PS3.3 C.7.3.1)."""
    copy_attributes(reference, target, ("BodyPartExamined", "Laterality"))
    paired = str(reference.get("ImageLaterality") or "") in ("L", "R", "B")
    if "Laterality" not in target and (paired or not target.get("BodyPartExamined")):
        target.Laterality = None


def copy_attributes(source: Dataset, target: Dataset, keywords: tuple[str, ...]) -> None:
    """Copies what ``source`` has of ``keywords``, byte for byte where the bytes have not been decoded yet."""
    for keyword in keywords:
        tag = tag_for_keyword(keyword)
        if tag is not None and tag in source:
            _copy_element(source, target, BaseTag(tag))


def mark_encoded(target: Dataset) -> None:
    """Tells the writer that raw elements of ``target`` are in its own encoding and are written as they stand."""
    target.set_original_encoding(False, True, target._character_set)


def encodable(text: str, target: Dataset) -> str:
    """``text`` in what the character set of ``target`` can hold: as it is, or in plain ASCII.

    Our own words must not force another character set on a study whose readers know only the source's.
    """
    declared = target.get("SpecificCharacterSet")
    encoding = python_encoding.get(str(declared), "ascii") if isinstance(declared, str) else "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return ascii_text(text)
    return text


def ascii_text(text: str) -> str:
    """``text`` in ASCII: accents dropped, signs spelt out, and a question mark where nothing fits."""
    spelt = "".join(_SPELT.get(character, character) for character in text)
    plain = "".join(c for c in unicodedata.normalize("NFKD", spelt) if not unicodedata.combining(c))
    return plain.encode("ascii", "replace").decode("ascii")


_SPELT = {
    "≥": ">=", "≤": "<=", "–": "-", "—": "-", "−": "-", "×": "x", "·": "-", "°": " deg", "µ": "u", "“": '"', "”": '"',
    "‘": "'", "’": "'", "ß": "ss", "æ": "ae", "ø": "o", "å": "a", "Æ": "AE", "Ø": "O", "±": "+/-", "→": "->",
}  # fmt: skip


def _copy_element(source: Dataset, target: Dataset, tag: BaseTag) -> None:
    element: object = source.get_item(tag)
    if isinstance(element, RawDataElement) and element.value is not None:
        representation = element.VR
        if representation in (None, "UN") and dictionary_has_tag(tag):
            representation = dictionary_VR(tag)
        if representation in _TEXT:
            target[tag] = element._replace(VR=representation, is_implicit_VR=False, is_little_endian=True)
            return
    decoded = source[tag]
    if decoded.VR == "SQ":
        target[tag] = DataElement(tag, "SQ", Sequence([_copy_item(item, target) for item in decoded.value]))
    else:
        target[tag] = copy.deepcopy(decoded)


def _copy_item(item: Dataset, parent: Dataset) -> Dataset:
    copied = Dataset()
    for tag in item.keys():  # noqa: SIM118 - iterating the data set itself would decode every element
        _copy_element(item, copied, tag)
    copied.set_original_encoding(False, True, parent._character_set)
    return copied
