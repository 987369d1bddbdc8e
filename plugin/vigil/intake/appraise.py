"""What a model makes of a study as it stands now: not its kind, wait, say why not, or analyse this stack.

A pure function of the study's content and of two times, so that it may be asked again at any change, and a replay gets the
same answer. The verdict of an earlier moment binds nothing: a refused study that is completed is wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from vigil.domain.answer import InputInstance, Reason
from vigil.domain.errors import Category
from vigil.domain.manifest import Manifest, SeriesInput
from vigil.intake.completeness import Proof
from vigil.intake.equipment import sex_reason
from vigil.intake.frames import input_instances
from vigil.intake.header import ImageHeader
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
    """Analyse ``stack``."""


@dataclass(frozen=True)
class Appraisal:
    """``complete``: whether a negative may leave (law 2); true for WANTED alone.

    ``stack``: what to analyse where WANTED. Where WAITING or REFUSED, a stack that is large enough but perhaps not whole: a
    positive on it may leave, a negative never. ``inputs``: the stack's images in its order, otherwise the images looked at.
    ``evidence``: plain values, for the ledger.
    """

    verdict: Verdict
    reason: Reason | None
    stack: SliceStack | None = None
    inputs: tuple[InputInstance, ...] = ()
    complete: bool = False
    look_again_at: datetime | None = None
    evidence: dict[str, object] = field(default_factory=dict)


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
    def wanted(self) -> SeriesInput:
        return self.manifest.inputs[0]

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
        final = self.content.identity_conflict or age_reason(concerned, scope) or sex_reason(concerned, scope)
        if final is not None:
            return self._short_of(final, images, patience_s=0.0, evidence=evidence)
        selection = select(images, self.manifest.scope, self.wanted, self.decodable)
        return self._of_selection(selection, images, evidence | _describe(selection))

    def _without_images(self) -> Appraisal:
        held = sorted({header.modality or "objects without a modality" for header in self.content.headers})
        modality = " or ".join(self.manifest.scope.modality)
        if self.content.unreadable and not any(is_image(header) for header in self.content.headers):
            # What cannot be read may be the very images.
            return self._short_of(self._unreadable(), (), patience_s=self.wanted.give_up_after_s)
        reason = Reason(
            Category.NO_SUITABLE_SERIES,
            f"the study holds no {modality} images" + (f", only {', '.join(held)}" if held else ""),
        )
        return Appraisal(Verdict.NOT_APPLICABLE, reason, evidence=self._evidence())

    def _of_selection(
        self, selection: Selection, images: Sequence[ImageHeader], evidence: dict[str, object]
    ) -> Appraisal:
        # An unreadable file may be a slice: only a declared count proves that it is not one of these.
        proofs = (Proof.DECLARED,) if self.content.unreadable else (Proof.DECLARED, Proof.QUIET)
        whole = [candidate for candidate in selection.candidates if candidate.completeness.proof in proofs]
        if whole:
            return self._of_whole(whole[0], evidence)
        reason = self._unreadable() if self.content.unreadable else selection.told
        undecodable = reason.category is Category.UNSUPPORTED_TRANSFER_SYNTAX
        provisional = next(
            (candidate.stack for candidate in selection.candidates if candidate.completeness.enough), None
        )
        patience_s = 0.0 if undecodable else self.wanted.give_up_after_s
        return self._short_of(reason, images, patience_s=patience_s, provisional=provisional, evidence=evidence)

    def _of_whole(self, candidate: Candidate, evidence: dict[str, object]) -> Appraisal:
        stack = candidate.stack
        evidence = evidence | {"selected": candidate.series_instance_uid, "proof": candidate.completeness.proof.value}
        quiet_until = self.quiet_since + timedelta(seconds=self.stable_age_s + self.wanted.quiet_s)
        if candidate.completeness.proof is Proof.QUIET and self.now < quiet_until:
            reason = Reason(Category.INCOMPLETE, "no count of images was declared, so more may still arrive")
            return Appraisal(
                Verdict.WAITING, reason, stack, input_instances(stack.headers), look_again_at=quiet_until,
                evidence=self._evidence(**evidence),
            )
        return Appraisal(
            Verdict.WANTED, None, stack, input_instances(stack.headers), complete=True, evidence=self._evidence(**evidence)
        )

    def _short_of(
        self, reason: Reason, images: Sequence[ImageHeader], *, patience_s: float, provisional: SliceStack | None = None,
        evidence: dict[str, object] | None = None,
    ) -> Appraisal:
        """Waits as long as an image may still cure it, then says why not."""
        until = self.quiet_since + timedelta(seconds=max(self.stable_age_s, patience_s))
        known = self._evidence(**(evidence or {}))
        looked_at = provisional.headers if provisional is not None else images
        if self.now >= until:
            return Appraisal(Verdict.REFUSED, reason, provisional, input_instances(looked_at), evidence=known)
        return Appraisal(
            Verdict.WAITING, reason, provisional, input_instances(looked_at), look_again_at=until, evidence=known
        )

    def _unreadable(self) -> Reason:
        first = self.content.unreadable[0][1]
        count = len(self.content.unreadable)
        counted = "1 object of the study cannot be read" if count == 1 else f"{count} objects of the study cannot be read"
        return Reason(Category.UNREADABLE_INSTANCE, f"{counted}: {first.text}")

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
