"""The engine is run in processes of its own, as there is one in a process, and so that they can be killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

PROGRAM = """
import sys, time
from pathlib import Path
sys.path.insert(0, {plugin!r})
from vigil.pipeline.engine import Engine, Task, Verdict

done = Path({folder!r}) / "done.txt"

def note(line):
    with done.open("a") as file:
        file.write(line + "\\n")

def first(subject, attempt):
    note(f"first {{subject}} {{attempt}}")
    if subject.startswith("slow") and {slow!r}:
        time.sleep(60)
    if attempt < 2:
        return Verdict(retry_after_s=0.2)
    return Verdict(follow=(Task("second", subject, "others"),))

def second(subject, attempt):
    note(f"second {{subject}} {{attempt}}")
    if subject == "locked" and attempt == 1:
        raise OSError("Doe^Jane cannot be written")
    return Verdict()

engine = Engine(database=Path({folder!r}) / "workflows.sqlite", workers={{"first": first, "second": second}},
                queues={{"ones", "others"}}, on_fault=lambda kind, error: note(
                    f"fault {{kind}} {{type(error).__name__}}, trouble {{[type(each).__name__ for each in engine.trouble()]}}"))
engine.start()
for name in {tasks!r}:
    engine.enqueue(Task("first", name, "ones"))
    engine.enqueue(Task("first", name, "ones"))
if {owed!r}:
    engine.promise([Task("second", name, "others") for name in {owed!r}] + [Task("second", "elsewhere", "no such queue")])
print("running", flush=True)
deadline = time.monotonic() + {seconds}
while time.monotonic() < deadline and engine.unfinished():
    time.sleep(0.1)
print("left", engine.unfinished(), list(engine.dead()), flush=True)
print("trouble", engine.trouble(), flush=True)
begun = time.monotonic()
engine.stop(1)
print("stopped", flush=True)
"""


def program(folder: Path, tasks: list[str], *, seconds: float = 20, slow: bool = False,
            owed: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    text = textwrap.dedent(PROGRAM).format(
        plugin=str(ROOT / "plugin"), folder=str(folder), tasks=tasks, seconds=seconds, slow=slow, owed=owed)
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)


def lines(folder: Path) -> list[str]:
    file = folder / "done.txt"
    return file.read_text().splitlines() if file.exists() else []


def test_a_task_is_done_once_tried_again_and_followed(tmp_path: Path) -> None:
    output, _ = program(tmp_path, ["a", "b"]).communicate(timeout=60)

    assert "left 0 []" in output
    assert sorted(lines(tmp_path)) == sorted(
        f"{step} {name} {attempt}" for name in ("a", "b") for step, attempt in (("first", 1), ("first", 2), ("second", 1)))


def test_a_task_that_was_killed_in_the_middle_is_taken_up_again(tmp_path: Path) -> None:
    process = program(tmp_path, ["slow"], slow=True)
    deadline = time.monotonic() + 30
    while "first slow 1" not in lines(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    output, _ = program(tmp_path, []).communicate(timeout=60)

    assert "left 0 []" in output
    assert lines(tmp_path) == ["first slow 1", "first slow 1", "first slow 2", "second slow 1"]


def test_nothing_waits_in_a_thread_at_a_stop(tmp_path: Path) -> None:
    process = program(tmp_path, ["slow"], slow=True, seconds=3)
    begun = time.monotonic()
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("stopped"):
            break
    elapsed = time.monotonic() - begun
    process.kill()
    process.wait()

    assert elapsed < 20  # a bound against a hang, not a speed


def test_a_finished_task_is_never_done_again(tmp_path: Path) -> None:
    program(tmp_path, ["a"]).communicate(timeout=60)
    before = lines(tmp_path)
    program(tmp_path, ["a"]).communicate(timeout=60)

    assert lines(tmp_path) == before


def test_a_worker_that_breaks_is_told_and_tried_again_and_its_words_are_kept_out_of_the_store(tmp_path: Path) -> None:
    process = program(tmp_path, ["locked"])
    output, _ = process.communicate(timeout=60)

    assert "left 0 []" in output
    assert lines(tmp_path)[-3:] == ["second locked 1", "fault second OSError, trouble ['OSError']", "second locked 2"]
    assert "trouble []" in output, "it ended well since"
    assert not any(b"Doe" in file.read_bytes() for file in tmp_path.glob("workflows.sqlite*"))


PRIORITIES = """
import sys, time
from pathlib import Path
sys.path.insert(0, {plugin!r})
from vigil.pipeline.engine import Engine, Task, Verdict

