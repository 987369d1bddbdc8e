"""What a model makes of a study as it stands now: not its kind, wait, say why not, or analyse these stacks.

A pure function of the study's content and of two times, so that it may be asked again at any change, and a replay gets the
same answer. The verdict of an earlier moment binds nothing: a refused study that is completed is wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from vigil.domain.answer import InputInstance, Reason
from vigil.domain.errors import Category
from vigil.domain.manifest import Manifest
from vigil.intake.assignment import Assignment, assign, frame_of
from vigil.intake.completeness import Proof
from vigil.intake.equipment import sex_reason
from vigil.intake.frames import input_instances
from vigil.intake.header import ImageHeader
from vigil.intake.requested import request_reason
from vigil.intake.scope import Region, age_reason, images_of_modality, is_image, region, region_reason
from vigil.intake.selection import DECODABLE, Candidate, Selection, by_series, select
from vigil.intake.stack import SliceStack
from vigil.intake.study import StudyContent


class Verdict(StrEnum):
    NOT_APPLICABLE = "not-applicable"
    """Not this model's kind of study: recorded, nothing is made."""
    WAITING = "waiting"
    """Not whole yet: look again at ``look_again_at``, or when an image arrives."""
    REFUSED = "refused"
    """The model should have answered and cannot: the answer is "not analysed", with the reason, visible."""
    WANTED = "wanted"
    """Analyse ``stacks``."""


@dataclass(frozen=True)
class Appraisal:
    """``complete``: whether a negative may leave (law 2); true for WANTED alone.

    ``stacks``: what to analyse where WANTED, one for each of the model's inputs, in their order. Where WAITING or REFUSED, stacks
    that are large enough but perhaps not whole, for every input or for none: a positive on them may leave, a negative never.
    ``inputs``: the stacks' images in their order, otherwise the images looked at. ``evidence``: plain values, for the ledger.
    """

    verdict: Verdict
    reason: Reason | None
    stacks: tuple[SliceStack, ...] = ()
    inputs: tuple[InputInstance, ...] = ()
    complete: bool = False
    look_again_at: datetime | None = None
    evidence: dict[str, object] = field(default_factory=dict)

    @property
    def stack(self) -> SliceStack | None:
        """Of the first input, the reference."""
        return self.stacks[0] if self.stacks else None


def appraise(
    content: StudyContent, manifest: Manifest, *, now: datetime, quiet_since: datetime, stable_age_s: float = 0.0,
    decodable: frozenset[str] = DECODABLE,
) -> Appraisal:
    """``quiet_since``: when the last image arrived; ``stable_age_s``: quiet that any study needs (Orthanc's StableAge),
    to which the manifest's ``quiet_s`` is added. ``decodable``: transfer syntaxes that can be decoded."""
    return _Appraiser(content, manifest, now, quiet_since, stable_age_s, decodable).verdict()


