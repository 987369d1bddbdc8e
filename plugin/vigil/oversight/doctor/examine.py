"""Every check, in order. One that breaks is told as such, and the others go on: what asks for a doctor is seldom well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vigil.oversight.doctor.certificates import look_at_certificates
from vigil.oversight.doctor.check import Check, error, good, warning
from vigil.oversight.doctor.contradictions import contradictions, told
from vigil.oversight.doctor.destinations import look_at_destinations
from vigil.oversight.doctor.isolation import look_at_isolation
from vigil.oversight.doctor.libraries import default_site_packages, look_at_process, look_in_folder, pins
from vigil.oversight.doctor.models import installed, look_at_models, manifests
from vigil.oversight.doctor.running import Running, ask_running
from vigil.oversight.doctor.site import Site, Surroundings, folder_of
from vigil.oversight.doctor.state import look_at_clock, look_at_disks, look_at_secrets, look_at_state
from vigil.oversight.doctor.versions import embedded_python, look_at_versions
from vigil.oversight.doctor.web_server import look_at_web_server, not_to_be_asked
from vigil.settings import load
from vigil.settings.configuration_files import merge_configuration
from vigil.settings.errors import Fault, SettingsInvalid


def examine(config: Path, around: Surroundings) -> list[Check]:
    """Everything about the Orthanc whose configuration is the file or folder ``config``. Raises nothing for what it finds."""
    site, faults = look_around(config, around)
    settings = site.settings
    models = () if settings is None else installed(settings, around.bundled_models)
    looks: list[Callable[[], list[Check]]] = [
        lambda: look_at_versions(site), lambda: look_at_web_server(site, around.library_folders),
        lambda: _look_at_libraries(site), lambda: told(faults),
        lambda: contradictions(site, manifests(models), around.unit_folders), lambda: look_at_state(site, around.unit_folders),
        lambda: look_at_disks(site), lambda: look_at_clock(site, around.synchronised()), lambda: look_at_secrets(site),
        lambda: look_at_certificates(site), lambda: look_at_orthanc(site),
    ]
    if settings is not None:
        looks += [lambda: look_at_isolation(site, settings, around.unit_folders),
                  lambda: look_at_models(site, settings, models), lambda: look_at_destinations(site, settings)]
    checks: list[Check] = []
    for look in looks:
        try:
            checks += look()
        except Exception as failure:  # noqa: BLE001 - the edge of a check: the others are still wanted
            checks.append(_broken(failure))
    return list(dict.fromkeys(checks))


def look_around(config: Path, around: Surroundings) -> tuple[Site, list[Fault]]:
    """The site, with what is wrong in its configuration files and its settings."""
    configuration, faults = merge_configuration(config)
    settings = None
    try:
        settings = load(configuration)
    except SettingsInvalid as invalid:
        faults += invalid.faults
    alone = not_to_be_asked(configuration, around.library_folders)
    running = ask_running(configuration, folder_of(config)) if alone is None else Running(unasked=alone)
    return Site(config, configuration, settings, running, around.clock.now()), faults


def _look_at_libraries(site: Site) -> list[Check]:
    python = embedded_python(site)
    named = site.vigil.get("SitePackages")
    folder = Path(named) if isinstance(named, str) else default_site_packages(python)
    pinned = pins(python)
    checks = look_in_folder(folder, pinned)
    if site.running is not None and site.running.environment is not None:
        checks += look_at_process(site.running.environment, folder, pinned)
    return checks


def look_at_orthanc(site: Site) -> list[Check]:
    """Whether it runs, and Vigil in it."""
    running, subject = site.running, "orthanc"
    if running is None:
        return [warning(subject, "this machine", "does not answer at its port: it does not run, or HttpServerEnabled is false",
                        "start it (systemctl start orthanc) and look at its log if it does not stay (docs/troubleshooting.md)")]
    if running.unasked is not None:
        return [running.unasked]
    if running.refused:
        return [warning(subject, "this machine", "runs, and lets nobody in: RegisteredUsers in its configuration holds no user "
                        "of its",
                        "declare the users there, or ask /vigil/health/ready yourself")]
    if running.health is None:
        return [error(subject, "Vigil", "Orthanc runs, and has no /vigil/health/ready: it does not run Vigil",
                      "see that PythonScript and the Python plugin are in its configuration, and restart Orthanc")]
    if running.health["ready"] is True:
        return [good(subject, "Vigil", "runs in Orthanc, and is ready")]
    return [error(subject, "Vigil", f"is not ready: {reason}", "mend what is named, and restart Orthanc if it stays "
                  "(docs/troubleshooting.md)") for reason in map(str, running.health.get("missing", ["it does not say why"]))]


def _broken(failure: Exception) -> Check:
    """Its text may quote a file, so its kind and its place alone are told."""
    place = failure.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f" at {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}"
    return error("doctor", "a check", f"could not be made ({type(failure).__name__}{where})", "send the support bundle to the "
                 "vendor")
