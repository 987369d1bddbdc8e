"""The release's own count of its packages, which is their approval."""

from __future__ import annotations

from vigil.inference.registry import Registry
from vigil.inference.standing import released_digests
from vigil.pipeline.roster import BUNDLED_MODELS


def test_the_release_names_every_package_of_its_own_and_no_other() -> None:
    installed = Registry(BUNDLED_MODELS).installed()
    assert {model.problem for model in installed} == {None}
    assert {model.sha256 for model in installed} == released_digests(BUNDLED_MODELS), (
        "write it anew, after the acceptance of what changed: cd models && sha256sum */manifest.yaml > SHA256SUMS")
