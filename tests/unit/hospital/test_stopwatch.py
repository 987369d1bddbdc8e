from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hospital.stopwatch import ProcessorCurve, QuietProcess, Times, Window, forget_peak, memory_kib, processor_s, window


def burn(cpu_s: float) -> None:
    until = time.process_time() + cpu_s
    while time.process_time() < until:
        pass


def test_the_curve_holds_what_the_process_took_between_two_moments_and_nothing_outside() -> None:
    burn(0.1)
    with ProcessorCurve(os.getpid(), every_s=0.01) as curve:
        begun = time.time()
        before = processor_s(os.getpid())
        burn(0.3)
    ended = time.time()
    taken = processor_s(os.getpid()) - before
    assert curve.between(begun, ended) == pytest.approx(taken, abs=0.03)
    assert taken >= 0.28
    assert curve.between(ended, ended + 60) == 0


def test_a_process_that_is_gone_ends_the_curve_and_no_thread() -> None:
    with ProcessorCurve(2**22 + 1) as curve:
        pass
    with pytest.raises(ValueError, match="empty"):
        curve.between(0, 1)


def test_memory_is_of_the_process_and_its_peak_is_forgotten_when_told() -> None:
    block = bytearray(b"1") * (64 << 20)
    high = memory_kib(os.getpid(), "VmHWM")
    assert high >= memory_kib(os.getpid(), "VmRSS") >= len(block) >> 10
    del block
    forget_peak(os.getpid())
    assert memory_kib(os.getpid(), "VmHWM") < high - (32 << 10)


def test_times_count_only_what_lies_in_the_window() -> None:
    when = Window(begun=10.0, ended=20.0)
    times = when.of([(9.0, 5.0), (11.0, 0.1), (19.0, 0.3), (21.0, 5.0)])
    assert (times.count, times.p50, times.worst) == (2, pytest.approx(0.2), 0.3)
    with pytest.raises(AssertionError):
        Times.of([])


def test_a_quiet_process_tells_how_late_the_machine_wakes_it(tmp_path: Path) -> None:
    with QuietProcess(tmp_path / "late.txt") as quiet, window() as when:
        while not (tmp_path / "late.txt").exists() or (tmp_path / "late.txt").read_text().count("\n") < 20:
            time.sleep(0.02)
    assert quiet.late(when).p50 >= 0
