"""On which side a finding lies, through the pipeline: of what was all seen, where the clearance lets places out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dense_site import Opener, install, manifest

from vigil.domain.answer import Answer, AnswerKind
from vigil.domain.codes import LEFT, RIGHT
from vigil.domain.concepts import Code
from vigil.domain.manifest import Manifest, PermittedOutput
from vigil.imaging.declared_side import DeclaredSide
from vigil.imaging.volume import Volume
from vigil.inference.decide import finding_of, judge
from vigil.inference.qualify import Shown, at_least, qualified
from vigil.records.account import Account

POINTS = {"default": {"positive": 5.0, "indeterminate": 3.0}}
HEADER, GEOMETRY = {"from": "header"}, {"from": "geometry", "margin_mm": 5}
ALL = tuple(PermittedOutput)


@pytest.mark.parametrize(("declared", "told"), [("L", LEFT), ("R", RIGHT), ("", None)])
def test_what_the_images_declare_is_told_of_a_positive_and_stands_in_the_account(
    opener: Opener, tmp_path: Path, declared: str, told: Code | None
) -> None:
    models = install(tmp_path / "models", "dense", points=POINTS, laterality=HEADER)
    text = (models / "dense" / "manifest.yaml").read_text().replace('["measurement"]', '["measurement", "location"]')
    (models / "dense" / "manifest.yaml").write_text(text)
    site = opener.open(models, {"dense": {"Stage": "live"}})
    _, answer = site.answer("SIEMENS", laterality=declared)
    assert (answer.kind, [finding.laterality for finding in answer.findings]) == (AnswerKind.POSITIVE, [told])
    account, = Account(site.ledger).analyses()
    finding, = account["answer"]["findings"]
    assert finding["laterality"] == (None if told is None else {
        "code": told.value, "scheme": told.scheme, "meaning": told.meaning})


def head() -> Shown:
    """With something on its left."""
    z, y, x = (5.0 * (np.arange(44) - 21.5) for _ in range(3))
    inside = (z[:, None, None] / 95) ** 2 + (y[:, None] / 95) ** 2 + (x / 75) ** 2 <= 1
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = np.diag([5.0] * 3)[::-1], -5.0 * 21.5
    mask = np.zeros_like(inside)
    mask[20:24, 20:24, 30:34] = True
    voxels = np.where(inside, 40.0, -1000.0).astype(np.float32)
    return Shown(Volume(voxels, affine), {"dense": mask}, DeclaredSide.NONE, is_ct=True)


def described(laterality: dict[str, Any] | None, *outputs: PermittedOutput) -> Manifest:
    made = manifest("dense", b"", {} if laterality is None else {"laterality": laterality}, POINTS)
    made["regulatory"]["permitted_outputs"] = list(outputs)
    return Manifest.model_validate(made)


def answered(of: Manifest, value: float = 12.0, *notes: str, shown: Shown | None = None) -> Answer:
    judgement = judge(value, of.decided[0], "default")
    answer = judgement.answer((finding_of(judgement, of.finding, "dense", ()),), notes)
    return qualified(answer, of, head() if shown is None else shown)


def side(answer: Answer) -> Code | None:
    return answer.findings[0].laterality


def test_the_side_of_a_region_is_told_of_a_positive_where_the_manifest_asks_for_it() -> None:
    assert side(answered(described(GEOMETRY, *ALL))) == LEFT
    assert side(answered(described(GEOMETRY, *ALL), shown=replace(head(), lies_on_side=True))) is None
    assert side(answered(described(None, *ALL))) is None
    assert side(answered(described(GEOMETRY, *ALL), 4.0)) is None, "an indeterminate may not be there"


def test_a_clearance_without_places_lets_no_side_out() -> None:
    outputs = (PermittedOutput.NOTIFICATION, PermittedOutput.MEASUREMENT, PermittedOutput.SCORE)
    assert side(answered(described(GEOMETRY, *outputs))) is None
    assert side(answered(described(HEADER, *outputs), shown=replace(head(), declared=DeclaredSide.LEFT))) is None


def test_of_a_part_or_of_what_the_images_cut_only_a_declared_side_is_told() -> None:
    of, note = described(GEOMETRY, *ALL), "The value may be larger: the images end inside 'dense'."
    assert side(answered(of, 12.0, note)) is None
    assert side(at_least(answered(of), of)) is None
    by_header, left = described(HEADER, *ALL), replace(head(), declared=DeclaredSide.LEFT)
    assert side(answered(by_header, 12.0, note, shown=left)) == LEFT
