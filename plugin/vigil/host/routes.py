"""Addresses under /vigil/. Orthanc calls them on a stack of 100 KB (all versions), so each is answered by a thread of ours.

A thread for each request, and not a pool: Python waits for a pool's threads before it ends, so a handler that waits for a locked
ledger would hold up Orthanc's stop.
"""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

ANSWER_WITHIN_S = 10.0
MOST_AT_ONCE = 8
OK, UNAVAILABLE = 200, 503


@dataclass(frozen=True)
class Reply:
    body: bytes
    media_type: str = "application/json"
    status: int = OK
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, content: object, status: int = OK) -> Reply:
        return cls(json.dumps(content, ensure_ascii=False, indent=1).encode(), "application/json", status)


STOPPING = Reply.json({"error": "Orthanc is stopping"}, UNAVAILABLE)

Handler = Callable[[tuple[str, ...]], Reply]
"""Gets the groups of the address pattern."""


@dataclass(frozen=True)
class Posted:
    """What was sent to an address by POST. ``media_type`` without parameters, in small letters."""

    groups: tuple[str, ...]
    body: bytes
    media_type: str


PostHandler = Callable[[Posted], Reply]


class Routes:
    """Registers handlers with Orthanc and answers in threads of its own, up to ``most_at_once`` of them."""

    def __init__(self, sdk: Any, on_error: Callable[[BaseException], None], *, answer_within_s: float = ANSWER_WITHIN_S,
                 most_at_once: int = MOST_AT_ONCE) -> None:
        self._sdk = sdk
        self._on_error = on_error
        self._answer_within_s = answer_within_s
        self._free = threading.Semaphore(most_at_once)
        self._waiting: set[SimpleQueue[Reply]] = set()
        self._closed = False

    def add(self, pattern: str, handler: Handler) -> None:
        self._register(pattern, lambda groups: self._reply(lambda: handler(groups)))

    def add_written(self, pattern: str, posted: PostHandler, handler: Handler | None = None) -> None:
        """An address that is written to by POST, and read where ``handler`` is given."""
        self._register(pattern, None if handler is None else lambda groups: self._reply(lambda: handler(groups)),
                       lambda each: self._reply(lambda: posted(each)))

    def add_fixed(self, pattern: str, reply: Reply) -> None:
        """Always the same answer, also while every thread is taken."""
        self._register(pattern, lambda _: reply)

    def close(self) -> None:
        """Answers all who still wait: Orthanc stops, and waits for them."""
        self._closed = True
        for answered in list(self._waiting):
            answered.put(STOPPING)

    def _register(self, pattern: str, read: Handler | None, written: PostHandler | None = None) -> None:
        def answer(output: Any, uri: str, **request: Any) -> None:
            groups = tuple(request.get("groups", ()))
            method = request.get("method")
            if method == "GET" and read is not None:
                self._send(output, read(groups))
            elif method == "POST" and written is not None:
                kind = str(request.get("headers", {}).get("content-type", "")).partition(";")[0].strip().lower()
                self._send(output, written(Posted(groups, bytes(request.get("body") or b""), kind)))
            else:
                output.SendMethodNotAllowed(",".join(
                    name for name, handler in (("GET", read), ("POST", written)) if handler is not None))

        _keep_for_good(answer)
        self._sdk.RegisterRestCallback(pattern, answer)

    def _reply(self, handler: Callable[[], Reply]) -> Reply:
        if not self._free.acquire(blocking=False):
            return Reply.json({"error": "too many requests at once; try again"}, UNAVAILABLE)
        answered: SimpleQueue[Reply] = SimpleQueue()
        self._waiting.add(answered)
        thread = threading.Thread(target=self._work, args=(handler, answered), name="vigil-rest", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or Python is ending
            self._free.release()
            self._waiting.discard(answered)
            self._on_error(error)
            return Reply.json({"error": "Vigil has no thread to answer; try again"}, UNAVAILABLE)
        try:
            return STOPPING if self._closed else answered.get(timeout=self._answer_within_s)
        except Empty:
            return Reply.json({"error": f"no answer within {self._answer_within_s:g} s; try again"}, UNAVAILABLE)
        finally:
            self._waiting.discard(answered)

    def _work(self, handler: Callable[[], Reply], answered: SimpleQueue[Reply]) -> None:
        try:
            reply = handler()
        except Exception as error:  # noqa: BLE001 - the edge to Orthanc: no exception of ours may reach it (law 1)
            self._on_error(error)
            reply = Reply.json({"error": "Vigil could not answer; see its log"}, UNAVAILABLE)
        finally:
            self._free.release()
        answered.put(reply)

    def _send(self, output: Any, reply: Reply) -> None:
        for name, value in reply.headers.items():
            output.SetHttpHeader(name, value)
        if reply.status == OK:
            output.AnswerBuffer(reply.body, reply.media_type)
            return
        text = reply.body.decode()
        try:
            output.SendHttpStatus(reply.status, text, len(reply.body))
        except TypeError:
            output.SendHttpStatus(reply.status, text)  # a later plugin counts for itself


def _keep_for_good(callback: object) -> None:
    """Gives a callback one reference that nobody gives back. The plugin (measured: 5.0 and 7.1) lets go of its own after Python
    was finalized; were it the last one, the callback would be destroyed then, and Orthanc would end in a segmentation fault."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(callback))
