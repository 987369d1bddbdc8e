"""The demo: three heads, or a study of your own with a model of your own, through a whole hospital, and a table of what arrived
where. Started by ``scripts/demo``."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from hospital.network import NamespaceUnavailable, Relay, enter_namespace
from hospital.outcome import HEAD, Outcome
from hospital.own_model import NothingToShow
from hospital.table import table

if TYPE_CHECKING:
    from hospital.hospital import Hospital
    from hospital.watching import Sending

REPOSITORY = Path(__file__).resolve().parents[2]
NARROW = 100
FAULT, INTERRUPTED = 1, 130


class DemoFailed(Exception):
    """Something did not arrive; the message says what."""


def main() -> int:
    options = _options()
    run_folder = _run_folder(REPOSITORY / "build" / "demo")
    signal.signal(signal.SIGTERM, _stop_in_order)
    relays = (Relay(), Relay()) if options.serve else None
    try:
        # Before the libraries: without root only a process without threads may enter a network of its own.
        enter_namespace()
        run(options, run_folder, relays)
    except KeyboardInterrupt:
        say("Stopped.")
        return INTERRUPTED
    except NothingToShow as error:
        shutil.rmtree(run_folder, ignore_errors=True)
        print(error, file=sys.stderr)
        return FAULT
    except (DemoFailed, NamespaceUnavailable) as error:
        return _failed(str(error), run_folder)
    except Exception as error:  # noqa: BLE001 - the edge to a person, who gets a sentence; the trace goes into the log
        (run_folder / "demo.log").write_text(traceback.format_exc())
        return _failed(f"{error or type(error).__name__}", run_folder)
    shutil.rmtree(run_folder, ignore_errors=True)
    return 0


def run(options: argparse.Namespace, run_folder: Path, relays: tuple[Relay, Relay] | None) -> None:
    from hospital.hospital import BRAIN_MODEL, LIVE, MODEL, Hospital
    from hospital.keeping import keep
    from hospital.own_model import installed, study_in
    from hospital.watching import heads, outcomes, send

    vigil: dict[str, object] = {"Models": {MODEL: LIVE, BRAIN_MODEL: {"Stage": "live"}}}
    if options.model:
        own = study_in(options.images)
        identity = installed(options.model, run_folder / "models")
        vigil = {"Models": {identity: {"Stage": "live"}}, "ModelsDirectory": str(run_folder / "models")}
    say("Starting Orthanc with Vigil, a PACS and a RIS, in a network of their own ...")
    with Hospital(run_folder, pacs_to_look_into=True, vigil=vigil) as hospital:
        say("Ready. Reading the images ...")
        sendings: list[Sending] = []
        for head in (own,) if options.model else heads():
            say(f"Sending: {head.label} ({len(head.images)} images by C-STORE) ...")
            sendings.append(send(head, hospital))
        arrived = _wait(hospital, sendings, options.timeout)
        say("")
        say(shown(arrived, shutil.get_terminal_size((160, 24)).columns))
        say("")
        for outcome in arrived if options.model else ():
            say(f"The answer: {outcome.sentence or 'none'}\n")
        say(
            "Seconds count from the last image to: the answer stored in Orthanc, its objects in the PACS, the alert"
            f" acknowledged by the RIS.\nStableAge is {hospital.orthanc.stable_age_s} s here; Orthanc's default is 60 s."
        )
        if options.out:
            kept = keep(options.out, hospital, sendings, outcomes(hospital, sendings))
            say(f"Kept in {options.out}: {kept.dicom} DICOM objects (*.dcm) and {kept.hl7} HL7 messages (*.hl7).")
        faults = [f"{outcome.label}: {fault}" for outcome in arrived for fault in outcome.missing()]
        if relays:
            _serve(hospital, relays)
        say("Stopping ...")
        hospital.stop()
    if faults:
        raise DemoFailed("Not everything arrived.\n  " + "\n  ".join(faults))
    say("All of it arrived.")


def shown(outcomes: Sequence[Outcome], columns: int) -> str:
    """A line a study; in a narrow terminal a column a study."""
    rows = [outcome.row() for outcome in outcomes]
    if columns >= NARROW:
        return table(HEAD, rows, columns)
    head, *lines = zip(HEAD, *rows, strict=True)
    return table(head, lines, columns)


def say(text: str) -> None:
    print(text, flush=True)


def _say_over(line: str) -> None:
    """On a terminal in the place of the line before, elsewhere below it."""
    if sys.stdout.isatty():
        print("\r\033[K" + line[: shutil.get_terminal_size().columns - 1], end="", flush=True)
    else:
        say(line)


def _wait(hospital: Hospital, sendings: list[Sending], timeout_s: float) -> list[Outcome]:
    """Until nothing is missing, or the time is over. An alert too many would come late, so a second look follows."""
    from hospital.watching import outcomes

    begun = time.monotonic()
    last = ""
    now = outcomes(hospital, sendings)
    while any(outcome.missing() for outcome in now) and time.monotonic() - begun < timeout_s:
        line = "Waiting: " + "; ".join(outcome.progress() for outcome in now)
        if line != last:
            _say_over(line)
            last = line
        time.sleep(0.25)
        now = outcomes(hospital, sendings)
    time.sleep(1)
    if sys.stdout.isatty():
        say("")
    return outcomes(hospital, sendings)


def _serve(hospital: Hospital, relays: tuple[Relay, Relay]) -> None:
    from hospital.orthanc import Orthanc

    assert isinstance(hospital.pacs, Orthanc)
    relays[0].open(hospital.orthanc.http_port)
    relays[1].open(hospital.pacs.http_port)
    main_address, pacs_address = (f"http://127.0.0.1:{relay.port}" for relay in relays)
    rows = [
        ("Orthanc", f"{main_address}/app/explorer.html"),
        ("PACS", f"{pacs_address}/app/explorer.html"),
        ("Vigil, ready?", f"{main_address}/vigil/health/ready"),
        ("Vigil, metrics", f"{main_address}/vigil/metrics"),
        ("Vigil, analyses", f"{main_address}/vigil/analyses"),
    ]
    say("\nOpen in a browser on this machine:\n" + table(("what", "address"), rows) + "\n\nCtrl-C ends it.")
    with suppress(KeyboardInterrupt):
        while hospital.orthanc.running and hospital.pacs.running:
            time.sleep(0.5)
        raise DemoFailed("Orthanc or the PACS ended by itself.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--timeout", type=float, default=180.0)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--images", type=Path)
    options = parser.parse_args()
    if (options.model is None) != (options.images is None):
        parser.error("--model FOLDER and --images FOLDER go together")
    return options


def _run_folder(demos: Path) -> Path:
    """A fresh folder; those of demos that have ended are removed."""
    demos.mkdir(parents=True, exist_ok=True)
    for earlier in demos.glob("run-*"):
        if not Path("/proc", earlier.name.removeprefix("run-")).exists():
            shutil.rmtree(earlier, ignore_errors=True)
    folder = demos / f"run-{os.getpid()}"
    folder.mkdir()
    return folder


def _failed(sentence: str, run_folder: Path) -> int:
    print(f"\n{sentence}\nThe logs are in {run_folder} (orthanc/orthanc.log first).", file=sys.stderr, flush=True)
    return FAULT


def _stop_in_order(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
