"""A critical result on its way to people, in a running hospital: a mail, its link, a webhook, a second RIS, the command."""

from __future__ import annotations

import base64
import csv
import http.client
import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from hospital import modality
from hospital.authority import Authority
from hospital.census import analyses, wait_until
from hospital.ct_series import Patient
from hospital.hospital import Hospital
from hospital.mailbox import Mailbox
from hospital.network import free_port
from hospital.orthanc import REPOSITORY, RUNTIME, OrthancRefused
from hospital.pager import Pager
from hospital.patients import head_study
from hospital.ris import Ris

QUICK = {"Retry": {"FirstDelaySeconds": 0.3, "MaximumDelaySeconds": 1.0}, "Reconcile": {"IntervalSeconds": 2.0}}
PATIENT = Patient(name="Unmistakable^Zoë^Q", patient_id="UNMISTAKABLE-4711", issuer="UNMISTAKABLE-CLINIC")
ACCESSION = "UNMISTACC815"
SECRET = "unmistakable-hook-secret"
PASSWORD = "unmistakable-mail-password"
WEB_TOKEN = "unmistakable-web-token"
WEB_PASSWORD = "unmistakable-web-password"
IN_THE_ENVIRONMENT = {"VIGIL_MAIL_PASSWORD": PASSWORD, "VIGIL_WEB_PASSWORD": WEB_PASSWORD}
SECOND_STEP_MINUTES = 0.15


class Echo(ThreadingHTTPServer):
    """A web server that refuses, and says back what it was sent: what a refusal says is where a secret gets into a log."""

    daemon_threads = True

    def __init__(self) -> None:
        self.credentials: set[str] = set()
        super().__init__(("127.0.0.1", 0), _Refusal)

    def __enter__(self) -> Echo:
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Refusal(BaseHTTPRequestHandler):
    server: Echo

    def do_POST(self) -> None:
        said = self.headers.get("Authorization", "")
        self.server.credentials.add(said)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(403, f"no entry for {said}")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Site:
    hospital: Hospital
    mailbox: Mailbox
    pager: Pager
    second: Ris
    web: Echo

    def send(self, seed: str) -> str:
        """Returns the id of the alert."""
        orthanc = self.hospital.orthanc
        images = head_study(seed, patient=PATIENT, accession=ACCESSION)
        assert modality.send(images, "127.0.0.1", orthanc.dicom_port, orthanc.aet).all_stored
        uid = str(images[0].StudyInstanceUID)
        found = wait_until("an analysis", lambda: analyses(orthanc, uid))
        return str(wait_until("an alert", lambda: self._known(found[0]["analysis_id"])))

    def _known(self, alert: str) -> str | None:
        try:
            self.hospital.orthanc.get(f"/vigil/alerts/{alert}")
        except OrthancRefused:
            return None
        return alert

    def alert(self, alert: str) -> dict[str, Any]:
        return dict(self.hospital.orthanc.get(f"/vigil/alerts/{alert}"))

    def to_ris(self, alert: str) -> str | None:
        """The state of its delivery to the first RIS."""
        return next((str(item["state"]) for item in self.alert(alert)["deliveries"] if item["destination"] == "ris"), None)

    def mail_of(self, alert: str) -> str:
        return str(wait_until("the mail", lambda: [item.text for item in self.mailbox.received if alert[:12] in item.text])[0])

    def ask(self, method: str, path: str, body: object = None, media_type: str = "application/json") -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.hospital.orthanc.http_port, timeout=30)
        content = body if isinstance(body, str) or body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": media_type})
        answer = connection.getresponse()
        found = answer.status, answer.headers.get("Content-Type", ""), answer.read()
        connection.close()
        return found

    def vigil(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(RUNTIME / "bin" / "python"), "-m", "vigil", *arguments, "--config",
             str(self.hospital.orthanc.configuration_path)],
            check=False, capture_output=True, text=True, timeout=60,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY / "plugin"), "LANG": "C.UTF-8"})
        assert "Traceback" not in done.stderr
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("people")
    authority = Authority(folder / "authority")
    (folder / "secret").write_text(SECRET)
    (folder / "token").write_text(WEB_TOKEN)
    mailbox = Mailbox(starttls=authority.server_context("mail"), login=("vigil", PASSWORD))
    pager = Pager(SECRET.encode(), tls=authority.server_context("pager"))
    second = Ris(folder / "second", port=free_port())
    hospital = Hospital(folder / "hospital", vigil=QUICK)
    web = Echo()
    hospital.orthanc.environment |= IN_THE_ENVIRONMENT
    hospital.orthanc.vigil["DicomWeb"] = {
        name: {"Url": f"http://127.0.0.1:{web.server_port}/{name}", "Authentication": authentication}
        for name, authentication in {
            "by-token": {"Kind": "bearer", "SecretFile": str(folder / "token")},
            "by-password": {"Kind": "basic", "User": "vigil", "SecretEnvironment": "VIGIL_WEB_PASSWORD"}}.items()}
    ris = hospital.orthanc.vigil["Ris"]
    assert isinstance(ris, dict)
    hospital.orthanc.vigil["Ris"] = ris | {"second": {"Host": "127.0.0.1", "Port": second.port, "Profile": {"ProcessingId": "T"}}}
    hospital.orthanc.vigil["Escalation"] = {
        "LinkBase": f"http://127.0.0.1:{hospital.orthanc.http_port}",
        "Mail": {"mail": {
            "Host": "127.0.0.1", "Port": mailbox.port, "AuthorityFile": str(authority.file), "User": "vigil",
            "PasswordVariable": "VIGIL_MAIL_PASSWORD", "Sender": "vigil@hospital.example", "To": ["oncall@hospital.example"]}},
        "Webhooks": {"pager": {
            "Url": f"https://127.0.0.1:{pager.port}/in", "AuthorityFile": str(authority.file),
            "SecretFile": str(folder / "secret")}},
        "Ladders": {"Category1": [{"AfterMinutes": 0, "Tell": ["mail"]},
                                  {"AfterMinutes": SECOND_STEP_MINUTES, "Tell": ["pager", "second"]}]},
        # Neither touches category 1, or nothing of this would happen.
        "QuietHours": {"Begin": "00:00", "End": "23:59"},
        "Budget": {"Messages": 1, "PerHours": 1000, "Overflow": "withhold"},
    }
    with mailbox, pager, second, web, hospital:
        yield Site(hospital, mailbox, pager, second, web)