done = []

def work(subject, attempt):
    done.append(f"{{subject}} {{attempt}}")
    if subject == "running":
        time.sleep(1.5)
    return Verdict(retry_after_s=0.1) if subject == "late positive" and attempt == 1 else Verdict()

engine = Engine(database=Path({folder!r}) / "workflows.sqlite", workers={{"send": work}}, queues={{"pacs"}},
                on_fault=lambda kind, error: None)
engine.start()
engine.enqueue(Task("send", "running", "pacs", priority=7))
deadline = time.monotonic() + 20
while not done and time.monotonic() < deadline:
    time.sleep(0.02)
for name, priority in (("negative", 7), ("other negative", 7), ("late positive", 1), ("positive", 1), ("asked for", 0)):
    engine.enqueue(Task("send", name, "pacs", priority=priority))
while engine.unfinished() and time.monotonic() < deadline:
    time.sleep(0.05)
print(*done, sep="\\n", flush=True)
engine.stop(1)
"""


def test_of_those_that_wait_in_a_queue_the_most_urgent_goes_first_and_then_the_oldest(tmp_path: Path) -> None:
    text = textwrap.dedent(PRIORITIES).format(plugin=str(ROOT / "plugin"), folder=str(tmp_path))
    output = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True).stdout

    told = output.splitlines()
    told.remove("late positive 2")  # keeps its rank, and waits for its time
    assert told == ["running 1", "asked for 1", "late positive 1", "positive 1", "negative 1", "other negative 1"]


def test_what_is_owed_is_promised_again_unless_a_task_of_it_waits(tmp_path: Path) -> None:
    program(tmp_path, ["a"]).communicate(timeout=60)
    output, _ = program(tmp_path, [], owed=("a", "b", "b")).communicate(timeout=60)

    assert "left 0 []" in output
    assert sorted(lines(tmp_path)[3:]) == ["second a 2", "second b 1"]


STRANDED = """
import sqlite3, sys, time
from pathlib import Path
sys.path.insert(0, {plugin!r})
from vigil.pipeline.engine import Engine, Task, Verdict

done = []
store = Path({folder!r}) / "workflows.sqlite"
engine = Engine(database=store, workers={{"first": lambda subject, attempt: done.append(attempt) or Verdict()}},
                queues={{"ones": 1}}, on_fault=lambda kind, error: None)
owed = [Task("first", "a", "ones")]

def settle():
    deadline = time.monotonic() + 20
    while engine.unfinished() and time.monotonic() < deadline:
        time.sleep(0.05)

engine.start()
engine.promise(owed)
settle()
for status in ("PENDING", "ERROR"):
    with sqlite3.connect(store) as database:  # as a full disk leaves it: the task ended, and its end was not written
        database.execute("UPDATE workflow_status SET status = ? WHERE workflow_uuid = ?", (status, f"first|a|{{len(done)}}"))
    print(status, len(list(engine.dead())), [engine.promise(owed) for _ in range(2 if status == "PENDING" else 1)], flush=True)
    settle()
    print(done, list(engine.dead()), engine.unfinished(), flush=True)
engine.stop(1)
"""


def test_a_task_whose_end_could_not_be_written_is_promised_anew_at_the_second_look(tmp_path: Path) -> None:
    text = textwrap.dedent(STRANDED).format(plugin=str(ROOT / "plugin"), folder=str(tmp_path))
    output = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True).stdout

    assert output.splitlines() == ["PENDING 0 [0, 1]", "[1, 2] [] 0", "ERROR 1 [1]", "[1, 2, 3] [] 0"]
