"""Several predictions of one input become one: averaged after the activation, and told how far they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vigil.domain.answer import AnswerKind, quantity
from vigil.domain.manifest import Manifest
from vigil.domain.manifest.ensemble import Ensemble
from vigil.inference.decide import Judgement
from vigil.inference.regions import Understood
from vigil.inference.sessions import Session
from vigil.inference.strategy.go_over import Given

Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Member:
    """One prediction: a network, and the axes (of D, H, W) along which its input is mirrored."""

    session: Session
    flip: str = ""

    def given(self, tensor: Values) -> Values:
        """``tensor``: [C, D, H, W], as this member is given it. A view."""
        return np.flip(tensor, tuple(1 + "DHW".index(letter) for letter in self.flip))

    def turned_back(self, given: Given) -> Given:
        """What the network gave, in the axes of the input that was not mirrored."""
        # Entries have an order of slices alone, and slices are mirrored in their plane.
        return replace(given, maps={name: self.given(values) for name, values in given.maps.items()})


def members_of(networks: Sequence[Session], rule: Ensemble | None) -> tuple[Member, ...]:
    flips = ("",) if rule is None else ("", *rule.flips)
    return tuple(Member(session, flip) for session in networks for flip in flips)


def averaged(predictions: Iterable[Understood]) -> Understood:
    """The mean of each probability and of each number; one prediction is its own mean. Of boxes there is none."""
    total: Understood | None = None
    count = 0
    for found in predictions:
        count += 1
        if total is None:
            total = found
        else:
            total = Understood(
                {name: values + found.maps[name] for name, values in total.maps.items()}, found.boxes,
                {name: [one + two for one, two in zip(rows, found.rows[name], strict=True)] for name, rows in total.rows.items()},
            )
    if total is None:
        raise ValueError("there is no prediction to average")
    if count == 1:
        return total
    share = np.float32(1 / count)
    return Understood(
        {name: values * share for name, values in total.maps.items()}, total.boxes,
        {name: [row * share for row in rows] for name, rows in total.rows.items()},
    )


def spread_of(values: Sequence[float]) -> float | None:
    """Standard deviation (of n - 1) of what each prediction alone would measure; None of a single one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def weighed(judgement: Judgement, spread: float | None, manifest: Manifest) -> tuple[Judgement, tuple[str, ...]]:
    """The judgement, "indeterminate" where the predictions differ by more than the manifest allows, and what is to be noted. A
    number is told only where the clearance lets it out (law 5)."""
    rule = manifest.ensemble
    if rule is None or spread is None:
        return judgement, ()
    measured = judgement.measured
    numbers = manifest.regulatory.lets_out(measured.concept)
    said = quantity(f"{spread:.2f}", measured.unit)
    limit = rule.abstain_above_spread
    if limit is None or spread <= limit:
        note = f"The {rule.predictions} predictions that were averaged differ by {said} (standard deviation)."
        return judgement, (note,) if numbers else ()
    why = f"the {rule.predictions} predictions that were averaged differ by {said} (standard deviation), more than the " \
          f"{quantity(f'{limit:g}', measured.unit)} up to which the model decides"
    sentence = f"{measured.concept.meaning} {measured.text()}: indeterminate, for {why}. This excludes nothing."
    note = f"Indeterminate: {why}." if numbers else "The predictions that were averaged differ too much for an answer."
    return replace(judgement, kind=AnswerKind.INDETERMINATE, sentence=sentence), (note,)