@pytest.fixture(scope="module")
def by_link(site: Site) -> str:
    """An alert that was acknowledged by the link in its mail, before its second step."""
    alert = site.send("by-link")
    link = re.search(r"http://\S+", site.mail_of(alert))
    assert link is not None
    path = urlsplit(link[0]).path
    for _ in range(2):  # a scanner that opens it acknowledges nothing
        status, kind, page = site.ask("GET", path)
        assert (status, kind) == (200, "text/html; charset=utf-8")
        assert b"I have received this result" in page
    assert site.alert(alert)["acknowledged"] is None
    assert b"your own name" in site.ask("POST", path, urlencode({"by": "0815"}), "application/x-www-form-urlencoded")[2]
    thanks = site.ask("POST", path, urlencode({"by": "Dr. Jörg Ito"}), "application/x-www-form-urlencoded")[2].decode()
    assert "Acknowledged. Thank you." in thanks
    assert "Dr. Jörg Ito" in thanks
    again = site.ask("POST", path, urlencode({"by": "Somebody Else"}), "application/x-www-form-urlencoded")[2].decode()
    assert "Acknowledged before" in again
    assert "Somebody" not in again
    return alert


@pytest.fixture(scope="module")
def unanswered(site: Site, by_link: str) -> str:
    """An alert that nobody acknowledged until its ladder had ended; then somebody did, by the command."""
    alert = site.send("unanswered")
    wait_until("the second step", lambda: len(site.pager.pages) >= 1 and site.second.received())
    said = site.vigil("alerts", "acknowledge", alert[:8], "--by", "Dr. Ann Roe")
    assert "received by Dr. Ann Roe" in said
    return alert


def test_a_person_acknowledges_by_the_link_and_nobody_else_is_told(site: Site, by_link: str, unanswered: str) -> None:
    found = site.alert(by_link)
    assert found["state"] == "acknowledged"
    assert {key: found["acknowledged"][key] for key in ("by", "method", "channel")} == {
        "by": "Dr. Jörg Ito", "method": "link", "channel": "mail"}
    assert [(note["step"], note["channel"], note["state"]) for note in found["notifications"]] == [(1, "mail", "sent")]
    assert {page.content["alert"] for page in site.pager.pages} == {unanswered}


