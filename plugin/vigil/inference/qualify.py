"""What a model's findings are like, where its manifest says how to tell and its clearance lets it out: how severe, and on which
side of the patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vigil.domain.answer import Answer, AnswerKind, Finding
from vigil.domain.concepts import Code
from vigil.domain.manifest import FindingEntry, Manifest, PermittedOutput
from vigil.imaging.declared_side import DeclaredSide
from vigil.imaging.volume import Volume
from vigil.inference.laterality import side_of
from vigil.inference.morphology import Mask

TOLD_OF = frozenset({AnswerKind.POSITIVE, AnswerKind.MEASURED})
"""Nothing is told of what may not be there: an indeterminate has no severity."""
MAY_BE_LARGER = "may be larger: "
"""In the note of a value that the end of the images cuts."""


@dataclass(frozen=True, eq=False)
class Shown:
    """Where the findings lie. ``masks``: by region, on the volume's voxels. ``declared``: the side that the images say they
    show. ``lies_on_side``: the patient does."""

    volume: Volume
    masks: Mapping[str, Mask]
    declared: DeclaredSide
    is_ct: bool
    lies_on_side: bool = False


def qualified(answer: Answer, manifest: Manifest, shown: Shown) -> Answer:
    """The answer, with severity and side of each finding that is positive or measured."""
    cut = any(MAY_BE_LARGER in note for note in answer.notes)
    findings = tuple(
        _sided(_graded(finding, manifest), manifest, shown) if answer.kind_of(finding) in TOLD_OF else finding
        for finding in answer.findings)
    whole = replace(answer, findings=findings)
    return at_least(whole, manifest) if cut else whole


def at_least(answer: Answer, manifest: Manifest) -> Answer:
    """What still holds where there may be more than was seen (images that are missing, or end inside): "mild" may be severe, and
    what lies on the left may go on to the right. So neither is told, but the gravest grade, and a side of the header's."""
    return replace(answer, findings=tuple(_at_least(finding, entry_of(finding, manifest)) for finding in answer.findings))


def entry_of(finding: Finding, manifest: Manifest) -> FindingEntry | None:
    """What the manifest says of a finding."""
    return next((item.entry for item in manifest.decided if item.entry.concept.code() == finding.concept), None)


def _graded(finding: Finding, manifest: Manifest) -> Finding:
    entry = entry_of(finding, manifest)
    if entry is None or entry.severity is None:
        return finding
    concept = entry.measurement.code()
    value = next((item.value for item in finding.measurements if item.concept == concept), None)
    if value is None or not manifest.regulatory.lets_out(concept):
        return finding
    return replace(finding, severity=entry.severity.of(value))


def _sided(finding: Finding, manifest: Manifest, shown: Shown) -> Finding:
    """A side is a place: it leaves where places may."""
    entry = entry_of(finding, manifest)
    if entry is None or entry.laterality is None or PermittedOutput.LOCATION not in manifest.regulatory.permitted_outputs:
        return finding
    mask = None if finding.region is None else shown.masks.get(finding.region)
    side = side_of(
        mask, shown.volume, entry.laterality, shown.declared, is_ct=shown.is_ct, lies_on_side=shown.lies_on_side)
    return replace(finding, laterality=side)


def _at_least(finding: Finding, entry: FindingEntry | None) -> Finding:
    severity: Code | None = None
    if entry is not None and entry.severity is not None and finding.severity == entry.severity.gravest:
        severity = finding.severity
    declared = entry is not None and entry.laterality is not None and entry.laterality.source == "header"
    return replace(finding, severity=severity, laterality=finding.laterality if declared else None)
