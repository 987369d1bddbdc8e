"""How soon after the last image of a large study Vigil knows all of its headers, in a real Orthanc."""

from __future__ import annotations

import time
from datetime import datetime
from functools import partial
from typing import Any

from benchmark import studies
from benchmark.case import Case, Effort
from benchmark.findings import Figure, Findings, Target
from benchmark.senders import send, shares
from benchmark.statistics import median
from hospital.census import wait_until
from hospital.hospital import LIVE, MODEL
from hospital.orthanc import Orthanc

IMAGES, MATRIX = 2000, 256
MOST_S = 0.5
NEVER_STABLE_S = 3600
NOTE = (
    "{images} images of {matrix}², uncompressed, in one series that declares them, by three dcmsend at once into a real Orthanc "
    "whose studies are never stable. Measured is from the senders' last answer to the first decision that knows all {images} "
    "headers, by the ledger's own time; the decision itself, on all of them, is within it. Nobody asks Orthanc anything "
    "meanwhile."
)


def many(case: Case, effort: Effort) -> Findings:
    known_s: list[float] = []
    rates: list[float] = []
    section = {"Models": {MODEL: LIVE}, "Reconcile": {"IntervalSeconds": 3600.0}}
    with Orthanc(effort.folder / "orthanc", vigil=section, stable_age_s=NEVER_STABLE_S) as orthanc:
        orthanc.wait_ready()
        for number in range(effort.repeats):
            study = studies.many(f"{case.name}-{number}", IMAGES, MATRIX)
            folders = shares(effort.folder / f"study-{number}", study.files)
            took_s = send(folders, orthanc)
            last = time.time()
            rates.append(IMAGES / took_s)
            time.sleep(5)  # and ask then
            found, = orthanc.post("/tools/lookup", study.study_uid.encode())
            at = wait_until("a decision on all images", partial(_knew_all, orthanc, str(found["ID"])), 60)
            known_s.append(max(0.0, at - last))
            orthanc.delete(f"/studies/{found['ID']}")
    figures = (Figure.of("last image to all headers known and judged", "s", known_s), Figure.of("sent", "images/s", rates))
    target = Target("All headers known after the last image", MOST_S, True, "s", median(known_s))
    return Findings(case.name, case.title, NOTE.format(images=IMAGES, matrix=MATRIX), figures=figures, targets=(target,))


def _knew_all(orthanc: Orthanc, study_id: str) -> float | None:
    """When; None where no decision did yet."""
    decisions: list[dict[str, Any]] = orthanc.get(f"/vigil/studies/{study_id}")["decisions"]
    whole = [item for item in decisions if item["evidence"].get("objects") == IMAGES]
    return datetime.fromisoformat(str(whole[0]["at"])).timestamp() if whole else None
