"""Body part and contrast as newer kinds of images say them: by a coded sequence in place of a word."""

from __future__ import annotations

from vigil.intake.attributes import Attributes

_ANATOMIC_REGION, _CODE_VALUE = 0x00082218, 0x00080100
_FRAME_ANATOMY, _SHARED_GROUPS = 0x00209071, 0x52009229
_AGENT_SEQUENCE, _CODE_MEANING = 0x00180012, 0x00080104

# Codes of the anatomic region (SNOMED CT, and SRT as older software writes it) and the Body Part Examined that says the same
# (PS3.16 annex L).
_BODY_PARTS = {
    "69536005": "HEAD", "T-D1100": "HEAD", "12738006": "BRAIN", "T-A0100": "BRAIN", "89546000": "SKULL", "T-11100": "SKULL",
    "45048000": "NECK", "T-D1600": "NECK", "774007": "HEADNECK", "T-D1000": "HEADNECK",
    "51185008": "CHEST", "T-D3000": "CHEST", "39607008": "LUNG", "T-28000": "LUNG", "80891009": "HEART", "T-32000": "HEART",
    "76752008": "BREAST", "T-04000": "BREAST",
    "818981001": "ABDOMEN", "113345001": "ABDOMEN", "T-D4000": "ABDOMEN", "10200004": "LIVER", "T-62000": "LIVER",
    "64033007": "KIDNEY", "T-71000": "KIDNEY", "816092008": "PELVIS", "12921003": "PELVIS", "T-D6000": "PELVIS",
    "41216001": "PROSTATE", "T-92000": "PROSTATE", "T-9200B": "PROSTATE", "421060004": "SPINE", "T-D04FF": "SPINE",
    "122494005": "CSPINE", "T-11501": "CSPINE", "122495006": "TSPINE", "T-11502": "TSPINE",
    "122496007": "LSPINE", "T-11503": "LSPINE",
    "24136001": "HIP", "T-15710": "HIP", "72696002": "KNEE", "T-D9200": "KNEE", "16982005": "SHOULDER", "T-D2220": "SHOULDER",
    "85562004": "HAND", "T-D8700": "HAND", "56459004": "FOOT", "T-D9700": "FOOT", "70258002": "ANKLE", "T-15750": "ANKLE",
}


def body_part_of(attributes: Attributes) -> str:
    """By Anatomic Region Sequence, of the image or of all its frames; empty where it is absent or its code is none of these."""
    regions = [*attributes.items(_ANATOMIC_REGION)]
    for groups in attributes.items(_SHARED_GROUPS):
        for anatomy in groups.items(_FRAME_ANATOMY):
            regions += anatomy.items(_ANATOMIC_REGION)
    return next((_BODY_PARTS[code] for item in regions if (code := item.text(_CODE_VALUE)) in _BODY_PARTS), "")


def contrast_of(attributes: Attributes) -> str:
    """By Contrast/Bolus Agent Sequence, which stands where an agent was given (PS3.3 C.7.6.4b); empty where it does not."""
    agents = attributes.items(_AGENT_SEQUENCE)
    return (agents[0].words(_CODE_MEANING) or "given") if agents else ""
