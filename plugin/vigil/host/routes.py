"""Addresses under /vigil/. Orthanc calls them on a stack of 100 KB (all versions), so each is answered by a thread of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from typing import Any

ANSWER_WITHIN_S = 10.0
OK, NOT_FOUND, NOT_ALLOWED, UNAVAILABLE = 200, 404, 405, 503


@dataclass(frozen=True)
class Reply:
    body: bytes
    media_type: str = "application/json"
    status: int = OK

    @classmethod
    def json(cls, content: object, status: int = OK) -> Reply:
        return cls(json.dumps(content, ensure_ascii=False, indent=1).encode(), "application/json", status)


Handler = Callable[[tuple[str, ...]], Reply]
"""Gets the groups of the address pattern."""


class Routes:
    """Registers handlers with Orthanc and answers in threads of its own."""

    def __init__(self, sdk: Any, on_error: Callable[[BaseException], None]) -> None:
        self._sdk = sdk
        self._on_error = on_error
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="vigil-rest")

    def add(self, pattern: str, handler: Handler) -> None:
        def answer(output: Any, uri: str, **request: Any) -> None:
            if request.get("method") != "GET":
                output.SendMethodNotAllowed("GET")
                return
            self._send(output, self._reply(handler, tuple(request.get("groups", ()))))

        self._sdk.RegisterRestCallback(pattern, answer)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _reply(self, handler: Handler, groups: tuple[str, ...]) -> Reply:
        try:
            return self._threads.submit(handler, groups).result(timeout=ANSWER_WITHIN_S)
        except Late:
            return Reply.json({"error": f"no answer within {ANSWER_WITHIN_S:.0f} s; try again"}, UNAVAILABLE)
        except Exception as error:  # noqa: BLE001 - the edge to Orthanc: no exception of ours may reach it (law 1)
            self._on_error(error)
            return Reply.json({"error": "Vigil could not answer; see its log"}, UNAVAILABLE)

    def _send(self, output: Any, reply: Reply) -> None:
        if reply.status == OK:
            output.AnswerBuffer(reply.body, reply.media_type)
            return
        text = reply.body.decode()
        try:
            output.SendHttpStatus(reply.status, text, len(reply.body))
        except TypeError:
            output.SendHttpStatus(reply.status, text)  # a later plugin counts for itself


