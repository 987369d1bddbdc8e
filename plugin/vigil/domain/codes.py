"""The one table of codes that Vigil ships. ``tests/unit/domain/test_codes.py`` holds each against pydicom's dictionary.

A code that is not in pydicom's dictionary (which carries only codes of PS3.16 context groups) stands in
:data:`REVIEWED` with its source. Codes of scheme 99VIGIL are our own.
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
UNITS = {unit.value: unit for unit in (MILLILITRE, CUBIC_CENTIMETRE, MILLIMETRE, HOUNSFIELD, PERCENT, COUNT)}

# Answers (PS3.16 CID 240 and CID 4220)
PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
INDETERMINATE = Code("82334004", "SCT", "Indeterminate")

# What is measured
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

# ACR actionable reporting categories, RadLex (shared by the HL7 message and the audit)
ACR_CATEGORIES = {
    1: Code("RID49480", "RADLEX", "Cat 1 Emergent Actionable Finding"),
    2: Code("RID49481", "RADLEX", "Cat 2 Urgent Actionable Finding"),
    3: Code("RID49482", "RADLEX", "Cat 3 Noncritical Actionable Finding"),
}

REVIEWED: dict[tuple[str, str], str] = {
    ("mL", "UCUM"): "UCUM: litre may be written l or L; PS3.16 lists ml, HL7 receivers and readers expect mL",
}
