"""The one table of codes that Vigil ships; ``docs/codes.md`` is made of it. ``tests/unit/domain/test_codes.py`` holds each
against pydicom's dictionary.

A code that is not in pydicom's dictionary (which carries only codes of PS3.16 context groups) stands in
:data:`REVIEWED` with its source. Codes of scheme 99VIGIL are our own. A code that nobody could check is not here.
"""

from __future__ import annotations

from vigil.domain.concepts import Code, ucum

# Units
MILLILITRE = ucum("mL", "milliliter")
CUBIC_CENTIMETRE = ucum("cm3", "cubic centimeter")
MILLIMETRE = ucum("mm", "millimeter")
HOUNSFIELD = ucum("[hnsf'U]", "Hounsfield unit")
PERCENT = ucum("%", "percent")
COUNT = ucum("1", "no units")
UPTAKE = ucum("g/ml{SUVbw}", "Standardized Uptake Value body weight")
UNITS = {unit.value: unit for unit in (
    MILLILITRE, CUBIC_CENTIMETRE, MILLIMETRE, HOUNSFIELD, PERCENT, COUNT, UPTAKE)}

# Answers (PS3.16 CID 240 and CID 4220)
PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
INDETERMINATE = Code("82334004", "SCT", "Indeterminate")

# How certain a model is (PS3.16 CID 6048): always in percent, and let out by the permitted output "score"
CERTAINTY_OF_FINDING = Code("111012", "DCM", "Certainty of Finding")
PROBABILITY = Code("122157", "DCM", "Probability")
PROBABILITY_OF_CANCER = Code("111047", "DCM", "Probability of cancer")
CERTAINTIES = frozenset({CERTAINTY_OF_FINDING, PROBABILITY, PROBABILITY_OF_CANCER})

# How severe a finding is (PS3.16 CID 3716): the name, and the grades that models use most
SEVERITY = Code("246112005", "SCT", "Severity")
MILD = Code("255604002", "SCT", "Mild")
MODERATE = Code("6736007", "SCT", "Moderate")
SEVERE = Code("24484000", "SCT", "Severe")

# On which side (PS3.16 CID 244)
LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")
RIGHT_AND_LEFT = Code("51440002", "SCT", "Right and left")

# What is measured, and where
VOLUME = Code("118565006", "SCT", "Volume")
BRAIN = Code("12738006", "SCT", "Brain")
ANATOMICAL_STRUCTURE = Code("123037004", "SCT", "Anatomical Structure")
HEAD = Code("69536005", "SCT", "Head")
MORPHOLOGICALLY_ALTERED_STRUCTURE = Code("49755003", "SCT", "Morphologically Altered Structure")

# Our own, where no standard code says just this and no more
HYPERDENSE_VOLUME = Code("VG-HDV", "99VIGIL", "Hyperdense intracranial volume")
HYPERDENSE_REGION = Code("VG-HDR", "99VIGIL", "Hyperdense intracranial region")
ACR_CATEGORY = Code("VG-ACRCAT", "99VIGIL", "ACR actionable category")
ANALYSIS_STATUS = Code("VG-STATUS", "99VIGIL", "Analysis status")
MEASURED = Code("VG-MEAS", "99VIGIL", "Measured")
BRAIN_VOLUME = Code("VG-BRV", "99VIGIL", "Brain volume")
NOT_ANALYSED = Code("VG-NA", "99VIGIL", "Not analysed")
FAILED = Code("VG-FAIL", "99VIGIL", "Analysis failed")
AI_RESULT = Code("VG-RESULT", "99VIGIL", "AI result")

# Names of the flat report's texts: each stands once, so that a reporting system can fill a field with it
AI_MODEL = Code("VG-T-MODEL", "99VIGIL", "AI model")
AI_ANSWER = Code("VG-T-ANSWER", "99VIGIL", "AI answer")
AI_VALUE = Code("VG-T-VALUE", "99VIGIL", "AI value")
AI_CRITERION = Code("VG-T-CRITERION", "99VIGIL", "AI criterion")
AI_FINDINGS = Code("VG-T-FINDINGS", "99VIGIL", "AI findings")
AI_INPUTS = Code("VG-T-INPUTS", "99VIGIL", "AI inputs")
AI_TIME = Code("VG-T-TIME", "99VIGIL", "AI time of analysis")
AI_NOTES = Code("VG-T-NOTES", "99VIGIL", "AI notes and limitations")
AI_STANDING = Code("VG-T-STANDING", "99VIGIL", "AI standing of this result")

# ACR actionable reporting categories, RadLex (shared by the HL7 message and the audit)
ACR_CATEGORIES = {
    1: Code("RID49480", "RADLEX", "Cat 1 Emergent Actionable Finding"),
    2: Code("RID49481", "RADLEX", "Cat 2 Urgent Actionable Finding"),
    3: Code("RID49482", "RADLEX", "Cat 3 Noncritical Actionable Finding"),
}

# What reports and images are built of
MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
FINDING = Code("121071", "DCM", "Finding")
CONCLUSION = Code("121077", "DCM", "Conclusion")
COMMENT = Code("121106", "DCM", "Comment")
ENGLISH = Code("en", "RFC5646", "English")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
SEGMENTATION = Code("113076", "DCM", "Segmentation")

# By the modality of the analysed images: the modality itself (PS3.16 CID 29), and the procedure reported (CID 100)
MODALITIES = {
    code.value: code
    for code in (
        Code("CT", "DCM", "Computed Tomography"),
        Code("MR", "DCM", "Magnetic Resonance"),
        Code("PT", "DCM", "Positron emission tomography"),
        Code("NM", "DCM", "Nuclear Medicine"),
        Code("CR", "DCM", "Computed Radiography"),
        Code("DX", "DCM", "Digital Radiography"),
        Code("MG", "DCM", "Mammography"),
    )
}
PROCEDURES = {
    "CT": Code("25045-6", "LN", "CT unspecified body region"),
    "MR": Code("25056-3", "LN", "MRI unspecified body region"),
    "PT": Code("44136-0", "LN", "PET unspecified body region"),
    "NM": Code("49118-3", "LN", "NM unspecified body region"),
}
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
"""Of any other modality."""

REVIEWED: dict[tuple[str, str], str] = {
    ("mL", "UCUM"): "UCUM: litre may be written l or L; PS3.16 lists ml, HL7 receivers and readers expect mL",
    ("C0034375", "UMLS"): "PS3.16 TID 1500, the container's concept name; it is in no context group",
    ("18782-3", "LN"): "LOINC's code for the observations of a radiology study; HL7 messages alone bear it",
    ("en", "RFC5646"): "PS3.16 TID 1204 takes the language tags of RFC 5646 as they are",
}
