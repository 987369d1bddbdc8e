"""Writes docs/compatibility.md from what the last test runs found on each host: nobody writes it by hand.

``build/hosts/HOST`` holds a host's reports (``junit*.xml``) and facts. The other hosts' are written by scripts/hosts; this
machine's reports by scripts/test, and it is asked for its facts here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hospital.host_facts import LIBRARIES, Facts, ask_here
from hospital.host_report import Outcome, counted, read_facts, read_outcome
from hospital.orthanc import version_of

HERE = "bookworm"
PAGE = Path("docs") / "compatibility.md"


class ReportMissing(Exception):
    """A host was not tested, or not whole."""


@dataclass(frozen=True)
class HostResult:
    facts: Facts
    outcome: Outcome


@dataclass(frozen=True)
class Trap:
    """Something that goes wrong on a host, what Vigil does about it, and the test that shows it there."""

    what: str
    answer: str
    tests: tuple[str, ...]
    there: Callable[[Facts], bool] = lambda facts: True


NEVER_SUFFERS = "integration/test_orthanc_never_suffers"
POSITIVE_HEAD = "integration/test_way_of_a_study::test_a_head_with_a_hyperdense_insert_is_positive_shown_and_alerted_once"
TRAPS = (
    Trap("A callback for stored or received instances, of any script, beside threads that store locks Orthanc for good, "
         "beyond SIGTERM. Since plugin 4.3 only where `Python.AllowThreads` is false.",
         "Vigil registers `OnChange` alone. The reference `orthanc.json` sets `AllowThreads`; older plugins ignore it.",
         (f"{NEVER_SUFFERS}::test_three_senders_while_results_are_stored_neither_lock_nor_lose_nor_repeat",)),
    Trap("The plugin holds the interpreter's lock in a call into Orthanc: a silent DICOM node asked so stops all Python.",
         "Nothing waits in such a call; DICOM goes through sockets and threads of Vigil's own.",
         (f"{NEVER_SUFFERS}::test_a_pacs_that_never_answers_keeps_no_thread_inside_orthanc_waiting",),
         lambda facts: not facts.at_least(plugin=(4, 3))),
    Trap("Routes of a script run on a stack of 100 KB: a handler that goes deep ends Orthanc.",
         "A thread of Vigil's own does the work.",
         (f"{NEVER_SUFFERS}::test_a_handler_may_go_deep",)),
    Trap("A route whose function only the plugin holds is destroyed after Python was finalized: Orthanc ends in a segmentation "
         "fault at its stop (plugin 5.0 and newer).",
         "Each function of a route has a reference that is never given back.",
         ("integration/test_broken_bundle::test_code_that_cannot_be_imported", "chaos/test_stops::test_during_inference"),
         lambda facts: facts.at_least(plugin=(5, 0))),
    Trap("An answer with a status takes two arguments instead of three (plugin 5.0 and newer).", "Vigil speaks to both.",
         ("integration/test_broken_bundle::test_settings_that_are_wrong",),
         lambda facts: facts.at_least(plugin=(5, 0))),
    Trap("Since Python 3.13 a certificate is refused where it, or its authority, lacks an extension of RFC 5280.",
         "A site's own authority is trusted by the same rules on every Python; signature, time, name and chain are checked.",
         ("integration/test_people::test_a_person_acknowledges_by_the_link_and_nobody_else_is_told",),
         lambda facts: version_of(facts.python) >= (3, 13)),
    Trap("An error while the script is imported ends Orthanc.",
         "The door catches all of them: Orthanc starts and stores, and `/vigil/health/ready` says what is broken.",
         ("integration/test_broken_bundle::test_code_that_cannot_be_imported",
          "integration/test_broken_bundle::test_a_library_that_is_missing")),
    Trap("\"Stable\" is kept in memory: a study that arrived before a kill never becomes stable, and reads as if it were.",
         "Studies are found again in the log of changes, and completeness is decided from the images.",
         ("chaos/test_kill_points::test_before_the_study_is_stable",
          "chaos/test_kill_points::test_while_the_study_is_still_arriving")),
    Trap("A thread that calls Orthanc while it stops aborts or hangs it.",
         "All of Vigil's are ended first, within 8 seconds.",
         ("chaos/test_stops::test_during_inference", "chaos/test_stops::test_during_a_burst_of_stores")),
    Trap("Orthanc 1.13.0 with Python 3.14 often aborts in the interpreter's finalization (\"free(): invalid pointer\", "
         "or a segmentation fault), when everything is stored and closed.",
         "Nothing is lost and the next start goes on; a service manager shows a failed stop. Tests judge by what is stored.",
         ("chaos/test_stops::test_during_a_burst_of_stores",),
         lambda facts: facts.at_least(orthanc=(1, 13))),
    Trap("`pyjpegls`, which highdicom asks for, has no wheel for Python 3.14; a plain installation takes an old highdicom.",
         "One lock file a Python version; that of 3.14 does without it. Vigil never uses it.",
         (POSITIVE_HEAD,),
         lambda facts: facts.python.startswith("3.14.")),
    Trap("No labels before Orthanc 1.12.0.", "`AnalysedLabel` labels nothing there; nothing else changes.",
         (POSITIVE_HEAD, "contract/test_gateway::test_the_sdk_and_http_give_the_same_answers"),
         lambda facts: not facts.labels),
)

NOT_USED = """\
`SetStableStatus` (plugin 6.0 and newer) is not used. Without it Vigil acts on a series that is as long as its scanner declared,
long before `StableAge`; and a series that is whole does not make the study whole. To call the study stable would set off the
site's own rules for stable studies, routing above all, while other series are still arriving."""