@dataclass(frozen=True)
class _Appraiser:
    content: StudyContent
    manifest: Manifest
    now: datetime
    quiet_since: datetime
    stable_age_s: float
    decodable: frozenset[str]

    @property
    def patience_s(self) -> float:
        return max(wanted.give_up_after_s for wanted in self.manifest.inputs)

    def verdict(self) -> Appraisal:
        images = images_of_modality(self.content.headers, self.manifest.scope)
        if not images:
            return self._without_images()
        body_part = self.manifest.scope.body_part
        series = by_series(images)
        regions = {uid: region(members, body_part) for uid, members in series.items()}
        evidence: dict[str, object] = {"regions": {uid: found.value for uid, found in regions.items()}}
        if all(found is Region.OTHER for found in regions.values()):
            reason = region_reason(Region.OTHER, images, body_part)
            return Appraisal(Verdict.NOT_APPLICABLE, reason, evidence=self._evidence(**evidence))
        # From here on this model should answer; these no further image can cure.
        concerned = [image for image in images if regions[image.series_instance_uid] is not Region.OTHER]
        scope = self.manifest.scope
        final = self.content.identity_conflict or age_reason(concerned, scope) or sex_reason(concerned, scope) \
            or request_reason([image.requested for image in concerned], scope)
        if final is not None:
            return self._short_of(final, images, patience_s=0.0, evidence=evidence)
        selections = {wanted.name: select(images, scope, wanted, self.decodable) for wanted in self.manifest.inputs}
        return self._of_selections(selections, images, evidence | self._described(selections))

    def _without_images(self) -> Appraisal:
        held = sorted({header.modality or "objects without a modality" for header in self.content.headers})
        modality = " or ".join(self.manifest.scope.modality)
        if self.content.unreadable and not any(is_image(header) for header in self.content.headers):
            # What cannot be read may be the very images.
            return self._short_of(self._unreadable(), (), patience_s=self.patience_s)
        reason = Reason(
            Category.NO_SUITABLE_SERIES,
            f"the study holds no {modality} images" + (f", only {', '.join(held)}" if held else ""),
        )
        return Appraisal(Verdict.NOT_APPLICABLE, reason, evidence=self._evidence())

    def _of_selections(
        self, selections: Mapping[str, Selection], images: Sequence[ImageHeader], evidence: dict[str, object]
    ) -> Appraisal:
        # An unreadable file may be a slice: only a declared count proves that it is not one of these.
        proofs = (Proof.DECLARED,) if self.content.unreadable else (Proof.DECLARED, Proof.QUIET)
        whole = assign(selections, lambda candidate: candidate.completeness.proof in proofs)
        if whole.whole:
            return self._of_whole(whole.chosen, evidence)
        reason, patience_s = self._unreadable() if self.content.unreadable else self._lack(selections, whole), self.patience_s
        if reason.category is Category.UNSUPPORTED_TRANSFER_SYNTAX:
            patience_s = 0.0
        enough = assign(selections, lambda candidate: candidate.completeness.enough)
        provisional = enough.chosen if enough.whole else {}
        return self._short_of(reason, images, patience_s=patience_s, provisional=provisional, evidence=evidence)

    def _lack(self, selections: Mapping[str, Selection], found: Assignment) -> Reason:
        """Why the study is not whole for this model. Where it has several inputs, which of them lacks what."""
        if len(selections) == 1:
            return selections[self.manifest.reference.name].told
        if found.apart:
            named = all(frame_of(candidate) for candidate in found.chosen.values())
            fault = "do not share a frame of reference" if named else "do not all name their frame of reference"
            return Reason(Category.IRREGULAR_GEOMETRY, f"the series of {' and '.join(found.chosen)} {fault}, so nobody knows how "
                          "they lie to one another")
        lacks = [_lack_of(name, selections[name]) for name in found.unserved]
        return Reason(lacks[0].category, "; ".join(lack.text for lack in lacks))

    def _of_whole(self, chosen: Mapping[str, Candidate], evidence: dict[str, object]) -> Appraisal:
        stacks = tuple(candidate.stack for candidate in chosen.values())
        inputs = self._served(chosen)
        quiet = [wanted.quiet_s for wanted in self.manifest.inputs if chosen[wanted.name].completeness.proof is Proof.QUIET]
        evidence = self._evidence(**evidence, **self._selected(chosen))
        quiet_until = self.quiet_since + timedelta(seconds=self.stable_age_s + max(quiet, default=0.0))
        if quiet and self.now < quiet_until:
            reason = Reason(Category.INCOMPLETE, "no count of images was declared, so more may still arrive")
            return Appraisal(Verdict.WAITING, reason, stacks, inputs, look_again_at=quiet_until, evidence=evidence)
        return Appraisal(Verdict.WANTED, None, stacks, inputs, complete=True, evidence=evidence)

    def _served(self, chosen: Mapping[str, Candidate]) -> tuple[InputInstance, ...]:
        several = len(chosen) > 1
        return tuple(item for name, candidate in chosen.items()
                     for item in input_instances(candidate.stack.headers, name if several else ""))

    def _short_of(
        self, reason: Reason, images: Sequence[ImageHeader], *, patience_s: float,
        provisional: Mapping[str, Candidate] | None = None, evidence: dict[str, object] | None = None,
    ) -> Appraisal:
        """Waits as long as an image may still cure it, then says why not."""
        until = self.quiet_since + timedelta(seconds=max(self.stable_age_s, patience_s))
        known = self._evidence(**(evidence or {}))
        stacks = tuple(candidate.stack for candidate in (provisional or {}).values())
        looked_at = self._served(provisional) if provisional else input_instances(images)
        if self.now >= until:
            return Appraisal(Verdict.REFUSED, reason, stacks, looked_at, evidence=known)
        return Appraisal(Verdict.WAITING, reason, stacks, looked_at, look_again_at=until, evidence=known)

    def _unreadable(self) -> Reason:
        first = self.content.unreadable[0][1]
        count = len(self.content.unreadable)
        counted = "1 object of the study cannot be read" if count == 1 else f"{count} objects of the study cannot be read"
        return Reason(Category.UNREADABLE_INSTANCE, f"{counted}: {first.text}")

    def _described(self, selections: Mapping[str, Selection]) -> dict[str, object]:
        """Choice and rejects, of each input where there are several."""
        if len(selections) == 1:
            return _describe(selections[self.manifest.reference.name])
        return {"inputs": {name: _describe(selection) for name, selection in selections.items()}}

    def _selected(self, chosen: Mapping[str, Candidate]) -> dict[str, object]:
        if len(chosen) == 1:
            only = chosen[self.manifest.reference.name]
            return {"selected": only.series_instance_uid, "proof": only.completeness.proof.value}
        return {"selected": {name: candidate.series_instance_uid for name, candidate in chosen.items()},
                "proof": {name: candidate.completeness.proof.value for name, candidate in chosen.items()}}

    def _evidence(self, **more: object) -> dict[str, object]:
        headers = self.content.headers
        return {
            "content_sha256": self.content.content_sha256,
            "objects": len(headers) + len(self.content.unreadable),
            "objects_by_modality": dict(sorted(Counter(header.modality for header in headers).items())),
            "images_by_series": dict(sorted(Counter(
                header.series_instance_uid for header in images_of_modality(headers, self.manifest.scope)
            ).items())),
            "unreadable": {orthanc_id: reason.text for orthanc_id, reason in self.content.unreadable},
            **more,
        }


