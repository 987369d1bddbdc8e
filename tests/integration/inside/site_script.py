"""A site's own script, run by Orthanc: it has a callback of its own and calls Vigil at its end, as docs/operator.md says.

It also measures from within: how late a Python thread wakes that slept 5 ms (it can only be late when the processor or the
interpreter's lock was kept from it), and how long the OnChange callback takes. And it has routes that answer badly.
"""

import json
import sys
import threading
import time

import orthanc

SLEEP_S = 0.005
sys.path[:0] = json.loads(orthanc.GetConfiguration())["Site"]["Path"]

from vigil.host.entry import install  # noqa: E402
from vigil.host.routes import Reply, Routes  # noqa: E402

late = []
callbacks = []
seen = {}


class Measured:
    """Orthanc's module, with a stopwatch around the callback that is registered."""

    def __getattr__(self, name):
        return getattr(orthanc, name)

    def RegisterOnChangeCallback(self, callback):
        def timed(change, level, resource_id):
            begun = time.perf_counter()
            try:
                callback(change, level, resource_id)
            finally:
                callbacks.append((time.monotonic(), time.perf_counter() - begun))

        orthanc.RegisterOnChangeCallback(timed)


def on_change(change, level, resource_id):
    """The site's own."""
    name = next(key for key, value in vars(orthanc.ChangeType).items() if value == change)
    seen[name] = seen.get(name, 0) + 1
    if name == "ORTHANC_STOPPED":
        routes.close()
    if name == "NEW_STUDY":
        raise RuntimeError("a fault in the site's own callback")


def probe():
    while True:
        begun = time.monotonic()
        time.sleep(SLEEP_S)
        woken = time.monotonic()
        late.append((woken, woken - begun - SLEEP_S))


def deep(level):
    return max(map(deep, [level - 1])) + 1 if level else 0  # each level goes through C and takes stack


def raises(_):
    raise LookupError("a fault in a handler")


def slow(_):
    time.sleep(15)
    return Reply(b"late")


threading.Thread(target=probe, name="site-probe", daemon=True).start()
routes = Routes(orthanc, lambda error: orthanc.LogError(f"site: {type(error).__name__}"))
routes.add("/site/measured", lambda _: Reply.json({"late": late, "callbacks": callbacks, "seen": seen}))
routes.add("/site/deep", lambda _: Reply(str(deep(480)).encode(), "text/plain"))
routes.add("/site/nested", lambda _: Reply(str(len(repr(json.loads("[" * 900 + "]" * 900)))).encode(), "text/plain"))
routes.add("/site/raises", raises)
routes.add("/site/slow", slow)
install(Measured(), site_on_change=on_change)
