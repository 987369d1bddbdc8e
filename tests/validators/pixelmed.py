"""PixelMed's DicomSRValidator (Debian ``libpixelmed-java``): the only checker of templates and context groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread

from validators.tools import ValidatorMissing, Verdict, from_system, run

JARS = Path("/usr/share/java")
NEEDED = ("pixelmed", "commons-codec", "javax.json", "slf4j-api", "slf4j-simple", "vecmath", "jaxb-api")
SOURCE = Path(__file__).with_name("BatchValidator.java")
# Java's own limits on XPath are below what the style sheets need; without these it dies and still exits with 0
LIMITS = (
    "-Djdk.xml.xpathExprGrpLimit=0", "-Djdk.xml.xpathExprOpLimit=0", "-Djdk.xml.xpathTotalOpLimit=0",
)  # fmt: skip


UNCHECKED = "Error: the root matched no template, so nothing below it was checked"
"""Ours, for what PixelMed passes over: where the document title is not in its context group it finds no error anywhere."""
_ROOT_UNMATCHED = re.compile(r"^Warning: 1: .*Content Item not in template$", re.MULTILINE)

_REGIONS = {"1410": {"111030", "121214"}, "1411": {"111030", "121191", "121231"}}
"""What a group of a template must have one of: Image Region, Referenced Segmentation Frame or Segment, Volume Surface."""
_OF_GROUP = re.compile(r"^Error: Template (?P<template>1410|1411|1501) .*?: (?:within )?(?P<path>1\.\d+\.\d+)[.:]")


def validate_reports(paths: Sequence[Path]) -> dict[Path, Verdict]:
    """Every report against its templates, in one Java machine: it takes half a minute to start and seconds a file.

    Raises:
        ValidatorMissing: PixelMed is not installed, or died on the way.
    """
    missing = [name for name in NEEDED if not (JARS / f"{name}.jar").exists()]
    if missing:
        raise ValidatorMissing(f"No {', '.join(missing)} in {JARS}. Install the Debian package libpixelmed-java.")
    classes = ":".join(str(JARS / f"{name}.jar") for name in NEEDED)
    command = [
        from_system("java", "default-jre-headless"), "-Xss64m", "-Djava.awt.headless=true", *LIMITS, "-cp", classes,
        str(SOURCE), *map(str, paths),
    ]  # fmt: skip
    whole = run(command, "Error", timeout_s=900)
    if whole.returned != 0 or "\nDONE" not in whole.output:
        raise ValidatorMissing(f"PixelMed died: {whole.output[-2000:]}")
    verdicts = {}
    for part in whole.output.split("FILE ")[1:]:
        name, _, text = part.partition("\n")
        errors = tuple(line for line in text.splitlines() if line.startswith("Error") and not _of_another(line, Path(name)))
        if "Found Root Template" not in text or _ROOT_UNMATCHED.search(text):
            errors = (*errors, UNCHECKED)
        verdicts[Path(name)] = Verdict(0, errors, text)
    return verdicts


def _of_another(error: str, report: Path) -> bool:
    """Whether an error is of a template that the measurement group neither claims nor needs to follow.

    Where the groups of a report follow different templates, PixelMed holds a group of one against the other as well. A
    group with a region of its own template is judged by that alone; one that lacks it keeps every error.
    """
    found = _OF_GROUP.match(error)
    if found is None:
        return False
    group = dcmread(report)
    for number in found["path"].split(".")[1:]:
        group = group.ContentSequence[int(number) - 1]
    claimed = str(group.ContentTemplateSequence[0].TemplateIdentifier)
    held = {item.ConceptNameCodeSequence[0].CodeValue for item in group.ContentSequence}
    return claimed != found["template"] and bool(held & _REGIONS.get(claimed, set()))
