"""A site before Vigil: a host's pristine root file system, with the Orthanc that Debian ships and a script of the site's own."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from hospital.host_root import Bind, PrivateRoot

VERSIONS = ("0.1.0", "0.1.1")
"""Of the two bundles that tests install: the version that is there, and the next."""
SCRIPT = """\
import json
import orthanc

seen = {}


def on_change(change, level, resource):
    seen[str(change)] = seen.get(str(change), 0) + 1


def hello(output, uri, **request):
    output.AnswerBuffer(json.dumps({"site": "runs", "changes": sum(seen.values())}), "application/json")


orthanc.RegisterOnChangeCallback(on_change)
orthanc.RegisterRestCallback("/site/hello", hello)
"""


class Site:
    """``bundles``: unpacked bundles that are seen under /media, by name."""

    def __init__(self, host: str, folder: Path, bundles: Mapping[str, Path]) -> None:
        self.folder = folder
        self.root = PrivateRoot(
            host, folder / "private", binds=[Bind(path, Path("/media") / name) for name, path in bundles.items()]
        )
        self.down_s: list[float] = []
        self._orthanc: subprocess.Popen[bytes] | None = None

    def open(self) -> Site:
        self.root.open()
        self.root.path("/etc/orthanc/sample.py").write_text(SCRIPT)
        main = self.root.path("/etc/orthanc/orthanc.json")
        text = main.read_text()
        for key, value in (("StableAge", "2"), ("DicomAlwaysAllowStore", "true"), ("AuthenticationEnabled", "false")):
            text = _set(text, key, value)
        main.write_text(text)
        return self

    def close(self) -> None:
        self.root.close()

    # Orthanc, as its service runs it

    def start(self) -> None:
        log = (self.folder / "orthanc.log").open("ab")
        with log:
            self._orthanc = self.root.popen(["Orthanc", "/etc/orthanc"], user="orthanc:orthanc", stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(OSError):
                self.get("/system")
                return
            assert self._orthanc.poll() is None, self.log()[-3000:]
            time.sleep(0.05)
        raise AssertionError(self.log()[-3000:])

    def stop(self) -> None:
        assert self._orthanc is not None
        self._orthanc.send_signal(signal.SIGTERM)
        self._orthanc.wait(60)

    def restart(self) -> None:
        begun = time.monotonic()
        self.stop()
        self.start()
        self.down_s.append(time.monotonic() - begun)

    def log(self) -> str:
        return (self.folder / "orthanc.log").read_text("utf-8", "replace")

    def get(self, path: str) -> Any:
        with urlopen(f"http://127.0.0.1:8042{path}", timeout=30) as answer:
            return json.load(answer)

    def health(self) -> dict[str, Any]:
        try:
            return dict(self.get("/vigil/health/ready"))
        except HTTPError as error:
            return dict(json.load(error))

    def runs_release(self, version: str) -> bool:
        """Whether the libraries of this release, and of no other, are loaded in the running Orthanc."""
        assert self._orthanc is not None
        loaded = set(re.findall(r"/opt/vigil/releases/([^/]+)/", Path(f"/proc/{self._orthanc.pid}/maps").read_text()))
        return loaded == {version}

    # the site's files

    def install(self, *arguments: str, bundle: str = "vigil", check: bool = True) -> subprocess.CompletedProcess[str]:
        program = "/opt/vigil/current/install" if bundle == "" else f"/media/{bundle}/install"
        done = self.root.run([program, *arguments, "--user", "orthanc"], check=False, timeout_s=280)
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def configuration(self) -> dict[str, tuple[int, int, int, str]]:
        """Every file of Orthanc's configuration: mode, owner, group, checksum."""
        return {
            path.name: (
                path.stat().st_mode,
                path.stat().st_uid,
                path.stat().st_gid,
                hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for path in sorted(self.root.path("/etc/orthanc").iterdir())
        }

    def files(self) -> set[str]:
        """What lies where Vigil would put something."""
        return {
            f"{folder}/{path.relative_to(self.root.path(folder))}"
            for folder in ("/opt", "/var/lib", "/etc/orthanc")
            for path in self.root.path(folder).rglob("*")
            if not path.relative_to(self.root.path(folder)).as_posix().startswith("orthanc/db")
        }

    def attachments(self) -> dict[str, str]:
        """Each instance's file in Orthanc, by its id: the checksum that Orthanc keeps."""
        found = {}
        for instance in self.get("/instances"):
            with urlopen(f"http://127.0.0.1:8042/instances/{instance}/file", timeout=30) as answer:
                found[instance] = hashlib.sha256(answer.read()).hexdigest()
        return found


def _set(text: str, key: str, value: str) -> str:
    from installer import jsonc

    return jsonc.with_value(text, key, value) if jsonc.entry(text, key) else jsonc.with_first(text, f'\n  "{key}" : {value},')
