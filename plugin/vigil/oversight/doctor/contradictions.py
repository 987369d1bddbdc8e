"""Settings that are each allowed, and do not go together: with each other, or with what Orthanc is told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vigil.domain.manifest import Manifest, RegulatoryStatus
from vigil.oversight.doctor.check import Check, error, good, warning
from vigil.oversight.doctor.service import seconds_of, unit_setting
from vigil.oversight.doctor.site import Site, section
from vigil.oversight.doctor.versions import version
from vigil.pipeline.scanner import point_faults
from vigil.settings import Settings
from vigil.settings.errors import Fault

SUBJECT = "settings"
NEEDED_STOP_S = 15
"""Vigil ends within 8 s, Orthanc itself wants some, and a disk may be busy."""
LOCKING = re.compile(r"\bRegister(OnStoredInstance|ReceivedInstance)Callback\s*\(")
"""Callbacks that deadlock an Orthanc with threads in Python, where the plugin does not allow threads."""


def told(faults: list[Fault]) -> list[Check]:
    """What cannot be read, or is not allowed. No value of a secret stands in a fault."""
    checks = []
    for fault in faults:
        if "is defined twice" in fault.allowed:
            cure = f'keep one of both; Orthanc does not start with two "{fault.key}"'
            if fault.key == "PythonScript":
                cure += ". Where the site's script stays, it calls Vigil at its end (docs/operator.md)"
        else:
            cure = "correct it in Orthanc's configuration, then: vigil config check"
        checks.append(error(SUBJECT, fault.key, fault.text().removeprefix(f"{fault.key}: "), cure))
    return checks


def contradictions(site: Site, manifests: Mapping[str, Manifest], unit_folders: tuple[Path, ...]) -> list[Check]:
    checks = [*_orthanc(site), *_script(site), *_service(unit_folders)]
    if site.settings is not None:
        checks += [*_ways_out(site.settings), *_models(site.settings, manifests), *_senders(site.configuration, site.settings)]
    return checks or [good(SUBJECT, str(site.place), "nothing contradicts itself")]


def _orthanc(site: Site) -> Iterator[Check]:
    whole = site.configuration
    remote, authenticated = whole.get("RemoteAccessAllowed") is True, whole.get("AuthenticationEnabled")
    if remote and authenticated is False:
        yield error(SUBJECT, "AuthenticationEnabled", "is false, and RemoteAccessAllowed is true: whoever reaches the port "
                    "reads and deletes every study", 'set "AuthenticationEnabled" to true and declare "RegisteredUsers"')
    if remote and authenticated is not False and not whole.get("RegisteredUsers"):
        yield error(SUBJECT, "RegisteredUsers", "is empty, and RemoteAccessAllowed is true: Orthanc then makes the user "
                    "\"orthanc\" with the password \"orthanc\"",
                    'declare users in "RegisteredUsers", or set "RemoteAccessAllowed" to false')
    if remote and whole.get("SslEnabled") is not True:
        yield warning(SUBJECT, "SslEnabled", "is not true, and RemoteAccessAllowed is true: passwords and images cross the "
                      "network in clear unless a proxy in front speaks TLS",
                      'set "SslEnabled" and "SslCertificate", or let only a TLS proxy on this machine reach the port')
    if whole.get("ExecuteLuaEnabled") is True:
        yield warning(SUBJECT, "ExecuteLuaEnabled", "is true: a user of the REST API may run code on this machine",
                      'set "ExecuteLuaEnabled" to false')


def _script(site: Site) -> Iterator[Check]:
    named = site.configuration.get("PythonScript")
    if not isinstance(named, str) or not named:
        yield error(SUBJECT, "PythonScript", "is not set: Orthanc does not run Vigil at all",
                    'set "PythonScript" to the bundle\'s plugin/vigil_plugin.py, and restart Orthanc')
        return
    script = site.folder / named
    try:
        text = script.read_text("utf-8", "replace")
    except OSError as failure:
        yield error(SUBJECT, "PythonScript", f"{script} cannot be read ({failure.strerror}): Orthanc does not start",
                    "correct the path, or install the bundle again")
        return
    if "vigil" not in text:
        yield error(SUBJECT, "PythonScript", f"{script} is a script of the site's that never calls Vigil",
                    "call vigil.host.entry.install at its end (docs/operator.md)")
    threads = section(site.configuration, "Python").get("AllowThreads")
    exists = site.running is None or site.running.plugin_version is None or version(site.running.plugin_version) >= (4, 3)
    if LOCKING.search(text) and not (exists and threads is True):
        yield error(SUBJECT, "PythonScript", f"{script} has a callback for stored or received instances and runs without "
                    "AllowThreads: Orthanc locks up for good under load",
                    _threads_cure(exists) + "; or use OnChange with NEW_INSTANCE instead")
    elif exists and threads is not True:
        yield warning(SUBJECT, "Python.AllowThreads", "is not true: a request of ours holds up every other script while "
                      "Orthanc answers it",
                      _threads_cure(exists))


def _threads_cure(exists: bool) -> str:
    return ('set "Python": {"AllowThreads": true}' if exists else "update the Python plugin to 4.3 or later and set "
            "AllowThreads to true")


def _ways_out(settings: Settings) -> Iterator[Check]:
    live = [name for name, model in settings.models.items() if model.stage == "live"]
    if not settings.enabled_models():
        yield warning(SUBJECT, "Vigil.Models", "no model is switched on: nothing is analysed",
                      'set a model\'s "Stage" to "shadow" or "live", and restart Orthanc')
    if not settings.enabled:
        yield warning(SUBJECT, "Vigil.Enabled", "is false: Vigil does nothing", 'set "Enabled" to true, and restart Orthanc')
    if live and not settings.pacs and not settings.dicom_web:
        yield warning(SUBJECT, "Vigil.Pacs", "names no PACS, and a model is live: results stay in this Orthanc",
                      'name the PACS in "Pacs" or "DicomWeb" (docs/pacs.md), unless the radiologists read from this Orthanc')
    if live and (settings.pacs or settings.dicom_web) and not settings.ris and not settings.escalation.told():
        yield warning(SUBJECT, "Vigil.Ris", "results leave, and nobody is alerted: there is no RIS and no Escalation ladder",
                      'name a receiver in "Ris", or a ladder in "Escalation" (docs/alerts.md), unless images alone are wanted')
    for name, entry in settings.ris.items():
        if entry.profile.processing_id == "P" and entry.profile.test:
            yield warning(SUBJECT, f"Vigil.Ris.{name}.Profile", "is for tests (Test is true), and ProcessingId says production "
                          "(P)",
                          'set "Test" to false, or "ProcessingId" to "T"')
    commitments = [entry for entry in settings.pacs.values() if entry.storage_commitment is not None]
    if settings.commitment_listener is not None and not commitments:
        yield warning(SUBJECT, "Vigil.CommitmentListener", "a port is opened, and no PACS is asked to confirm",
                      'give the PACS a "StorageCommitment", or set "CommitmentListener" to null')


def _models(settings: Settings, manifests: Mapping[str, Manifest]) -> Iterator[Check]:
    alerts = bool(settings.ris or settings.escalation.told())
    for name in settings.enabled_models():
        site_model, manifest = settings.models[name], manifests.get(name)
        if manifest is None:
            continue  # told with the models
        where = f"Vigil.Models.{name}"
        research = manifest.regulatory.status is RegulatoryStatus.RESEARCH
        if research and site_model.stage == "live" and alerts and site_model.alert_override is None:
            yield warning(SUBJECT, where, "is a research model, live, and has no AlertOverride: it alerts nobody",
                          'name who answers for it in "AlertOverride" (By, Reason, Date), or expect no alerts of it')
        for fault in point_faults(site_model, manifest):
            yield error(SUBJECT, f"{where}.{fault.key}", f"{fault.text}: the model does not run", fault.cure)
        quiet = max((series.quiet_s for series in manifest.inputs), default=0)
        if quiet > settings.stable_age_s:
            yield warning(SUBJECT, "StableAge", f"is {settings.stable_age_s} s, and {name} waits for {quiet:g} s without a new "
                          "image: a study is looked at twice, and only the second time answered",
                          f'set "StableAge" to {quiet:g} or more')
        if quiet and settings.stable_age_s > 10 * quiet and settings.arrival.decode == "off":
            yield warning(SUBJECT, "StableAge", f"is {settings.stable_age_s} s, and nothing looks at a study before "
                          "(Arrival.Decode is off): every answer is that late",
                          'set "Arrival"."Decode" to "adaptive", or lower "StableAge"')


def _senders(configuration: Mapping[str, Any], settings: Settings) -> Iterator[Check]:
    """A PACS that sends priors comes to Orthanc as a node, and is refused where Orthanc does not know it."""
    if configuration.get("DicomAlwaysAllowStore", True) is True or configuration.get("DicomModalitiesInDatabase") is True:
        return
    known = {title for entry in section(configuration, "DicomModalities").values() if (title := _title(entry)) is not None}
    for name, entry in settings.pacs.items():
        if entry.aet not in known:
            yield warning(SUBJECT, f"Vigil.Pacs.{name}", f"the PACS {entry.aet} is not in Orthanc's DicomModalities, and "
                          "Orthanc takes images from known nodes alone: it refuses priors and studies that this PACS sends",
                          f'add {entry.aet} to "DicomModalities", unless it never sends to this Orthanc')


def _title(entry: object) -> str | None:
    """Orthanc takes a node as a list (AET, host, port) or as an object."""
    if isinstance(entry, list) and entry:
        return str(entry[0])
    return str(entry["AET"]) if isinstance(entry, Mapping) and "AET" in entry else None


def _service(folders: tuple[Path, ...]) -> Iterator[Check]:
    found = unit_setting(folders, "TimeoutStopSec", "TimeoutSec")
    seconds = None if found is None else seconds_of(found[0])
    if found is not None and seconds is not None and seconds < NEEDED_STOP_S:
        yield warning(SUBJECT, str(found[1]), f"stops Orthanc by force after {seconds:g} s, and Vigil and Orthanc may need "
                      f"{NEEDED_STOP_S} s", "set TimeoutStopSec=30 in a drop-in: systemctl edit orthanc")
