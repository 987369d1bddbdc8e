"""A site's own script, run by Orthanc, for the case "stall": the bundle, with stopwatches laid around it."""

from __future__ import annotations

import json
import sys
import time

import orthanc

sys.path[:0] = json.loads(orthanc.GetConfiguration())["Site"]["Path"]

from hospital.inside import Stopwatches  # noqa: E402
from vigil.host.entry import install  # noqa: E402
from vigil.host.routes import Reply, Routes  # noqa: E402
from vigil.pipeline.analyse import Analyst  # noqa: E402
from vigil.pipeline.engine import Verdict  # noqa: E402

begun: list[tuple[float, str]] = []
"""When the task of an analysis began (wall clock), and its id."""
work = Analyst.__call__


def noted(analyst: Analyst, subject: str, attempt: int) -> Verdict:
    begun.append((time.time(), subject))
    return work(analyst, subject, attempt)


def on_change(change: object, level: object, resource_id: str) -> None:
    """The site's own."""
    del level, resource_id
    if change == orthanc.ChangeType.ORTHANC_STOPPED:
        routes.close()


Analyst.__call__ = noted  # type: ignore[method-assign, assignment]
stopwatches = Stopwatches(orthanc)
stopwatches.start()
routes = Routes(orthanc, lambda error: orthanc.LogError(f"site: {type(error).__name__}"))
routes.add("/site/measured", lambda _: Reply.json(stopwatches.measured() | {"begun": begun}))
install(stopwatches, site_on_change=on_change)
