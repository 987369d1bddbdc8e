"""A site's own script, run by Orthanc: it has a callback of its own and calls Vigil at its end, as docs/operator.md says.

It also measures from within (scripts/hospital/inside.py), and has routes that answer badly.
"""

import json
import sys
import time

import orthanc

sys.path[:0] = json.loads(orthanc.GetConfiguration())["Site"]["Path"]

from hospital.inside import Stopwatches  # noqa: E402
from vigil.host.entry import install  # noqa: E402
from vigil.host.routes import Reply, Routes  # noqa: E402

stopwatches = Stopwatches(orthanc)
seen = {}


def on_change(change, level, resource_id):
    """The site's own."""
    name = next(key for key, value in vars(orthanc.ChangeType).items() if value == change)
    seen[name] = seen.get(name, 0) + 1
    if name == "ORTHANC_STOPPED":
        routes.close()
    if name == "NEW_STUDY":
        raise RuntimeError("a fault in the site's own callback")


def deep(level):
    return max(map(deep, [level - 1])) + 1 if level else 0  # each level goes through C and takes stack


def raises(_):
    raise LookupError("a fault in a handler")


def slow(_):
    time.sleep(15)
    return Reply(b"late")


stopwatches.start()
routes = Routes(orthanc, lambda error: orthanc.LogError(f"site: {type(error).__name__}"))
routes.add("/site/measured", lambda _: Reply.json(stopwatches.measured() | {"seen": seen}))
routes.add("/site/deep", lambda _: Reply(str(deep(480)).encode(), "text/plain"))
routes.add("/site/nested", lambda _: Reply(str(len(repr(json.loads("[" * 900 + "]" * 900)))).encode(), "text/plain"))
routes.add("/site/raises", raises)
routes.add("/site/slow", slow)
install(stopwatches, site_on_change=on_change)
