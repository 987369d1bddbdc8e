"""A real Orthanc in a folder of its own, that can be started, killed, stopped and asked.

Run it inside :mod:`hospital.network`: Orthanc's ports bind to every interface.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hospital.approving import approve_installed
from hospital.network import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
BUNDLE_SCRIPT = REPOSITORY / "plugin" / "vigil_plugin.py"
RUNTIME = REPOSITORY / "build" / "venv-runtime"
PLUGIN_FOLDERS = (
    Path("/usr/share/orthanc/plugins"),
    Path("/usr/lib/orthanc/plugins"),
    Path("/usr/local/share/orthanc/plugins"),
)
BINARIES = (Path("/usr/sbin/Orthanc"), Path("/usr/local/sbin/Orthanc"), Path("/usr/bin/Orthanc"))
ABORTS_SINCE = (1, 13)


class OrthancDidNotStart(Exception):
    """Orthanc ended, or did not answer in time."""


class OrthancNotReady(Exception):
    """Orthanc answers, and the bundle in it does not say that it is ready."""


class OrthancDidNotStop(Exception):
    """Orthanc was asked to stop (SIGTERM) and did not in time."""


class OrthancEnded(ConnectionError):
    """Orthanc is gone: it ended by itself, or was killed."""


class OrthancRefused(Exception):
    """Orthanc answered a request with an error."""

    def __init__(self, method: str, path: str, status: int, body: bytes) -> None:
        super().__init__(f"{method} {path} was answered {status}: {body[:300].decode('utf-8', 'replace')}")
        self.status = status
        self.body = body

    def said(self) -> str:
        """What the bundle says is missing, or the whole answer where it says nothing of the kind."""
        with suppress(ValueError, KeyError, TypeError):
            return "; ".join(json.loads(self.body)["missing"])
        return str(self)


@dataclass(frozen=True)
class Stopped:
    """How Orthanc ended: exit code (negative: the signal that ended it) and how long that took."""

    exit_code: int
    seconds: float
    aborts_at_its_end: bool = False

    @property
    def in_order(self) -> bool:
        """Orthanc 1.13.0 with Python 3.14 aborts, or now and then ends in a segfault, in the interpreter's finalization,
        when everything is stored and closed: that version is judged by what is in its store."""
        return self.exit_code == 0 or (
            self.aborts_at_its_end and self.exit_code in (-signal.SIGABRT, -signal.SIGSEGV))


class Orthanc:
    """One Orthanc. Its folder holds the configuration, the storage, the log and, with the bundle, Vigil's state; so a
    second start continues where the first one ended.

    ``script``: the Python script that Orthanc runs (the bundle's own by default, None: a plain Orthanc).
    ``vigil``: entries of the "Vigil" section, laid over the defaults; ``configuration``: entries of the whole.
    ``approve``: whether what lies in Vigil's ModelsDirectory at a start is approved before it, as a person would; tests of
    approval itself say no. ``tls``: whom to trust, where ``configuration`` says that Orthanc speaks HTTPS;
    ``user``: as whom to ask, with the password.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "ORTHANC",
        script: Path | None = BUNDLE_SCRIPT,
        vigil: Mapping[str, object] | None = None,
        configuration: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        stable_age_s: int = 1,
        plugins: Sequence[str] = ("OrthancDicomWeb",),
        verbose: bool = False,
        approve: bool = True,
        tls: ssl.SSLContext | None = None,
        user: tuple[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.name = name
        self.aet = name
        self.script = script
        self.vigil: dict[str, object] = dict(vigil or {})
        self.extra: dict[str, object] = dict(configuration or {})
        self.environment = dict(environment or {})
        self.stable_age_s = stable_age_s
        self.plugins = tuple(plugins)
        self.verbose = verbose
        self.approve = approve
        self.tls = tls
        self.user = user
        self.http_port = free_port()
        self.dicom_port = free_port()
        self.log_path = folder / "orthanc.log"
        self.configuration_path = folder / "orthanc.json"
        self.version: tuple[int, ...] = ()
        """Of Orthanc, known once it has answered."""
        self._process: subprocess.Popen[bytes] | None = None

    # life

    def start(self, timeout_s: float = 60) -> Self:
        """Starts Orthanc and waits until its REST API answers with our name."""
        if self.running:
            raise OrthancDidNotStart(f"{self.name} runs already (process {self.pid}).")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.configuration_path.write_text(json.dumps(self.configuration(), indent=2) + "\n")
        models = self.vigil.get("ModelsDirectory")
        if self.script and self.approve and isinstance(models, str):
            approve_installed(Path(models), self.folder / "vigil")
        command = [str(_first(BINARIES, "Orthanc")), str(self.configuration_path)]
        if self.verbose:
            command.insert(1, "--verbose")
        if threading.current_thread() is threading.main_thread():
            # Ends with this process, even when that is killed. (Linux ties it to the thread that started it.)
            command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=_service_environment() | self.environment,
                start_new_session=True,  # a person's Ctrl-C reaches us, and we stop Orthanc in order
            )
        self._wait_for_system(timeout_s)
        return self

    def wait_ready(self, timeout_s: float = 60) -> dict[str, Any]:
        """Waits until the bundle says that it is ready, and returns its answer."""
        last: object = "no answer"
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self._insist_alive()
            try:
                answer = self.get("/vigil/health/ready")
            except OrthancRefused as refusal:
                last = refusal.said()
            except OSError as error:
                last = error
            else:
                return dict(answer)
            time.sleep(0.05)
        raise OrthancNotReady(f"Vigil in {self.name} is not ready after {timeout_s:g} s: {last}. Log: {self.log_path}")

    def kill(self) -> None:
        """SIGKILL: what is not on disk is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self, timeout_s: float = 30) -> Stopped:
        """SIGTERM, as a service manager stops it.

        Raises:
            OrthancDidNotStop: after ``timeout_s``; it is still running then.
        """
        if self._process is None:
            raise OrthancDidNotStop(f"{self.name} does not run.")
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            exit_code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise OrthancDidNotStop(
                f"{self.name} still runs {timeout_s:g} s after SIGTERM. Log: {self.log_path}"
            ) from None
        self._process = None
        return Stopped(exit_code, time.monotonic() - begun, aborts_at_its_end=self.version >= ABORTS_SINCE)

    def restart(self, timeout_s: float = 60) -> Self:
        """Stops Orthanc in order, if it runs, and starts it again on the same folder and ports."""
        if self.running:
            self.terminate()
        return self.start(timeout_s)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise OrthancDidNotStart(f"{self.name} does not run.")
        return self._process.pid

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    # questions

    def get(self, path: str) -> Any:
        """GET, the answer parsed as JSON."""
        return json.loads(self.request("GET", path))

    def get_bytes(self, path: str) -> bytes:
        return self.request("GET", path)

    def post(self, path: str, body: object = None) -> Any:
        """POST of bytes as they are, or of anything else as JSON; the answer parsed as JSON where there is one."""
        answer = self.request("POST", path, body if isinstance(body, bytes) else json.dumps(body).encode())
        return json.loads(answer) if answer.strip() else None

    def delete(self, path: str) -> None:
        self.request("DELETE", path)

    def request(self, method: str, path: str, body: bytes | None = None, timeout_s: float = 30) -> bytes:
        """One request on a connection of its own.

        Raises:
            OrthancRefused: for every status that is not 2xx.
            OSError: when Orthanc cannot be reached or lets go of the connection.
        """
        connection = (
            http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=timeout_s) if self.tls is None
            else http.client.HTTPSConnection("127.0.0.1", self.http_port, timeout=timeout_s, context=self.tls))
        try:
            connection.request(method, path, body, self._headers())
            response = connection.getresponse()
            content = response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{self.name} broke off its answer to {method} {path}: {error!r}") from error
        except OSError as error:
            if self._process is not None and self._process.poll() is not None:
                code = self._process.returncode
                raise OrthancEnded(
                    f"{self.name} ended by itself with exit code {code}. Log: {self.log_path}"
                ) from error
            raise
        finally:
            connection.close()
        if not 200 <= response.status < 300:
            raise OrthancRefused(method, path, response.status, content)
        return content

    def _headers(self) -> dict[str, str]:
        if self.user is None:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(":".join(self.user).encode()).decode("ascii")}

    def studies(self) -> list[str]:
        """The Orthanc ids of the studies."""
        return list(self.get("/studies"))

    def instances(self, study: str | None = None) -> list[dict[str, Any]]:
        """The instances (of one study), as Orthanc describes them: ID, FileSize, MainDicomTags ..."""
        return list(self.get(f"/studies/{study}/instances" if study else "/instances?expand"))

    def labels(self, study: str) -> list[str] | None:
        """The labels of a study; None where this Orthanc knows none (before 1.12.0)."""
        found = self.get(f"/studies/{study}").get("Labels")
        return None if found is None else sorted(found)

    def log_text(self) -> str:
        """What Orthanc wrote since its first start."""
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    # what it is started with

    def configuration(self) -> dict[str, object]:
        """The configuration file's content."""
        plugins = [*self.plugins, *(["OrthancPython"] if self.script else [])]
        whole: dict[str, object] = {
            "Name": self.name,
            "DicomAet": self.aet,
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "StableAge": self.stable_age_s,
            "Plugins": [str(plugin_path(name)) for name in plugins],
            # Requests come from loopback only, also through a relay.
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "ExecuteLuaEnabled": False,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowEcho": True,
            "DicomCheckCalledAet": False,
        }
        if self.script:
            whole["PythonScript"] = str(self.script)
            whole["Python"] = {"AllowThreads": True}
            whole["Vigil"] = self._vigil_section()
        return whole | self.extra

    def _vigil_section(self) -> dict[str, object]:
        section: dict[str, object] = {"SchemaVersion": 1, "StateDirectory": str(self.folder / "vigil")}
        section["SitePackages"] = str(runtime_site_packages())
        return section | self.vigil

    def _wait_for_system(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self._insist_alive()
            with suppress(OSError, OrthancRefused):
                system = self.get("/system")
                if system.get("Name") == self.name:
                    self.version = version_of(system.get("Version", ""))
                    return
            time.sleep(0.05)
        self.kill()
        raise OrthancDidNotStart(f"{self.name} did not answer within {timeout_s:g} s. Log: {self.log_path}")

    def _insist_alive(self) -> None:
        if self._process is None or self._process.poll() is not None:
            code = self._process.returncode if self._process else None
            last_lines = "\n".join(self.log_text().splitlines()[-12:])
            raise OrthancDidNotStart(f"{self.name} ended with exit code {code}. Log: {self.log_path}\n{last_lines}")


def _service_environment() -> dict[str, str]:
    """The environment without what would reach into the embedded Python: a service manager sets none of it."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}


def version_of(text: str) -> tuple[int, ...]:
    """``1.12.7`` as numbers; a word in it, as in a development version, counts nothing."""
    return tuple(int(part) for part in text.split(".") if part.isdecimal())


def plugin_path(name: str) -> Path:
    """Where the distribution put ``lib<name>.so``."""
    return _first([folder / f"lib{name}.so" for folder in PLUGIN_FOLDERS], f"Orthanc's plugin lib{name}.so")


def runtime_site_packages() -> Path:
    """The packages that Orthanc's Python is given (made by ``scripts/setup``)."""
    found = sorted(RUNTIME.glob("lib/python3.*/site-packages"))
    return _first(found, "build/venv-runtime")


def _first(candidates: Sequence[Path], what: str) -> Path:
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise OrthancDidNotStart(f"{what} was not found. Run scripts/setup.")
