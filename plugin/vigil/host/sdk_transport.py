"""Requests to Orthanc from inside its process. The ``orthanc`` module is handed in; every call is short (law 1)."""

from __future__ import annotations

import threading
from typing import Any

from vigil.domain.errors import Stopping
from vigil.host.errors import OrthancRefused

UNKNOWN_RESOURCE = 17
INEXISTENT_ITEM = 7
INEXISTENT_FILE = 2004


class SdkTransport:
    """Satisfies :class:`vigil.host.rest_gateway.Transport`.

    ``stop``: set when Orthanc stops; a call into Orthanc after that hangs or aborts it, so none is made.
    """

    def __init__(self, sdk: Any, stop: threading.Event) -> None:
        self._sdk = sdk
        self._stop = stop

    def get(self, path: str) -> bytes | None:
        return self._call("read", path, lambda: self._sdk.RestApiGet(path))

    def post(self, path: str, body: bytes) -> bytes:
        answer = self._call("post to", path, lambda: self._sdk.RestApiPost(path, body))
        if answer is None:
            raise OrthancRefused(f"Orthanc does not know {path}")
        return answer

    def put(self, path: str, body: bytes) -> bytes | None:
        return self._call("put", path, lambda: self._sdk.RestApiPut(path, body))

    def dicom(self, instance_orthanc_id: str) -> bytes | None:
        return self._call("read instance", instance_orthanc_id,
                          lambda: self._sdk.GetDicomForInstance(instance_orthanc_id))

    def _call(self, verb: str, what: str, call: Any) -> bytes | None:
        if self._stop.is_set():
            raise Stopping("Orthanc is stopping; the work goes on after its next start")
        try:
            answer = call()
        except self._sdk.OrthancException as error:
            code = error.args[0] if error.args else 0
            if code in (UNKNOWN_RESOURCE, INEXISTENT_ITEM, INEXISTENT_FILE):
                return None
            text = error.args[1] if len(error.args) > 1 else error
            raise OrthancRefused(f"Orthanc could not {verb} {what.split('?', maxsplit=1)[0]}: {text} (error {code})") from error
        return answer if isinstance(answer, bytes) else str(answer).encode()
