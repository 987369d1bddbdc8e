"""The surface of Orthanc's Python SDK that Vigil registers with, and nothing behind it: a test plays Orthanc's part.

What is behind it is tested in a real Orthanc (tests/contract, tests/integration).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any


class ChangeType(Enum):
    ORTHANC_STARTED = auto()
    ORTHANC_STOPPED = auto()
    NEW_INSTANCE = auto()
    STABLE_STUDY = auto()
    DELETED = auto()
    UPDATED_PEERS = auto()


class ResourceType(Enum):
    STUDY = auto()
    SERIES = auto()
    NONE = auto()


@dataclass
class RestOutput:
    """What a route answered."""

    status: int = 0
    body: bytes = b""
    media_type: str = ""
    allowed: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def SetHttpHeader(self, name: str, value: str) -> None:
        self.headers[name] = value

    def AnswerBuffer(self, body: bytes, media_type: str) -> None:
        self.status, self.body, self.media_type = 200, body, media_type

    def SendHttpStatus(self, status: int, body: str, size: int) -> None:
        assert size == len(body.encode())
        self.status, self.body = status, body.encode()

    def SendMethodNotAllowed(self, allowed: str) -> None:
        self.status, self.allowed = 405, allowed

    def json(self) -> Any:
        return json.loads(self.body)


class OrthancException(Exception):
    pass


@dataclass
class Sdk:
    """Stands for the module ``orthanc``."""

    configuration: dict[str, object] = field(default_factory=dict)
    ChangeType: type[ChangeType] = ChangeType
    ResourceType: type[ResourceType] = ResourceType
    OrthancException: type[OrthancException] = OrthancException

    def __post_init__(self) -> None:
        self.log: list[str] = []
        self._routes: dict[str, Callable[..., None]] = {}
        self._on_change: Callable[[Any, Any, str], None] | None = None

    def GetConfiguration(self) -> str:
        return json.dumps(self.configuration)

    def LogError(self, text: str) -> None:
        self.log.append(text)

    def LogWarning(self, text: str) -> None:
        self.log.append(text)

    def RegisterRestCallback(self, pattern: str, callback: Callable[..., None]) -> None:
        assert pattern not in self._routes
        self._routes[pattern] = callback

    def RegisterOnChangeCallback(self, callback: Callable[[Any, Any, str], None]) -> None:
        assert self._on_change is None, "Orthanc knows one"
        self._on_change = callback

    # what a test does in Orthanc's place

    def change(self, kind: ChangeType, resource_id: str = "", level: ResourceType = ResourceType.NONE) -> None:
        assert self._on_change is not None
        self._on_change(kind, level, resource_id)

    def ask(self, uri: str, method: str = "GET", body: bytes = b"", media_type: str = "") -> RestOutput:
        output = RestOutput()
        for pattern, callback in self._routes.items():
            found = re.fullmatch(pattern, uri)
            if found:
                callback(output, uri, method=method, groups=found.groups(), body=body, headers={"content-type": media_type})
                return output
        raise AssertionError(f"nothing answers {uri}")
