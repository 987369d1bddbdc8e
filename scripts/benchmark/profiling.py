"""Where the time goes, as text, for what missed its target."""

from __future__ import annotations

from collections.abc import Callable

LINES = 60


def profile(work: Callable[[], object]) -> str:
    """The call tree of one run, by pyinstrument: seconds of the thread that works, the smallest parts left out."""
    from pyinstrument import Profiler

    profiler = Profiler(interval=0.001)
    with profiler:
        work()
    text = profiler.output_text(unicode=True, color=False, show_all=False, processor_options={"filter_threshold": 0.02})
    lines = [line.rstrip() for line in text.splitlines()]
    begin = next((index for index, line in enumerate(lines) if line and line[0].isdigit()), 0)
    return "\n".join(lines[begin : begin + LINES]).strip()
