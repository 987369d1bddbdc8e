"""A site's own script, run by Orthanc, for the case "stall": the bundle, with stopwatches laid around it."""

import json
import sys

import orthanc

sys.path[:0] = json.loads(orthanc.GetConfiguration())["Site"]["Path"]

from hospital.inside import Stopwatches  # noqa: E402
from vigil.host.entry import install  # noqa: E402
from vigil.host.routes import Reply, Routes  # noqa: E402


def on_change(change, level, resource_id):
    """The site's own."""
    if change == orthanc.ChangeType.ORTHANC_STOPPED:
        routes.close()


stopwatches = Stopwatches(orthanc)
stopwatches.start()
routes = Routes(orthanc, lambda error: orthanc.LogError(f"site: {type(error).__name__}"))
routes.add("/site/measured", lambda _: Reply.json(stopwatches.measured()))
install(stopwatches, site_on_change=on_change)
