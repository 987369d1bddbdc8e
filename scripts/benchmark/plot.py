"""A picture of the stages: for each study a bar of the product beside one of the straightforward chain, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.findings import Chain, Findings
from benchmark.ours import CAPTURES, HEADERS, NOT_COMPARED, OUTLINE, PIXELS, REPORT, RESAMPLE
from benchmark.statistics import Estimate

INK, PALE, PAPER = "#1f2a33", "#5b6b78", "#ffffff"
COLOURS = {
    HEADERS: "#8fb8de", PIXELS: "#2f6ca3", RESAMPLE: "#1d9a8a", CAPTURES: "#f0b354", OUTLINE: "#e07a4f", REPORT: "#b4546b",
}  # fmt: skip
"""From blue (reading) over green (resampling) to the warm colours (writing); told apart in grey and by the colour blind."""
LABELLED_FROM = 0.055
"""Share of the longest bar from which a stage's own seconds fit into it."""


@dataclass(frozen=True)
class Bar:
    """``segments``: stage and CPU seconds, in the order of the chain. ``total``: of a whole run, which need not be the sum of the
    stages' medians."""

    study: str
    chain: str
    segments: tuple[tuple[str, float], ...]
    total: Estimate


def bars(findings: Sequence[Findings]) -> list[Bar]:
    """Of every case that has chains: the compared stages of each."""
    return [_bar(item, chain) for item in findings for chain in item.chains]


def _bar(findings: Findings, chain: Chain) -> Bar:
    segments = tuple((stage.name, stage.cpu_s.value) for stage in chain.stages if stage.name not in NOT_COMPARED)
    return Bar(findings.title.removesuffix(", from memory"), chain.name, segments, chain.total_cpu_s)


def draw(shown: Sequence[Bar], path: Path) -> None:
    """Writes the picture as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Patch

    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 10.5, "text.color": INK, "axes.labelcolor": INK})
    studies = list(dict.fromkeys(bar.study for bar in shown))
    figure, axes = plt.subplots(figsize=(10.2, 1.7 + 1.16 * len(studies)), dpi=160, facecolor=PAPER)
    longest = max(bar.total.high for bar in shown)
    top = 0.0
    ticks: list[tuple[float, str]] = []
    for study in studies:
        axes.text(0, top - 0.62, study, weight="bold", va="center", ha="left")
        for bar in (item for item in shown if item.study == study):
            left = 0.0
            for stage, seconds in bar.segments:
                axes.barh(top, seconds, 0.72, left, color=COLOURS.get(stage, PALE), edgecolor=PAPER, linewidth=0.9)
                if seconds >= LABELLED_FROM * longest:
                    light = stage in (HEADERS, CAPTURES)
                    axes.text(
                        left + seconds / 2, top, f"{seconds:.2f}", va="center", ha="center", size=8.5,
                        color=INK if light else PAPER,
                    )  # fmt: skip
                left += seconds
            below = top + 0.27  # the bar's own numbers stay legible
            axes.plot([bar.total.low, bar.total.high], [below, below], color=INK, linewidth=1.2, solid_capstyle="butt")
            axes.text(
                max(left, bar.total.high) + 0.012 * longest, top, f"{bar.total.value:.2f}", va="center", ha="left", weight="bold"
            )
            ticks.append((top, bar.chain))
            top += 0.86
        top += 1.0
    axes.set_yticks([place for place, _ in ticks], [name for _, name in ticks], color=PALE)
    axes.set_ylim(top - 0.9, -1.15)
    axes.set_xlim(0, longest * 1.09)
    axes.set_xlabel(
        "CPU seconds of all threads, without the network's own run. The thin line is the interval of the total's median.",
        loc="left", color=PALE, size=9.5,
    )  # fmt: skip
    axes.tick_params(length=0, colors=PALE)
    axes.grid(axis="x", color="#e4e9ed", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_title("From a study's files to its results, stage by stage", loc="left", weight="bold", size=13.5, pad=34)
    axes.legend(
        handles=[Patch(facecolor=colour, label=stage) for stage, colour in COLOURS.items()], ncols=len(COLOURS), loc="lower left",
        bbox_to_anchor=(-0.005, 1.0), frameon=False, handlelength=1.0, handleheight=1.0, columnspacing=1.3, fontsize=9.5,
    )  # fmt: skip
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=PAPER)
    plt.close(figure)
