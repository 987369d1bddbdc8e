"""The ground of every message between the two processes: what is not exactly as it must be is none."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
