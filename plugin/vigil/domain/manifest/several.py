"""Several findings of one model: each decides, is told apart from the others, and is known at every operating point."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vigil.domain.manifest.whole import Manifest


def insist_each_can_be_told(manifest: Manifest) -> None:
    """Of a manifest with ``further_findings``.

    Raises: ValueError.
    """
    names = set(manifest.operating_points)
    for item in manifest.decided:
        if item.entry.measured:
            raise ValueError(f"{item.name}: each of several findings decides; tell what is 'measured' alone in measurements")
        if set(item.operating_points) != names:
            raise ValueError(f"{item.name}.operating_points: the names are those of the main finding: {', '.join(sorted(names))}")
        if item.name != "finding" and any(point.scanners is not None for point in item.operating_points.values()):
            raise ValueError(f"{item.name}.operating_points: 'for' stands in the points of the main finding, and holds for all")
    concepts = [item.entry.concept.code() for item in manifest.decided]
    if len({(code.value, code.scheme) for code in concepts}) != len(concepts):
        raise ValueError("further_findings: each finding has a concept of its own, or receivers take one for the other")
    rule = manifest.ensemble
    if rule is not None and rule.abstain_above_spread is not None and len({item.entry.unit for item in manifest.decided}) > 1:
        raise ValueError("ensemble.abstain_above_spread is one limit for all findings; it goes with findings of one unit")
    for case in manifest.golden:
        expected = [] if case.kind == "not-analysed" else [code.value for code in concepts]
        if sorted(part.finding for part in case.parts) != sorted(expected):
            raise ValueError(f"golden '{case.name}': parts names each finding once, by the value of its concept; "
                             "none where the study is not analysed")
