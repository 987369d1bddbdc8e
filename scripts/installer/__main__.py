"""``install``: puts Vigil into the Orthanc of this host, updates it, goes back, takes it out."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from installer import host as hosts
from installer import life, record
from installer.bundle import Bundle, put_in_place, unpack
from installer.plan import Places, make_plan
from installer.refused import Cause, Refused

HERE = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except Refused as refused:
        print(f"install: {refused.message} [{refused.cause}]", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("install: interrupted. Run the same command again; Orthanc starts as it is.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="install", description="Vigil for Orthanc: install, update, go back, take out. No network, no compiler."
    )
    parser.add_argument(
        "action",
        nargs="?",
        default="install",
        choices=("install", "rollback", "uninstall", "status", "release"),
        help="install (default) also updates; rollback: the version before; uninstall: the site's configuration as it was; "
        "release: only unpack it, for the maker of an image",
    )
    parser.add_argument("--check", action="store_true", help="say what would be done, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--prefix", type=Path, default=Path("/opt/vigil"), help="where the releases lie (%(default)s)")
    parser.add_argument("--state", type=Path, default=Path("/var/lib/vigil"), help="where ledger and key lie (%(default)s)")
    parser.add_argument(
        "--config",
        type=Path,
        help="Orthanc's configuration, a file or a folder (default: that of its service, else /etc/orthanc)",
    )
    parser.add_argument("--orthanc", type=Path, help="Orthanc's program")
    parser.add_argument("--plugin", type=Path, help="Orthanc's Python plugin, libOrthancPython.so")
    parser.add_argument("--user", help="whom Orthanc runs as (default: the user of its service)")
    parser.add_argument("--python", help="with release: for this Python, such as 3.14")
    parser.add_argument("--public-key", type=Path, help="check the bundle's signature with this key")
    parser.add_argument("--restart", metavar="COMMAND", help='restart Orthanc at the end, such as "systemctl restart orthanc"')
    return parser


def _run(options: argparse.Namespace) -> int:
    prefix, known = options.prefix.absolute(), record.read(options.prefix.absolute())
    state = Path(known.state) if known is not None else options.state.absolute()
    unit = hosts.service()
    configuration = (
        options.config
        or (Path(known.configuration) if known is not None else None)
        or unit.configuration
        or Path("/etc/orthanc")
    )
    places = Places(prefix, state, configuration.absolute())
    if options.action == "status":
        return _status(known, places)
    if options.action == "release":
        return _release(options, places)
    if options.action == "uninstall":
        return _uninstall(options, places)
    host = hosts.find(options.orthanc, options.plugin, options.user or (known.user if known is not None else None))
    if options.action == "rollback":
        return _rollback(options, places, host)
    bundle = Bundle(HERE)
    signer = bundle.insist_whole(options.public_key)
    plan = make_plan(bundle, host, places, signer)
    print("\n".join(plan.lines))
    if options.check:
        print("Nothing was changed.")
        return 0
    _agree(options, "Go on?")
    with life.alone(prefix):
        life.carry_out(plan, bundle, places, _say)
    _say(
        f"Vigil {plan.record.version} is installed. Every model is off until \"Vigil\" in {places.configuration} says otherwise"
        if not plan.is_update
        else f"Vigil {plan.record.version} is installed; back to the version before: {prefix}/current/install rollback"
    )
    return _restart(options)


def _rollback(options: argparse.Namespace, places: Places, host: hosts.Host) -> int:
    known = record.read(places.prefix)
    print(
        f"Go back from {known.version} to {known.previous}"
        if known is not None and known.previous
        else "Go back to the version before"
    )
    if options.check:
        print("Nothing was changed.")
        return 0
    _agree(options, "Go on?")
    with life.alone(places.prefix):
        back = life.roll_back(places, host, _say)
    _say(f"Vigil {back.version} runs from the next start of Orthanc on")
    return _restart(options)


def _uninstall(options: argparse.Namespace, places: Places) -> int:
    known = record.read(places.prefix)
    for item in () if known is None else known.edited:
        print(f"{'Remove' if item.before is None else 'Restore'}  {item.file}")
    print(f"Remove  {places.prefix}\nKeep    {places.state} (ledger, key, log), and every study")
    if options.check:
        print("Nothing was changed.")
        return 0
    _agree(options, "Go on?")
    with life.alone(places.prefix):
        life.take_out(places, _say)
    _say("Vigil is taken out. Orthanc runs without it from its next start on")
    return _restart(options)


def _release(options: argparse.Namespace, places: Places) -> int:
    """For an image: there is no site yet, and what Orthanc is told stands in the image's own configuration."""
    bundle = Bundle(HERE)
    signer = bundle.insist_whole(options.public_key)
    python = options.python or f"{sys.version_info.major}.{sys.version_info.minor}"
    release = places.releases / bundle.version
    put_in_place(unpack(bundle, bundle.wheels(python), release, python), release)
    life.point(places.current, release)
    _say(f"Vigil {bundle.version} for Python {python} lies in {release}; {signer}")
    return 0


def _status(known: record.Record | None, places: Places) -> int:
    if known is None:
        print(f"Vigil is not installed in {places.prefix}.")
        return 1
    print(
        f"Version   {known.version}\nBefore    {known.previous or '-'}\nState     {known.state}\n"
        f"Config    {known.configuration}\n"
        f"Script    {known.site_script or '-'} (the site's own)"
    )
    return 0


def _agree(options: argparse.Namespace, question: str) -> None:
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise Refused(Cause.DECLINED, "Nobody is there to ask. Look with --check, then go on with --yes. Nothing was changed.")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise Refused(Cause.DECLINED, "Nothing was changed.")


def _restart(options: argparse.Namespace) -> int:
    if options.restart is None:
        _say("Restart Orthanc when it suits: systemctl restart orthanc; then look at /vigil/health/ready")
        return 0
    done = subprocess.run(options.restart, shell=True, check=False)  # noqa: S602 - the administrator's own words
    _say(
        "Orthanc was restarted; look at /vigil/health/ready"
        if done.returncode == 0
        else f'The restart ended with {done.returncode}; look at Orthanc\'s log. "install uninstall" brings back what was'
    )
    return done.returncode


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    # Where no Python program is on the host, Orthanc itself runs this, and the arguments come another way.
    arguments = os.environ["VIGIL_ARGUMENTS"].split("\n") if "VIGIL_ARGUMENTS" in os.environ else sys.argv[1:]
    sys.exit(main([word for word in arguments if word]))
