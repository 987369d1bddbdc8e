"""A RIS in small: receives HL7 over MLLP with python-hl7, keeps what came, and answers as it is told.

``python -m hospital.ris --port P --folder DIR --answer AA`` as a process of its own; :class:`Ris` starts and stops one.
The file ``answer`` in the folder is read again at every message, so that the RIS can change its mind.
"""

# python-hl7 has no type annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import hl7
from hl7.mllp import HL7StreamReader, HL7StreamWriter, InvalidBlockError, start_hl7_server

ANSWERS = {
    "AA": "accept",
    "AE": "answer with an application error",
    "AR": "reject",
    "CA": "commit, in enhanced mode, and say no more",
    "CE": "answer with a commit error",
    "CR": "reject the commit",
    "CA-AA": "commit, then accept, and ask that this be acknowledged",
    "CA-AE": "commit, then answer with an application error",
    "silent": "take the message and never answer",
    "wrong-id": "accept a message that nobody sent",
    "other-first": "accept a message that nobody sent, then this one",
    "bytes": "accept, one byte at a time",
    "late": "accept after two seconds",
    "close": "keep the message and close the connection without an answer",
    "accept-close": "accept, then close the connection",
    "garbage": "answer with something that is not HL7",
}
LARGEST_MESSAGE = 1 << 22


async def serve(port: int, folder: Path, answer: str, tls: ssl.SSLContext | None = None) -> None:
    """Listen on loopback until cancelled. ``port`` 0: any; the ready line names it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "answer").write_text(answer, encoding="ascii")
    received = sum(1 for _ in folder.glob("*.hl7"))

    async def serve_one(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        nonlocal received
        try:
            while True:
                block = await reader.readblock()
                message = hl7.parse(block.decode("utf-8", errors="replace"))
                if str(message.segment("MSH")(9)).startswith("ACK"):
                    (folder / f"{received:04d}.ack").write_bytes(block)
                    continue
                received += 1
                name = re.sub(r"[^A-Za-z0-9._-]", "_", str(message.segment("MSH")(10))) or "none"
                (folder / f"{received:04d}-{name}.hl7").write_bytes(block)
                how = (folder / "answer").read_text(encoding="ascii").strip()
                print(f"received {name} {how}", file=sys.stderr, flush=True)  # nobody reads the other after its first line
                await reply(writer, message, how)
        except (asyncio.IncompleteReadError, ConnectionError, InvalidBlockError):
            print("connection ended", file=sys.stderr, flush=True)
        finally:
            writer.close()

    server = await start_hl7_server(serve_one, "127.0.0.1", port, limit=LARGEST_MESSAGE, ssl=tls)
    print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


async def reply(writer: HL7StreamWriter, message: hl7.Message, how: str) -> None:
    """Answer one message as told; raises ConnectionAbortedError where told to close."""
    if how == "silent":
        return
    if how == "close":
        raise ConnectionAbortedError
    if how == "garbage":
        writer.writeblock(b"HTTP/1.1 400 Bad Request")
        await writer.drain()
        return
    code = how if how in ("AE", "AR", "CA", "CE", "CR") else "AA"
    if how.startswith("CA-"):
        writer.writeblock(str(message.create_ack("CA")).encode())
        await writer.drain()
        await asyncio.sleep(0.3)
        code = how.removeprefix("CA-")
    acknowledgement = message.create_ack(code)
    if code not in ("AA", "CA"):
        acknowledgement.segment("MSA").assign_field("told to refuse", 3)
    if how == "CA-AA":
        acknowledgement.segment("MSH").assign_field("AL", 15)
    if how == "late":
        await asyncio.sleep(2)
    if how in ("wrong-id", "other-first"):
        other = message.create_ack("AA")
        other.segment("MSA").assign_field("SOMEBODY-ELSE", 2)
        writer.writeblock(str(other).encode())
    if how == "bytes":
        for byte in b"\x0b" + str(acknowledgement).encode() + b"\x1c\x0d":
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.002)
    elif how != "wrong-id":
        writer.writeblock(str(acknowledgement).encode())
    await writer.drain()
    if how == "accept-close":
        raise ConnectionAbortedError


@dataclass(frozen=True)
class Certificates:
    """PEM files of a RIS that speaks TLS; with ``client_authority`` it asks for a client certificate."""

    certificate: Path
    key: Path
    client_authority: Path | None = None


class Ris:
    """A RIS in its own process on a free port of loopback."""

    def __init__(
        self, folder: Path, answer: str = "AA", port: int = 0, certificates: Certificates | None = None
    ) -> None:
        self.folder = folder
        self.port = port
        self._answer = answer
        self._certificates = certificates
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Ris:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start, on the port it had before where it was started before."""
        scripts = Path(__file__).resolve().parents[1]
        command = [sys.executable, "-m", "hospital.ris", "--port", str(self.port), "--folder", str(self.folder)]
        command += ["--answer", self._answer]
        if self._certificates is not None:
            command += ["--certificate", str(self._certificates.certificate), "--key", str(self._certificates.key)]
            if self._certificates.client_authority is not None:
                command += ["--client-authority", str(self._certificates.client_authority)]
        if threading.current_thread() is threading.main_thread():
            command = ["setpriv", "--pdeathsig", "KILL", "--", *command]  # ends with this process, even when that is killed
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "ris.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "PYTHONPATH": str(scripts)}
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().split()
        if len(line) != 2 or line[0] != "ready":
            raise RuntimeError(f"the RIS did not start; see {self.folder / 'ris.log'}")
        self.port = int(line[1])

    def stop(self) -> None:
        """End the process; what it received stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def answer(self, how: str) -> None:
        """From the next message on."""
        self._answer = how
        pending = self.folder / "answer.new"
        pending.write_text(how, encoding="ascii")
        pending.replace(self.folder / "answer")

    def received(self) -> list[Path]:
        """The messages, in the order in which they came."""
        return sorted(self.folder.glob("*.hl7"))

    def wait_for_accept(self, timeout_s: float = 10.0) -> hl7.Message:
        """The first acknowledgement that came for one of its own."""
        deadline = time.monotonic() + timeout_s
        while not (found := sorted(self.folder.glob("*.ack"))) and time.monotonic() < deadline:
            time.sleep(0.02)
        message: hl7.Message = hl7.parse(found[0].read_bytes().decode())
        return message

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[Path]:
        deadline = time.monotonic() + timeout_s
        while len(self.received()) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.received()


def _tls(certificate: Path | None, key: Path | None, client_authority: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if client_authority is not None:
        context.load_verify_locations(client_authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def main() -> None:
    parser = argparse.ArgumentParser(prog="hospital.ris", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--answer", choices=ANSWERS, default="AA")
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--client-authority", type=Path)
    options = parser.parse_args()
    tls = _tls(options.certificate, options.key, options.client_authority)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, options.folder, options.answer, tls))


if __name__ == "__main__":
    main()