def test_without_an_answer_the_ladder_is_climbed_to_its_end(site: Site, unanswered: str) -> None:
    found = site.alert(unanswered)
    assert {(note["step"], note["channel"], note["method"], note["state"]) for note in found["notifications"]} == {
        (1, "mail", "mail", "sent"), (2, "pager", "webhook", "sent"), (2, "second", "hl7", "sent")}
    assert {item["destination"]: item["state"] for item in found["deliveries"]} == {"ris": "delivered", "second": "delivered"}
    assert len(site.second.received()) == 1, "the RIS of a ladder gets what its step brings, and no other alert"
    assert site.pager.unsigned == []


def test_the_answer_of_a_webhook_may_acknowledge(site: Site, unanswered: str) -> None:
    site.pager.answer = json.dumps({"acknowledged_by": "Dr. Webb"})
    alert = site.send("by-answer")
    found = wait_until("an acknowledgement", lambda: site.alert(alert)["acknowledged"])
    assert (found["by"], found["method"], found["channel"]) == ("Dr. Webb", "webhook", "pager")


def test_lists_and_the_record_for_people_and_programs(site: Site, by_link: str, unanswered: str) -> None:
    listed = json.loads(site.vigil("alerts", "list", "--json"))
    assert {by_link, unanswered} <= {item["alert_id"] for item in listed}
    assert "Dr. Jörg Ito" in site.vigil("alerts", "list")
    shown = site.vigil("alerts", "show", by_link[:12])
    for words in ("category 1, acknowledged", "HL7 to ris: delivered", "step 1, mail by mail: sent", "received by Dr. Jörg Ito"):
        assert words in shown
    rows = [row for row in csv.DictReader(io.StringIO(site.vigil("alerts", "export", "--csv"))) if row["alert"] == unanswered]
    assert {row["finding"] for row in rows} == {"Hyperdense intracranial region"}
    assert [(row["told_to"], row["method"], row["outcome"], row["received_by"]) for row in rows][-1] == (
        "", "command line", "received", "Dr. Ann Roe")
    assert {row["told_to"] for row in rows} == {"ris", "second", "mail", "pager", ""}
    assert json.loads(site.vigil("alerts", "export", "--json"))
    explained = json.loads(site.vigil("explain", site.alert(by_link)["study_instance_uid"], "--json"))
    events = [entry["event"] for entry in explained[0]["audit"]]
    assert events.index("critical-found") < events.index("notification-sent") < events.index("critical-acknowledged")


def test_rest_refuses_in_words_what_cannot_be_done(site: Site, by_link: str) -> None:
    assert site.ask("POST", f"/vigil/alerts/{by_link}/hold", {"by": "0815"})[0] == 400
    assert site.ask("POST", f"/vigil/alerts/{by_link}/hold", "by=Ann", "application/x-www-form-urlencoded")[0] == 415
    assert site.ask("POST", "/vigil/alerts/ffffffffff/hold", {"by": "Dr. Roe"})[0] == 404
    status, _, body = site.ask("POST", f"/vigil/alerts/{by_link}/resend", {"by": "Dr. Roe"})
    assert status == 409
    assert "nothing to send again" in json.loads(body)["error"]
    assert site.ask("GET", "/vigil/acknowledge/made-up")[2].count(b"This link does not work") == 2
    assert site.ask("GET", f"/vigil/alerts/{by_link}/hold")[0] == 405


def test_a_held_alert_waits_until_it_is_let_go_and_after_the_final_report_it_stays(site: Site, unanswered: str) -> None:
    site.pager.answer = "{}"
    site.hospital.ris.stop()
    alert = site.send("held")
    assert site.ask("POST", f"/vigil/alerts/{alert}/hold", {"by": "Dr. Roe"})[0] == 200
    wait_until("it is held", lambda: site.to_ris(alert) == "held")
    site.hospital.ris.start()
    before = len(site.hospital.ris.received())
    site.vigil("alerts", "resend", alert, "--by", "Dr. Roe")
    wait_until("it is sent", lambda: site.to_ris(alert) == "delivered")
    assert len(site.hospital.ris.received()) == before + 1
    wait_until("the ladder begins anew", lambda: site.alert(alert)["state"] == "open")
    site.vigil("alerts", "reported", alert, "--by", "Dr. Roe")
    wait_until("nobody is told any more", lambda: site.alert(alert)["state"] == "ended")
    assert "final report" in site.alert(alert)["reason"]["text"]


