"""What can be wrong at a site, made wrong for real, one thing at a time; and what must be said of it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import ssl
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from doctor_cases import Clinic

from hospital.hospital import LIVE, MODEL
from hospital.network import free_port
from hospital.orthanc import BUNDLE_SCRIPT, REPOSITORY, runtime_site_packages
from vigil.domain.clock import SystemClock
from vigil.oversight.doctor.web_server import FUNCTION, LIBRARY
from vigil.records.audit import Audit
from vigil.records.entries import RESTORE
from vigil.records.ledger import Ledger
from vigil.records.sealing import Sealer
from vigil.records.state import StatePaths


@dataclass(frozen=True)
class Seeded:
    """A fault, and what must be said of it: subject, place, level, words of the finding, words of the remedy."""

    seed: Callable[[Clinic], object]
    subject: str
    where: str
    level: str
    what: str
    remedy: str


def change(of: dict[str, Any], **entries: object) -> None:
    of.update(entries)


def copied_models(clinic: Clinic) -> Path:
    clinic.models = clinic.folder / "models"
    shutil.copytree(REPOSITORY / "models", clinic.models)
    return clinic.models


def changed_model(clinic: Clinic) -> None:
    file = copied_models(clinic) / MODEL / "model.onnx"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def our_certificate(days_ago: int) -> Callable[[Clinic], None]:
    """For a web server that does not even ask for it: only its file is wrong."""
    def seed(clinic: Clinic) -> None:
        certificate, key = clinic.authority.issue("ours", days_ago=days_ago)
        certificate.with_name("both.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
        change(clinic.vigil["DicomWeb"]["archive"], ClientCertificate=str(certificate.with_name("both.pem")))
    return seed


def orthanc_s_certificate(name: str) -> Callable[[Clinic], None]:
    def seed(clinic: Clinic) -> None:
        certificate, _ = clinic.authority.issue("orthanc")
        certificate.with_name("orthanc.der").write_bytes(ssl.PEM_cert_to_DER_cert(certificate.read_text()))
        change(clinic.whole, SslEnabled=True, SslCertificate=str(certificate.with_name(name)))
        if name == "orthanc.pem":
            clinic.vigil["DicomWeb"] = {}
            clinic.clock.at -= timedelta(hours=5)  # issued an hour ago
    return seed


def site_script(clinic: Clinic, text: str) -> None:
    clinic.whole["PythonScript"] = str(clinic.write("site.py", text))


def packages_without(name: str) -> Callable[[Clinic], None]:
    def seed(clinic: Clinic) -> None:
        folder = clinic.folder / "site-packages"
        folder.mkdir()
        for item in runtime_site_packages().iterdir():
            if not item.name.lower().startswith(name) or (name == "pydicom" and item.name != "pydicom"):
                (folder / item.name).symlink_to(item)
        clinic.vigil["SitePackages"] = str(folder)
    return seed


def ledger_from_tomorrow(clinic: Clinic) -> None:
    paths = StatePaths(clinic.state)
    ledger = Ledger.open(paths.ledger_url, Sealer.open(paths.key), SystemClock())
    Audit(ledger).append("started", "installation", actor="vigil", role="system", evidence={})
    ledger.close()
    clinic.clock.at = datetime.now(UTC) - timedelta(hours=20)
    clinic.vigil["DicomWeb"] = {}


def opened_key(clinic: Clinic) -> None:
    Sealer.open(StatePaths(clinic.state).key)
    StatePaths(clinic.state).key.chmod(0o644)


def web_server_for_an_older_openssl(clinic: Clinic) -> None:
    library = clinic.libraries / "x86_64-linux-gnu" / LIBRARY
    library.parent.mkdir()
    library.write_bytes(b"ELF\0" + FUNCTION.encode() + b"\0")
    certificate, _ = clinic.authority.issue("https", days_ago=-300)
    change(clinic.whole, SslEnabled=True, SslCertificate=str(certificate))


def two_scripts(clinic: Clinic) -> None:
    clinic.write("python.json", {"PythonScript": str(BUNDLE_SCRIPT)})


def open_to_the_world(clinic: Clinic) -> None:
    change(clinic.whole, RemoteAccessAllowed=True, AuthenticationEnabled=False, SslEnabled=True)


def unit(clinic: Clinic, text: str) -> None:
    (clinic.units / "orthanc.service.d").mkdir(parents=True)
    (clinic.units / "orthanc.service").write_text(f"[Service]\n{text}")


def quick_stop(clinic: Clinic) -> None:
    unit(clinic, "TimeoutSec=1min 30s\n")
    (clinic.units / "orthanc.service.d" / "site.conf").write_text("[Service]\nTimeoutStopSec = 5\n")


def short_stable_age(clinic: Clinic, quiet_s: int = 90) -> None:
    manifest = copied_models(clinic) / MODEL / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("quiet_s: 0", f"quiet_s: {quiet_s}"))


def readable_secret(clinic: Clinic) -> None:
    secret = clinic.folder / "archive.password"
    secret.write_text("hunter2")
    secret.chmod(0o644)
    change(clinic.vigil["DicomWeb"]["archive"], Authentication={"Kind": "bearer", "SecretFile": str(secret)})


def webhook(clinic: Clinic, port: int, secret: str | None = "of the pager") -> None:
    file = clinic.folder / "pager"
    if secret is not None:
        file.write_text(secret)
        file.chmod(0o600)
    clinic.vigil["Escalation"] = {"Webhooks": {"pager": {"Url": f"http://127.0.0.1:{port}/", "SecretFile": str(file)}}}


def secret_that_is_gone(clinic: Clinic) -> None:
    webhook(clinic, clinic.peers.web_port, secret=None)


def empty_secret(clinic: Clinic) -> None:
    webhook(clinic, clinic.peers.web_port, secret="")


def parked(clinic: Clinic) -> None:
    ledger_from_tomorrow(clinic)
    clinic.clock.at = datetime.now(UTC)
    with closing(sqlite3.connect(StatePaths(clinic.state).ledger)) as database, database:
        database.execute("INSERT INTO delivery (delivery_id, destination, kind, analysis_id, revision, state, created_at, "
                         "attempts) "
                         "VALUES ('d', 'pacs', 'dicom', 'a', 0, 'parked', '2026-11-26 00:00:00', 3)")


def held_by_a_restore(clinic: Clinic) -> None:
    """One of three was acknowledged since, one is held by a person."""
    paths = StatePaths(clinic.state)
    ledger = Ledger.open(paths.ledger_url, Sealer.open(paths.key), SystemClock())
    for alert, by in (("a", RESTORE), ("b", RESTORE), ("c", "Dr. Roe")):
        ledger.put_on_hold(alert, by, datetime.now(UTC))
    ledger.close()
    with closing(sqlite3.connect(paths.ledger)) as database, database:
        for alert in "abc":
            database.execute("INSERT INTO critical_result (analysis_id, found_at, counted_from, state) VALUES (?, "
                             "'2026-11-26 00:00:00', '2026-11-26 00:00:00', 'ended')", alert)
        database.execute("INSERT INTO person_acknowledgement VALUES ('b', 'Dr. Roe', 'command', NULL, '2026-11-26 00:00:00')")


def quarantine(clinic: Clinic) -> None:
    StatePaths(clinic.state).marker.with_name("crashes.json").write_text(json.dumps({MODEL: 2}))


def parked_nowhere(clinic: Clinic) -> None:
    clinic.vigil["StateDirectory"] = str(clinic.folder / "etc" / "orthanc.json" / "state")


def second_address_is_dead(clinic: Clinic) -> None:
    change(clinic.vigil["Ris"]["ris"], Second={"Host": "127.0.0.1", "Port": free_port()})


FAULTS = {
    "a closed port of the PACS": Seeded(
        lambda it: change(it.vigil["Pacs"]["pacs"], Port=free_port()),
        "pacs", "pacs", "error", "cannot be reached", "Check host and port"),
    "a wrong AE title": Seeded(
        lambda it: (change(it.vigil["Pacs"]["pacs"], Aet="PASC"), change(it.whole["DicomModalities"]["pacs"], AET="PASC")),
        "pacs", "pacs", "error", "does not know 'PASC'", "correct 'aet'"),
    "a closed port of the RIS": Seeded(
        lambda it: change(it.vigil["Ris"]["ris"], Port=free_port()),
        "ris", "ris", "error", "nobody listens on this port", "Check host and port"),
    "a second address of the RIS that is dead": Seeded(
        second_address_is_dead, "ris", "ris", "error", "nobody listens on this port", "Check host and port"),
    "a DICOMweb server that is not there": Seeded(
        lambda it: change(it.vigil["DicomWeb"]["archive"], Url=f"http://127.0.0.1:{free_port()}/"),
        "dicomweb", "archive", "error", "nobody listens on this port", "Check host and port"),
    "an expired certificate of ours": Seeded(
        our_certificate(3), "certificate", "Vigil.DicomWeb.archive.ClientCertificate", "error", "expired on", "renew it"),
    "a certificate of ours that expires soon": Seeded(
        our_certificate(0), "certificate", "Vigil.DicomWeb.archive.ClientCertificate", "warning", "expires on", "renew it"),
    "a certificate that is not valid yet": Seeded(
        orthanc_s_certificate("orthanc.pem"), "certificate", "SslCertificate", "error", "is not valid before", "check the clock"),
    "a certificate that is not there": Seeded(
        orthanc_s_certificate("gone.pem"), "certificate", "SslCertificate", "error", "cannot be read (No such file",
        "put the file there"),
    "a certificate in another form": Seeded(
        orthanc_s_certificate("orthanc.der"), "certificate", "SslCertificate", "error", "no certificate in PEM", "openssl x509"),
    "changed bytes of a model": Seeded(
        changed_model, "models", MODEL, "error", "model.onnx", "install the package again"),
    "a model that is not installed": Seeded(
        lambda it: change(it.vigil["Models"], absent={"Stage": "shadow"}),
        "models", "absent", "error", "not installed", "put its package"),
    "a model in quarantine": Seeded(
        quarantine, "models", MODEL, "error", "in quarantine", f"vigil models release {MODEL}"),
    "a GPU that was asked for and is not had": Seeded(
        lambda it: change(it.vigil, Runtime={"Provider": "cuda", "AllowCpuFallback": True}),
        "models", MODEL, "error", "CUDA was asked for (Runtime.Provider), and its session is ONNX Runtime", "nvidia-smi"),
    "a clock that went back": Seeded(
        ledger_from_tomorrow, "clock", "this machine", "error", "the clock went back", "timedatectl set-ntp true"),
    "a clock that another server does not share": Seeded(
        lambda it: change(it.__dict__, clock=type(it.clock)(it.clock.at + timedelta(minutes=47))),
        "clock", "this machine", "warning", "47 minutes ahead of DICOMweb 'archive'", "one time service"),
    "a clock that nobody keeps": Seeded(
        lambda it: change(it.__dict__, synchronised=False), "clock", "this machine", "warning", "no time service", "chrony"),
    "a missing library": Seeded(
        packages_without("pynetdicom"), "libraries", "pynetdicom", "error", "is missing in", "install the bundle again"),
    "packages that are not there": Seeded(
        lambda it: change(it.vigil, SitePackages=str(it.folder / "python3.13")),
        "libraries", "python3.13", "error", "is not there", "for the Python that Orthanc embeds"),
    "two scripts": Seeded(
        two_scripts, "settings", "PythonScript", "error", "is defined twice, the second time in", "keep one of both"),
    "a site's script that never calls Vigil": Seeded(
        lambda it: site_script(it, "import orthanc\n"), "settings", "PythonScript", "error", "never calls", "host.entry.install"),
    "a callback that locks Orthanc up": Seeded(
        lambda it: (site_script(it, "from vigil.host.entry import install\northanc.RegisterOnStoredInstanceCallback(stored)\n"),
                    it.whole.pop("Python")),
        "settings", "PythonScript", "error", "locks up for good", '"Python": {"AllowThreads": true}'),
    "no threads": Seeded(
        lambda it: it.whole.pop("Python"), "settings", "Python.AllowThreads", "warning", "is not true", '"AllowThreads": true'),
    "no script at all": Seeded(
        lambda it: it.whole.pop("PythonScript"), "settings", "PythonScript", "error", "does not run Vigil", "vigil_plugin.py"),
    "a misspelt key": Seeded(
        lambda it: change(it.vigil, MaxStudyAgeHuors=12), "settings", "Vigil.MaxStudyAgeHuors", "error",
        'did you mean "MaxStudyAgeHours"', "vigil config check"),
    "HTTP without authentication": Seeded(
        open_to_the_world, "settings", "AuthenticationEnabled", "error", "whoever reaches the port", "RegisteredUsers"),
    "remote access without users": Seeded(
        lambda it: change(it.whole, RemoteAccessAllowed=True, SslEnabled=True, RegisteredUsers={}),
        "settings", "RegisteredUsers", "error", 'with the password "orthanc"', 'declare users in "RegisteredUsers"'),
    "remote access in clear": Seeded(
        lambda it: change(it.whole, RemoteAccessAllowed=True, RegisteredUsers={"a": "hunter2"}),
        "settings", "SslEnabled", "warning", "cross the network in clear", '"SslCertificate"'),
    "Lua for everybody": Seeded(
        lambda it: change(it.whole, ExecuteLuaEnabled=True), "settings", "ExecuteLuaEnabled", "warning", "may run code",
        "to false"),
    "a StableAge that Orthanc does not know": Seeded(
        lambda it: change(it.whole, StableAge=0), "settings", "StableAge", "error", "1 or more", "vigil config check"),
    "a script that is not there": Seeded(
        lambda it: change(it.whole, PythonScript="/nowhere/vigil.py"), "settings", "PythonScript", "error",
        "Orthanc does not start",
        "correct the path"),
    "a Vigil that is switched off": Seeded(
        lambda it: change(it.vigil, Enabled=False), "settings", "Vigil.Enabled", "warning", "does nothing", '"Enabled" to true'),
    "a test profile in production": Seeded(
        lambda it: change(it.vigil["Ris"]["ris"], Profile={"ProcessingId": "P", "Test": True}), "settings",
        "Vigil.Ris.ris.Profile",
        "warning", "Test is true", '"ProcessingId" to "T"'),
    "a port for confirmations that nobody is asked for": Seeded(
        lambda it: change(it.vigil, CommitmentListener={"Aet": "VIGIL", "Port": 4243, "Address": "127.0.0.1"}),
        "settings", "Vigil.CommitmentListener", "warning", "no PACS is asked to confirm", '"StorageCommitment"'),
    "a StableAge that delays every answer": Seeded(
        lambda it: (short_stable_age(it, 5), change(it.vigil, Arrival={"Decode": "off"})),
        "settings", "StableAge", "warning", "every answer is that late", '"Decode" to "adaptive"'),
    "a StableAge below a model's quiet time": Seeded(
        short_stable_age, "settings", "StableAge", "warning", "waits for 90 s", 'set "StableAge" to 90'),
    "destinations without alerts": Seeded(
        lambda it: it.vigil.pop("Ris"), "settings", "Vigil.Ris", "warning", "nobody is alerted", "docs/alerts.md"),
    "a live model without a PACS": Seeded(
        lambda it: (it.vigil.pop("Pacs"), it.vigil.pop("DicomWeb")), "settings", "Vigil.Pacs", "warning", "names no PACS",
        "docs/pacs.md"),
    "a research model that alerts nobody": Seeded(
        lambda it: change(it.vigil["Models"], **{MODEL: {"Stage": "live"}}), "settings", f"Vigil.Models.{MODEL}", "warning",
        "has no AlertOverride", "who answers for it"),
    "no model": Seeded(
        lambda it: change(it.vigil, Models={}), "settings", "Vigil.Models", "warning", "nothing is analysed", '"Stage"'),
    "an operating point that the model has not": Seeded(
        lambda it: change(it.vigil["Models"], **{MODEL: LIVE | {"OperatingPoint": "keen"}}), "settings",
        f"Vigil.Models.{MODEL}.OperatingPoint", "error", "an operating point 'keen' that the model does not have", "default"),
    "a PACS that Orthanc does not know": Seeded(
        lambda it: change(it.whole, DicomModalities={}), "settings", "Vigil.Pacs.pacs", "warning", "not in Orthanc's "
        "DicomModalities",
        "add PACS"),
    "a stop by force": Seeded(
        quick_stop, "settings", "site.conf", "warning", "by force after 5 s", "TimeoutStopSec=30"),
    "a state directory of another user": Seeded(
        lambda it: unit(it, "User=daemon\n"), "state", "/state", "error", "does not belong to daemon, as whom Orthanc runs",
        "chown -R daemon:"),
    "a state directory that is a file": Seeded(
        lambda it: (it.state.rmdir(), it.state.write_text("")), "state", "/state", "error", "is no folder",
        "a folder of Vigil's own"),
    "a delivery that was parked": Seeded(
        parked, "deliveries", "parked", "warning", "1 were refused for good", "vigil deliveries resend"),
    "alerts that a restore left held": Seeded(
        held_by_a_restore, "alerts", "restore", "warning", "1 are held since a backup was put back", "vigil alerts resend"),
    "a secret that is empty": Seeded(
        empty_secret, "secrets", "SecretFile", "error", "is empty", "on one line"),
    "a webhook that is not there": Seeded(
        lambda it: webhook(it, free_port()), "webhook", "pager", "error", "nobody listens on this port", "docs/alerts.md"),
    "no Python plugin": Seeded(
        lambda it: change(it.whole, Plugins=["/nowhere"]), "versions", "Python plugin", "error", "Vigil cannot run",
        "orthanc-python"),
    "a GPU that was asked for and is missed": Seeded(
        lambda it: change(it.vigil, Runtime={"Provider": "cuda"}), "models", MODEL, "error", "the GPU was asked for",
        "nvidia-smi"),
    "a library whose files are gone": Seeded(
        packages_without("pydicom"), "libraries", "pydicom", "error", "its files are not there", "install the bundle again"),
    "a state directory that others may read": Seeded(
        lambda it: it.state.chmod(0o755), "state", "/state", "error", "open to other users (mode 0755)", "chmod 0700"),
    "a state directory in a folder that others may write": Seeded(
        lambda it: it.state.parent.chmod(0o777), "state", "/state", "error", "another folder in its place (mode 0777)",
        "chmod go-w"),
    "a state directory that is a link": Seeded(
        lambda it: it.state.symlink_to(it.state.rename(it.folder / "elsewhere")), "state", "/state", "error",
        "is a symbolic link", "name the folder itself"),
    "a state directory that cannot be": Seeded(
        parked_nowhere, "state", "orthanc.json/state", "error", "cannot be used", "the user of Orthanc may write"),
    "a sealing key that others may read": Seeded(
        opened_key, "state", "sealing.key", "error", "may be read by other users", "chmod 0600"),
    "an HTTPS of Orthanc's own that ends Orthanc": Seeded(
        web_server_for_an_older_openssl, "versions", "SslEnabled", "error", "ends Orthanc at the first HTTPS request",
        "let a proxy on this machine speak TLS"),
    "a change of the sealing key that was interrupted": Seeded(
        lambda it: Sealer.open(StatePaths(it.state).next_key), "state", "sealing.key.new", "warning", "was interrupted",
        "vigil key rotate"),
    "a ledger that is none": Seeded(
        lambda it: StatePaths(it.state).ledger.write_text("no database") and Sealer.open(StatePaths(it.state).key),
        "state", "ledger.sqlite", "error", "cannot be read", "restore the whole state directory"),
    "a ledger without its key": Seeded(
        lambda it: (ledger_from_tomorrow(it), change(it.__dict__, clock=type(it.clock)(datetime.now(UTC))),
                    StatePaths(it.state).key.unlink()),
        "state", "sealing.key", "error", "is missing beside the ledger", "restore the sealing.key"),
    "a secret that every user may read": Seeded(
        readable_secret, "secrets", "SecretFile", "error", "by every user (mode 0644)", "chmod 0600"),
    "a secret that is gone": Seeded(
        secret_that_is_gone, "secrets", "SecretFile", "error", "cannot be read (No such file", "mode 0600"),
}
