"""What comes back: MLLP blocks out of a stream of bytes, and the acknowledgement (MSA) in one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from vigil.delivery.errors import ProtocolError

START, END, CARRIAGE_RETURN = b"\x0b", b"\x1c", b"\x0d"
LARGEST_BLOCK = 1 << 20
"""An acknowledgement has a few hundred bytes; a megabyte without an end is not MLLP."""
CODES = frozenset({"AA", "AE", "AR", "CA", "CE", "CR"})


@dataclass(frozen=True)
class Acknowledgement:
    """The receiver's answer to one message. ``AA`` and ``CA``: the *receiver* accepted it; no person has seen it.

    ``text`` is the receiver's own (MSA-3, or the first ERR segment) and may quote the message: not for logs. ``receiver``:
    the address that answered. ``own_id`` (MSH-10) and ``asks_for_accept`` (MSH-15 ``AL``): of the answer itself, which an
    enhanced receiver may want to be answered too.
    """

    code: str
    text: str
    control_id: str
    receiver: str = ""
    own_id: str = ""
    asks_for_accept: bool = False

    @property
    def accepted(self) -> bool:
        return self.code in {"AA", "CA"}

    @property
    def rejected(self) -> bool:
        """AR and CR: refused as such (version, type, processing id), so that a repeat alone seldom helps."""
        return self.code in {"AR", "CR"}


class BlockReader:
    """Collects bytes, however the network cut them, and gives whole blocks without their frame."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def pending(self) -> bool:
        """Whether a block has begun and not ended."""
        return bool(self._bytes)

    def feed(self, received: bytes) -> list[bytes]:
        self._bytes += received
        blocks: list[bytes] = []
        while True:
            start = self._bytes.find(START)
            if start < 0:
                self._bytes.clear()  # bytes between blocks mean nothing (the CR of the last block's end among them)
                return blocks
            end = self._bytes.find(END, start)
            if end < 0:
                if len(self._bytes) > LARGEST_BLOCK:
                    raise ProtocolError("the receiver sends a block without an end: this is not an MLLP port")
                return blocks
            blocks.append(bytes(self._bytes[start + 1 : end]))
            del self._bytes[: end + 1]


def parse_acknowledgement(block: bytes) -> Acknowledgement:
    """Read MSA (and ERR). Only ASCII is looked for, so the character set does not matter.

    Raises
    ------
    ProtocolError
        No MSH or MSA, or no acknowledgement code of HL7 table 0008.
    """
    text = block.decode("utf-8", errors="replace").replace("\n", "\r")
    segments = [line for line in text.split("\r") if line.strip()]
    if not segments or not segments[0].startswith("MSH") or len(segments[0]) < 8:
        raise ProtocolError("the receiver answered with something that is not HL7 (no MSH segment)")
    separator = segments[0][3]
    message: dict[str, list[str]] = {}
    for line in segments:
        fields = line.split(separator)
        message.setdefault(fields[0], fields)
    msa = message.get("MSA", []) + [""] * 4
    code = msa[1].strip().upper()
    if code not in CODES:
        raise ProtocolError("the receiver answered with HL7 that is no acknowledgement (MSA-1 is none of table 0008)")
    words = msa[3].strip() or " ".join(part for part in message.get("ERR", [])[1:] if part).strip()
    header = [*message["MSH"], *[""] * 15]  # MSH-1 is the separator itself: field n stands at place n - 1
    return Acknowledgement(
        code=code, text=words[:500], control_id=msa[2].strip(), own_id=header[9].strip(),
        asks_for_accept=code.startswith("A") and header[14].strip().upper() == "AL")


def accept(answer: Acknowledgement, at: datetime) -> bytes:
    """The accept acknowledgement (CA) of an application's acknowledgement. Its id comes from the one that it answers."""
    identifier = re.sub(r"[^A-Za-z0-9._-]", "", answer.own_id)
    lines = (f"MSH|^~\\&|VIGIL||||{at:%Y%m%d%H%M%S%z}||ACK|CA{identifier[:18]}|P|2.5.1", f"MSA|CA|{identifier}")
    return ("\r".join(lines) + "\r").encode("ascii")
