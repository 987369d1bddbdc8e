"""Under which name a finding is followed and which algorithm made it: the same words in the report and the segmentation."""

from __future__ import annotations

from dataclasses import dataclass

from vigil.domain.answer import quantity
from vigil.domain.identity import object_uid
from vigil.results.request import ResultRequest


@dataclass(frozen=True)
class Tracking:
    """Tracking Identifier and Tracking Unique Identifier (PS3.16 TID 1410, PS3.3 C.8.20.4): by them a viewer joins the
    drawn group, the volumetric group and the segment of one finding."""

    identifier: str
    uid: str

    @classmethod
    def of(cls, request: ResultRequest, number: int) -> Tracking:
        """``number``: that of the finding, 0 for the study as a whole."""
        name = f"finding {number}" if number else "study"
        return cls(f"AI {request.manifest.id} {name}", object_uid(request.analysis.analysis_id, "tracking", number))

    @classmethod
    def of_box(cls, request: ResultRequest, finding: int, number: int, *, first: bool) -> Tracking:
        """The first of a finding stands for it: it bears its UID, by which a viewer joins it with the segment."""
        whole = cls.of(request, finding)
        uid = whole.uid if first else object_uid(request.analysis.analysis_id, "tracking of a box", number)
        return cls(f"{whole.identifier} box {number}", uid)

    @classmethod
    def of_part(cls, request: ResultRequest, number: int) -> Tracking:
        """Of what was looked for and not found. ``number``: of the model's several findings, from 1."""
        return cls(f"AI {request.manifest.id} study {number}",
                   object_uid(request.analysis.analysis_id, "tracking of what was looked for", number))


def algorithm_parameters(request: ResultRequest) -> list[str]:
    """The rule that made the answer, for a person and for a program."""
    parameters = [f"operating point: {request.analysis.operating_point}"]
    rules = [("", request.answer.criterion)]
    if request.answer.parts:
        rules = [(f" of {part.concept.meaning}", part.criterion) for part in request.answer.parts]
    for whose, criterion in rules:
        if criterion is not None:
            limit = quantity(f"{criterion.threshold:g}", criterion.unit)
            parameters.append(f"threshold{whose}: {criterion.concept.meaning} {limit}, positive at or above")
    if (ensemble := request.manifest.ensemble) is not None:
        flips = f", each also flipped along {', '.join(ensemble.flips)}" if ensemble.flips else ""
        parameters.append(f"mean of {1 + len(ensemble.files)} network{'s' if ensemble.files else ''}{flips}")
    parameters.append(f"weights SHA-256: {request.analysis.weights_sha256}")
    return parameters