@pytest.fixture(scope="module")
def searched(site: Site, by_link: str, unanswered: str) -> dict[str, bytes]:
    """The state folder, the logs, the routes, the processes, what the commands say, and what people were sent. Of a process's
    environment what the site put there is left out: it is where secrets are told to Orthanc."""
    orthanc = site.hospital.orthanc
    wait_until("the web server has refused both", lambda: len(site.web.credentials) == 2)
    searched = {str(path): path.read_bytes() for path in (orthanc.folder / "vigil").rglob("*") if path.is_file()}
    assert {"ledger.sqlite", "ledger.sqlite-wal", "workflows.sqlite", "vigil.jsonl"} <= {Path(name).name for name in searched}
    searched["Orthanc's log"] = orthanc.log_path.read_bytes()
    children = [pid for path in Path(f"/proc/{orthanc.pid}/task").glob("*/children") for pid in path.read_text().split()]
    for pid in (orthanc.pid, *children):
        for told in ("cmdline", "comm", "environ"):
            found = Path(f"/proc/{pid}/{told}").read_bytes()
            for name, value in IN_THE_ENVIRONMENT.items():
                found = found.replace(f"{name}={value}".encode(), b"")
            searched[f"{told} of process {pid}"] = found
    for path in Path(f"/proc/{orthanc.pid}/task").glob("*/comm"):
        searched[f"name of thread {path.parent.name}"] = path.read_bytes()
    for route in ("/vigil/metrics", "/vigil/analyses", "/vigil/alerts", f"/vigil/alerts/{by_link}", "/vigil/health/ready",
                  "/vigil/environment"):
        searched[route] = orthanc.get_bytes(route)
    searched |= {f"mail {number}": item.content for number, item in enumerate(site.mailbox.received)}
    searched |= {f"page {number}": item.body for number, item in enumerate(site.pager.pages)}
    for command in (("alerts", "export", "--csv"), ("alerts", "show", by_link), ("status", "--json"),
                    ("config", "check", "--json"), ("deliveries", "list", "--json"),
                    ("explain", site.alert(by_link)["study_instance_uid"], "--json")):
        searched[f"vigil {' '.join(command[:2])}"] = site.vigil(*command).encode()
    links = re.findall(rb"http://\S+", b"\n".join(item.text.encode() for item in site.mailbox.received))
    searched["page of the link"] = site.ask("GET", urlsplit(links[0].decode()).path)[2]
    return searched


def test_no_identity_is_where_it_should_not_be(site: Site, searched: dict[str, bytes]) -> None:
    marks = [b"unmistak", "Zoë".lower().encode(), "unmistak".encode("utf-16-le"), ACCESSION.lower().encode()]
    message = site.hospital.ris.received()[0].read_bytes().lower()
    assert all(mark in message for mark in (marks[0], marks[3])), "the search would find it"
    assert [(name, mark) for name, content in searched.items() for mark in marks if mark in content.lower()] == []
    assert not [name for name in searched if "unmistak" in name.lower()]
    for item in site.mailbox.received:
        assert "Hyperdense" not in item.text, "the finding's name is the site's to let out"


def test_no_secret_is_where_it_should_not_be(site: Site, searched: dict[str, bytes]) -> None:
    """Of mail, webhook and DICOMweb, from files and from the environment, also after servers refused and said them back."""
    basic = base64.b64encode(f"vigil:{WEB_PASSWORD}".encode()).decode()
    assert site.web.credentials == {f"Bearer {WEB_TOKEN}", f"Basic {basic}"}, "they are used"
    secrets = (SECRET, PASSWORD, WEB_TOKEN, WEB_PASSWORD, basic, base64.b64encode(f"\0vigil\0{PASSWORD}".encode()).decode())
    settings = {"the settings": site.hospital.orthanc.configuration_path.read_bytes()}
    assert b"by-token" in searched["vigil deliveries list"]
    assert [(name, secret) for name, content in (searched | settings).items() for secret in secrets
            for mark in (secret.encode(), secret.encode("utf-16-le")) if mark in content] == []
