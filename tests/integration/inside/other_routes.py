"""A site's script with REST routes of its own, some of them in the place of Orthanc's, and Vigil behind it."""

import json
import sys

import orthanc

sys.path[:0] = json.loads(orthanc.GetConfiguration())["Site"]["Path"]

from vigil.host.entry import install  # noqa: E402


def mine(output, uri, **request):
    output.AnswerBuffer(json.dumps({"site": uri}), "application/json")


for route in ("/site/worklist", "/instances", "/changes", "/studies/([0-9a-f-]+)", "/tools/lookup"):
    orthanc.RegisterRestCallback(route, mine)
install(orthanc)
