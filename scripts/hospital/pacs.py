"""A PACS in small: dcmtk's storescp on loopback with a folder of its own, and nodes that misbehave."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from hospital.network import free_port


class Pacs:
    """storescp, or another dcmtk receiver, in a process of its own.

    ``unique_names``: a file for every object that arrives, also for one that arrives twice, so that repeats can be
    counted. ``options``: further options of storescp, for example ``("--refuse",)``.
    """

    def __init__(
        self, folder: Path, *, aet: str = "PACS", port: int = 0, unique_names: bool = False,
        options: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.aet = aet
        self.port = port
        self._unique_names = unique_names
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def command(self) -> list[str]:
        names = ["--unique-filenames"] if self._unique_names else []
        return [
            "storescp", "-dhl", "--promiscuous", "--aetitle", self.aet, "--output-directory", str(self.folder),
            *names, *self._options, str(self.port),
        ]

    def start(self) -> None:
        """Start and wait until the port answers; again on the same port after a stop."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"the PACS did not start; see {self.folder}.log")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """Stop the process where it stands: its kernel still takes connections and bytes, nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def objects(self) -> list[Path]:
        """Every object that was stored, by file name."""
        return sorted(path for path in self.folder.iterdir() if path.is_file())


class ChoosyPacs(Pacs):
    """storescp that takes what it is told to take: names of SOP classes, each with the names of its transfer syntaxes, as
    dcmtk writes both."""

    def __init__(self, folder: Path, *, takes: Mapping[str, tuple[str, ...]], aet: str = "CHOOSY", port: int = 0) -> None:
        super().__init__(folder, aet=aet, port=port)
        self._takes = takes

    def command(self) -> list[str]:
        lists = sorted(set(self._takes.values()))
        lines = ["[[TransferSyntaxes]]"]
        for number, syntaxes in enumerate(lists):
            lines += [f"[List{number}]", *(f"TransferSyntax{place} = {name}" for place, name in enumerate(syntaxes, 1))]
        lines += ["[[PresentationContexts]]", "[Contexts]"]
        lines += [f"PresentationContext{place} = {sop_class}\\List{lists.index(syntaxes)}"
                  for place, (sop_class, syntaxes) in enumerate(self._takes.items(), 1)]
        lines += ["[[Profiles]]", "[Choosy]", "PresentationContexts = Contexts"]
        profile = self.folder.parent / f"{self.folder.name}.cfg"
        profile.write_text("\n".join(lines) + "\n", encoding="ascii")
        return ["storescp", "-dhl", "--aetitle", self.aet, "--unique-filenames", "--output-directory", str(self.folder),
                "--config-file", str(profile), "Choosy", str(self.port)]


class ArchivePacs(Pacs):
    """dcmqrscp, which knows its own title and its peers and rejects others, as real PACS do."""

    def __init__(self, folder: Path, *, aet: str = "ARCHIVE", peers: tuple[str, ...] = ("VIGIL",), port: int = 0) -> None:
        super().__init__(folder, aet=aet, port=port)
        self._peers = peers

    def command(self) -> list[str]:
        # It compares with the name that the address resolves to, which a system without /etc/hosts has not.
        hosts = ("localhost", "127.0.0.1")
        peers = ", ".join(f"({peer}, {host}, {free_port()})" for peer in self._peers for host in hosts)
        configuration = self.folder.parent / f"{self.folder.name}.cfg"
        configuration.write_text(
            f"NetworkTCPPort = {self.port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
            "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{self.aet} {self.folder} RW (200, 1024mb) {peers}\nAETable END\n",
            encoding="ascii",
        )
        return ["dcmqrscp", "-c", str(configuration)]

    def objects(self) -> list[Path]:
        return sorted(self.folder.glob("*.dcm"))


class SilentNode:
    """A node that takes TCP connections and never says a word."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for connection in self._connections:
            connection.close()

    @property
    def connections(self) -> int:
        """How many were taken so far."""
        return len(self._connections)

    def _accept(self) -> None:
        while True:
            try:
                self._connections.append(self._listener.accept()[0])
            except OSError:
                return