def write_page(repository: Path, hosts: Sequence[str], reports: Path) -> Path:
    """Raises :class:`ReportMissing` where a host has no whole report."""
    tested = {host: _tested(host, reports / host) for host in hosts}
    page = repository / PAGE
    page.write_text(compose(tested), encoding="utf-8")
    return page


def _tested(host: str, folder: Path) -> HostResult:
    outcome = read_outcome(host, folder)
    if not outcome.whole:
        raise ReportMissing(f"{host} has no report without failures in {folder}; run its tests: scripts/hosts --host {host}")
    return HostResult(ask_here() if host == HERE else read_facts(folder / "facts.json"), outcome)


def compose(tested: Mapping[str, HostResult]) -> str:
    """The page. It holds no date and no duration, so that a run that finds the same writes the same."""
    names = {host: f"{one.facts.system.removeprefix('Debian GNU/Linux ')}" for host, one in tested.items()}
    rows: list[tuple[str, Callable[[HostResult], str]]] = [
        ("Orthanc", lambda one: one.facts.orthanc),
        ("Python plugin", lambda one: one.facts.plugin),
        ("Python", lambda one: one.facts.python),
        ("`AllowThreads`", lambda one: "yes" if one.facts.at_least(plugin=(4, 3)) else "ignored"),
        ("labels", lambda one: "yes" if one.facts.labels else "no"),
        *((library, lambda one, library=library: one.facts.libraries[library]) for library in LIBRARIES),
        ("**tests with an Orthanc that passed**", lambda one: f"**{counted(one.outcome.passed)}**"),
        ("skipped", lambda one: str(counted(one.outcome.skipped))),
    ]
    lines = [
        "# Compatibility", "",
        "Written by `scripts/hosts --page` from the reports of the last test run, and not by hand. Each host's own Orthanc,",
        "plugin and Python ran, as its packages install them.", "",
        f"| Debian | {' | '.join(names.values())} |", f"|---|{'---|' * len(names)}",
        *(f"| {name} | {' | '.join(cell(one) for one in tested.values())} |" for name, cell in rows), "",
        "Continuous integration runs all tests on the first, and on the others those in which hosts can differ (`CHOSEN` in",
        "`scripts/hospital/host_tests.py` says which and why); `scripts/hosts --all` runs all of them there.", "",
        "## Known traps", "",
        f"| what goes wrong | what Vigil does | {' | '.join(names.values())} |", f"|---|---|{'---|' * len(names)}",
        *(f"| {trap.what} | {trap.answer} | {' | '.join(_trap(trap, one) for one in tested.values())} |" for trap in TRAPS), "",
        "*held*: the trap is there, and its tests passed. *there*: its tests were not run on that host. –: it is not there.", "",
        "The tests, in order:", "",
        *(f"{number}. {', '.join(f'`{test}`' for test in trap.tests)}" for number, trap in enumerate(TRAPS, 1)), "",
        "## What a newer Orthanc offers", "",
        "Labels are used where the site asks for them (`AnalysedLabel`, [operator's guide](operator.md)).", "",
        NOT_USED, "",
    ]
    return "\n".join(lines)


def _trap(trap: Trap, one: HostResult) -> str:
    if not trap.there(one.facts):
        return "–"
    return "held" if all(map(one.outcome.has_passed, trap.tests)) else "there"
