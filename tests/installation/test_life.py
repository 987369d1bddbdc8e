"""The life of an installation on a pristine host: in, working, a newer version, back, out; and the site is as it was."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from hospital import modality
from hospital.census import wait_until
from hospital.hospital import MODEL
from hospital.host_root import HostRootMissing, host_root
from hospital.pacs import Pacs
from hospital.patients import head_study
from hospital.ris import Ris
from hospital.site_before import VERSIONS, Site


def send(images: list[Dataset]) -> str:
    assert modality.send(images, "127.0.0.1", 4242, "ORTHANC").all_stored
    return str(images[0].StudyInstanceUID)


def answered(site: Site, study_uid: str) -> dict[str, object] | None:
    if not site.health()["ready"]:
        return None
    for item in site.get("/vigil/analyses"):
        if (
            item["study_instance_uid"] == study_uid
            and item["deliveries"]
            and all(each["state"] == "delivered" for each in item["deliveries"])
        ):
            return dict(item)
    return None


def go_live(site: Site, pacs: Pacs, ris: Ris) -> None:
    """What a site writes into vigil.json: a model, a PACS, a RIS."""
    file = site.root.path("/etc/orthanc/vigil.json")
    text = file.read_text()
    models = {MODEL: {"Stage": "live", "AlertOverride": {"By": "Dr. Test", "Reason": "test", "Date": "2026-11-26"}}}
    for key, value in (
        ("Models", models),
        ("Pacs", {"pacs": {"Host": "127.0.0.1", "Port": pacs.port, "Aet": "PACS"}}),
        ("Ris", {"ris": {"Host": "127.0.0.1", "Port": ris.port}}),
    ):
        text, count = (
            re.subn(
                rf'^(\s+"{key}" : )\{{ \}},$',
                lambda found, value=value: f"{found[1]}{json.dumps(value)},",
                text,
                count=1,
                flags=re.MULTILINE,
            )
            if key != "Models"
            else re.subn(
                r'^(\s+"Models" : )\{.*?^    \},$',
                lambda found, value=value: f"{found[1]}{json.dumps(value)},",
                text,
                count=1,
                flags=re.MULTILINE | re.DOTALL,
            )
        )
        assert count == 1, key
    file.write_text(text)


@pytest.mark.parametrize("host", ["bookworm", "trixie", "forky"])
def test_installed_offline_updated_taken_back_and_out_again_leaves_the_site_as_it_was(
    host: str,
    tmp_path: Path,
    bundles: Callable[[str], dict[str, Path]],
) -> None:
    try:
        host_root(host)
    except HostRootMissing as missing:
        pytest.skip(str(missing))
    made = bundles(host)
    times: dict[str, float] = {}

    def timed(what: str, begun: float) -> None:
        times[what] = round(time.monotonic() - begun, 1)

    site = Site(host, tmp_path, {"vigil": made["vigil"], "vigil-next": made["vigil-next"], "public.pem": made["public"]})
    with Pacs(tmp_path / "pacs", unique_names=True) as pacs, Ris(tmp_path / "ris") as ris:
        try:
            site.open()
            before = site.configuration()
            site.start()
            now = dt.datetime.now(dt.UTC)
            olds = [
                send(head_study(f"{host}-old-{number}", started=now)[15 if number else 0 : 25 if number else 40])
                for number in range(10)
            ]
            sent = site.attachments()
            assert site.get("/site/hello")["site"] == "runs"

            begun = time.monotonic()
            checked = site.install("--check")
            assert "Nothing was changed." in checked.stdout
            assert site.configuration() == before
            installed = site.install("--yes", "--public-key", "/media/public.pem")
            timed("install", begun)
            assert "signed by the key in /media/public.pem" in installed.stdout
            go_live(site, pacs, ris)
            site.restart()
            wait_until("ready", lambda: site.health()["ready"])
            assert site.get("/site/hello")["site"] == "runs"

            begun = time.monotonic()
            first = send(head_study(f"{host}-first"))
            wait_until("the first study is answered and delivered", lambda: answered(site, first), 120)
            timed("study", begun)
            assert {item["study_instance_uid"] for item in site.get("/vigil/analyses")} == {first}, "an old study alarmed"
            assert len(ris.received()) == 1
            assert site.get("/site/hello")["changes"] > 40, "the site's own callback was not called"

            found = site.root.run(["/opt/vigil/current/bin/vigil", "doctor", "--json"], check=False)
            complaints = [item for item in json.loads(found.stdout)["checks"] if item["level"] == "error"]
            assert {item["subject"] for item in complaints} <= {"clock"}, complaints

            begun = time.monotonic()
            second = send(head_study(f"{host}-second"))
            site.install("--yes", bundle="vigil-next")
            site.restart()
            timed("update", begun)
            wait_until("the study in flight is answered", lambda: answered(site, second), 120)
            assert site.runs_release(VERSIONS[1])
            assert site.install("status", bundle="").stdout.startswith(f"Version   {VERSIONS[1]}")

            begun = time.monotonic()
            site.install("rollback", "--yes", bundle="")
            site.restart()
            timed("rollback", begun)
            wait_until("ready again", lambda: site.health()["ready"])
            assert site.install("status", bundle="").stdout.startswith(f"Version   {VERSIONS[0]}")
            third = send(head_study(f"{host}-third"))
            wait_until("the third study is answered", lambda: answered(site, third), 120)
            assert site.runs_release(VERSIONS[0])
            assert {item["study_instance_uid"] for item in site.get("/vigil/analyses")} == {first, second, third}
            uids = [str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in pacs.objects()]
            assert len(uids) == len(set(uids)), "something went to the PACS twice"
            assert len(ris.received()) == 3

            begun = time.monotonic()
            site.install("uninstall", "--yes", bundle="")
            site.restart()
            timed("uninstall", begun)
            assert site.configuration() == before
            assert not site.root.path("/opt/vigil").exists()
            assert site.get("/site/hello")["site"] == "runs"
            still = site.attachments()
            assert {name: still.get(name) for name in sent} == sent
            assert set(olds) <= {
                site.get(f"/studies/{study}")["MainDicomTags"]["StudyInstanceUID"] for study in site.get("/studies")
            }
            site.stop()
        finally:
            site.close()
    times["longest restart"] = round(max(site.down_s), 1)
    print(f"\n{host}: " + ", ".join(f"{what} {seconds} s" for what, seconds in times.items()))
