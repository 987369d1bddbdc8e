"""An Orthanc that speaks TLS alone, over HTTP and over DICOM: a study comes over DICOM TLS, its results go out over DICOM TLS,
and people and commands find everything over HTTPS. Then a new sealing key, and client certificates over HTTPS too."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import ssl
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import Dataset

from hospital.authority import Authority
from hospital.census import take_census, wait_settled
from hospital.command import vigil
from hospital.hospital import Hospital
from hospital.https import web_server_that_works
from hospital.network import free_port
from hospital.orthanc import REPOSITORY, Orthanc, OrthancDidNotStart
from hospital.pacs import Pacs
from hospital.patients import head_study
from vigil.delivery.tls import trusting
from vigil.domain.clock import SystemClock
from vigil.host.errors import OrthancUnreachable
from vigil.host.http_transport import HttpTransport
from vigil.oversight.doctor.check import Level
from vigil.oversight.doctor.examine import examine, look_around, look_at_orthanc
from vigil.oversight.doctor.site import Surroundings
from vigil.oversight.doctor.web_server import failing_library
from vigil.records.state import StatePaths

USER = ("operator", "a password of the test")
AROUND = Surroundings(SystemClock(), REPOSITORY / "models", lambda: True, ())
ANYWHERE = Surroundings(SystemClock(), REPOSITORY / "models", lambda: True, (), ())
"""Without the libraries of this machine: the Orthanc of these tests has its own."""
Files = tuple[Path, Path]


@dataclass(frozen=True)
class Secured:
    hospital: Hospital
    authority: Authority
    modality: Files

    @property
    def orthanc(self) -> Orthanc:
        return self.hospital.orthanc

    def transport(self, tls: ssl.SSLContext | None, scheme: str = "https") -> HttpTransport:
        return HttpTransport(f"{scheme}://127.0.0.1:{self.orthanc.http_port}", user=USER[0], password=USER[1], tls=tls)


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    authority = Authority(tmp_path / "certificates")
    certificate, key = authority.issue("orthanc")
    both = with_key(certificate, key)
    pacs_certificate, pacs_key = authority.issue("pacs")
    pacs = Pacs(tmp_path / "pacs", port=free_port(), unique_names=True, options=(
        "--enable-tls", str(pacs_key), str(pacs_certificate), "--add-cert-file", str(authority.file), "--require-peer-cert"))
    vigil_certificate, vigil_key = authority.issue("vigil")
    tls = {"AuthorityFile": str(authority.file), "CertificateFile": str(vigil_certificate), "KeyFile": str(vigil_key)}
    hospital = Hospital(
        tmp_path,
        vigil={"Pacs": {"pacs": {"Host": "127.0.0.1", "Port": pacs.port, "Aet": pacs.aet, "Tls": tls}}},
        configuration={
            "SslEnabled": True, "SslCertificate": str(both),
            "DicomTlsEnabled": True, "DicomTlsCertificate": str(certificate), "DicomTlsPrivateKey": str(key),
            "DicomTlsTrustedCertificates": str(authority.file),
            "AuthenticationEnabled": True, "RegisteredUsers": dict([USER]),
        })
    hospital.pacs = pacs
    hospital.orthanc.environment |= web_server_that_works(tmp_path / "civetweb")
    hospital.orthanc.user = USER
    hospital.orthanc.tls = trusting(authority.file)
    with hospital:
        yield Secured(hospital, authority, authority.issue("modality"))


def with_key(certificate: Path, key: Path) -> Path:
    """One file of both, as SslCertificate wants it."""
    both = certificate.with_suffix(".both.pem")
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


def storescu(secured: Secured, images: list[Dataset], folder: Path, *options: str) -> str:
    """What dcmtk's storescu complains of; nothing where all was stored."""
    folder.mkdir()
    for number, image in enumerate(images):
        image.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    done = subprocess.run(
        ["storescu", "--timeout", "5", "--aetitle", "CT1", "--call", secured.orthanc.aet, "--scan-directories",
         *options, "127.0.0.1", str(secured.orthanc.dicom_port), str(folder)],
        check=False, capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def over_tls(files: Files, authority: Authority) -> tuple[str, ...]:
    certificate, key = files
    return ("--enable-tls", str(key), str(certificate), "--add-cert-file", str(authority.file))


def test_a_study_and_its_results_over_tls_alone(secured: Secured, tmp_path: Path) -> None:
    images = head_study("tls")
    stranger = Authority(tmp_path / "stranger", "stranger")
    known_to_orthanc = secured.authority

    # who speaks plain DICOM, or shows a certificate of another authority, stores nothing
    for name, options in (("plain", ()), ("strange", over_tls(stranger.issue("modality"), known_to_orthanc))):
        assert "Association Request Failed" in storescu(secured, images, tmp_path / name, *options)
    assert secured.orthanc.studies() == []

    assert storescu(secured, images, tmp_path / "sent", *over_tls(secured.modality, known_to_orthanc)) == ""
    uid = str(images[0].StudyInstanceUID)
    wait_settled(secured.hospital, uid)
    take_census(secured.hospital, uid, {str(image.SOPInstanceUID) for image in images}).exactly_once()

    over_https_and_not_over_http(secured, stranger)
    commands_work(secured)
    the_state_is_its_user_s_alone(StatePaths(secured.orthanc.folder / "vigil"))
    a_new_sealing_key(secured, uid)
    client_certificates(secured)


def test_the_doctor_knows_whether_the_distribution_s_own_https_ends_orthanc_and_lets_it_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates")
    both = with_key(*authority.issue("orthanc"))
    orthanc = Orthanc(tmp_path / "plain", script=None, plugins=(),
                      configuration={"SslEnabled": True, "SslCertificate": str(both)},
                      tls=trusting(authority.file))
    try:
        orthanc.start()  # asks it
    except OrthancDidNotStart as ended:
        assert f"exit code {-signal.SIGSEGV}" in str(ended)
        works = False
    else:
        works = True
        orthanc.kill()
    assert (failing_library() is None) == works
    site, _ = look_around(orthanc.configuration_path, AROUND)
    check, = look_at_orthanc(site)
    assert ("was not asked whether it runs" in check.what) != works


def over_https_and_not_over_http(secured: Secured, stranger: Authority) -> None:
    orthanc = secured.orthanc
    for page in ("/vigil/health/ready", "/vigil/alerts", "/system", "/app/explorer.html"):
        assert orthanc.get_bytes(page)
    plain = http.client.HTTPConnection("127.0.0.1", orthanc.http_port, timeout=10)
    with pytest.raises((http.client.HTTPException, OSError)):
        plain.request("GET", "/vigil/health/live")
        assert plain.getresponse().status >= 400
        raise ConnectionError("answered by an error alone")
    plain.close()

    # the gateway from another machine: it trusts whom it is told to trust, by default the system's authorities
    assert secured.transport(orthanc.tls).get("/system")
    for tls in (None, trusting(stranger.file)):
        with pytest.raises(OrthancUnreachable, match=r"is not trusted here \(.*\); name the authority"):
            secured.transport(tls).get("/system")


def commands_work(secured: Secured) -> None:
    config = ("--config", str(secured.orthanc.configuration_path))
    assert json.loads(vigil("status", "--json", *config).stdout)["audit"]["whole"]
    told = examine(secured.orthanc.configuration_path, ANYWHERE)
    assert [check.what for check in told if check.subject == "orthanc"] == ["runs in Orthanc, and is ready"]
    assert {check.where for check in told if check.subject == "certificate" and check.level != "good"} >= {
        "SslCertificate", "DicomTlsCertificate", "Vigil.Pacs.pacs.Tls.CertificateFile"}  # they last a day


def the_state_is_its_user_s_alone(paths: StatePaths) -> None:
    everything = [paths.path, *paths.path.rglob("*")]
    assert {paths.key, paths.ledger, paths.workflows, paths.logs / "vigil.jsonl"} <= set(everything)
    assert {str(item): mode for item in everything
            if (mode := stat.S_IMODE(item.stat().st_mode)) != (0o700 if item.is_dir() else 0o600)} == {}


def a_new_sealing_key(secured: Secured, uid: str) -> None:
    """Refused while Orthanc runs. A process that died between the commit and the new file's place: Orthanc's start settles it."""
    orthanc, config = secured.orthanc, ("--config", str(secured.orthanc.configuration_path))
    paths = StatePaths(orthanc.folder / "vigil")
    refused = vigil("key", "rotate", "--by", "Ann Roe", *config)
    assert (refused.returncode, "while Orthanc is stopped: stop it" in refused.stderr) == (1, True)

    orthanc.terminate()
    old = orthanc.folder / "old.key"
    shutil.copy2(paths.key, old)
    done = json.loads(vigil("key", "rotate", "--by", "Ann Roe", "--json", *config).stdout)
    new = paths.key.read_bytes()
    assert done["resealed"] > 0
    paths.key.rename(paths.next_key)
    shutil.copy2(old, paths.key)

    certificates = Path(str(orthanc.extra["DicomTlsTrustedCertificates"]))
    orthanc.extra |= {"SslVerifyPeers": True, "SslTrustedClientCertificates": str(certificates)}
    assert orthanc.tls is not None
    orthanc.tls.load_cert_chain(*secured.modality)
    orthanc.start()
    orthanc.wait_ready()
    assert paths.key.read_bytes() == new
    assert not paths.next_key.exists()
    assert json.loads(vigil("explain", uid, "--json", *config).stdout)[0]["analyses"]
    assert json.loads(vigil("status", "--json", *config).stdout)["audit"]["whole"]


def client_certificates(secured: Secured) -> None:
    """Orthanc was started with SslVerifyPeers: without a certificate there is no answer, and the doctor says why."""
    bare = trusting(secured.authority.file)
    with pytest.raises(OrthancUnreachable):
        secured.transport(bare).get("/system")
    site, _ = look_around(secured.orthanc.configuration_path, ANYWHERE)
    check, = look_at_orthanc(site)
    assert (check.level, "without a client certificate (SslVerifyPeers)" in check.what) == (Level.WARNING, True), check