def _lack_of(name: str, selection: Selection) -> Reason:
    """What is missing for one of several inputs."""
    whole = [candidate for candidate in selection.candidates if candidate.completeness.reason is None]
    if whole:
        return Reason(Category.NO_SUITABLE_SERIES, f"no {name} series: what suits it serves another input")
    told = selection.told
    begun = told.category in (Category.INCOMPLETE, Category.SLICE_MISSING)
    return Reason(told.category, f"{name} series: {told.text}" if begun else f"no {name} series: {told.text}")


def _describe(selection: Selection) -> dict[str, object]:
    return {
        "rejected": {
            uid: {"category": reason.category.value, "text": reason.text} for uid, reason in selection.rejected.items()
        },
        "candidates": [
            {
                "series": candidate.series_instance_uid,
                "slices": len(candidate.stack.headers),
                "duplicates": len(candidate.stack.duplicates),
                "spacing_mm": round(candidate.stack.spacing_mm[0], 3),
                "coverage_mm": round(candidate.stack.coverage_mm, 1),
                "declared": candidate.completeness.declared,
                "arrived": candidate.completeness.arrived,
                "proof": candidate.completeness.proof.value,
                "missing": candidate.completeness.reason.text if candidate.completeness.reason else None,
            }
            for candidate in selection.candidates
        ],
    }
