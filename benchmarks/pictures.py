"""The pictures: how much of each goal is used up, and where one run's time goes."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.goals import GOALS, Measurement, told
from benchmarks.stages import MEANINGS, bars

# Told apart also by those who don't see red and green (Okabe and Ito's palette).
_REACHED, _MISSED = "#0072b2", "#d55e00"
_WHOSE = {"node": "#0072b2", "server": "#e69f00", "Kubernetes": "#999999", "algorithm": "#009e73"}
_MOST = 2.5
"""Times the goal: what is beyond is cut off, and said in words."""
_DPI = 130
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1}


def goals_picture(measurements: list[Measurement], file: Path) -> None:
    """A bar for each goal that was measured: how much of what it allows is used up."""
    by_goal = {each.goal: each for each in measurements}
    shown = [by_goal[key] for key in GOALS if key in by_goal]
    figure, axes = pyplot.subplots(figsize=(9, 0.42 * len(shown) + 1.2))
    colours = [_REACHED if each.reached else _MISSED for each in shown]
    places = range(len(shown))
    axes.barh(places, [min(each.used, _MOST) for each in shown], color=colours, height=0.6)
    for place, each in zip(places, shown, strict=True):
        axes.text(
            min(each.used, _MOST) + 0.02,
            place,
            f"{told(each)}  (goal {GOALS[each.goal].sentence})",
            va="center",
            fontsize=8,
        )
    axes.axvline(1, color="black", linewidth=1)
    axes.text(1, -0.75, "the goal", ha="center", va="bottom", fontsize=8, bbox=_PAPER)
    axes.set_yticks(places, [each.goal for each in shown], fontsize=9)
    axes.set_xlim(0, max(1.4, *(min(each.used, _MOST) + 0.7 for each in shown)))
    axes.set_xlabel("part of the goal that is used up: less is better", fontsize=9)
    axes.margins(y=0.03)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, file)


def waterfall(moments: Mapping[str, float], file: Path) -> None:
    """A bar for each stage of a run, one below the other.

    Args:
        moments: when each stage ended, in seconds after the event.
        file: to write.
    """
    stages = bars(moments)
    figure, axes = pyplot.subplots(figsize=(10, 0.42 * len(stages) + 1.4))
    end = max(after for _, _, after in stages)
    for place, (stage, before, after) in enumerate(stages):
        axes.barh(place, after - before, left=before, color=_WHOSE[stage.whose], height=0.62)
        axes.text(after + end * 0.008, place, f"{(after - before) * 1000:.0f} ms", va="center", fontsize=8)
    axes.set_yticks(range(len(stages)), [f"{stage.name}: {MEANINGS[stage.name]}" for stage, _, _ in stages], fontsize=8)
    axes.set_xlim(0, end * 1.1)
    axes.set_xlabel("seconds after the server told of the task", fontsize=9)
    axes.invert_yaxis()
    axes.margins(y=0.03)
    axes.grid(axis="x", linewidth=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    used = {stage.whose for stage, _, _ in stages}
    handles = [Patch(color=colour, label=whose) for whose, colour in _WHOSE.items() if whose in used]
    axes.legend(handles=handles, title="whose time", fontsize=8, title_fontsize=8, loc="lower left")
    _save(figure, file)


def curves(rows: Mapping[str, list[float]], file: Path) -> None:
    """A small plot for each thing that was measured while so many runs were open.

    Args:
        rows: the first is how many runs; the others are of the same length.
        file: to write.
    """
    (what, numbers), *shown = rows.items()
    columns = 3
    lines = -(-len(shown) // columns)
    figure, all_axes = pyplot.subplots(lines, columns, figsize=(11, 2.6 * lines), squeeze=False)
    for axes, (name, values) in zip(all_axes.flat, shown, strict=False):
        axes.plot(numbers, values, marker="o", color=_REACHED)
        axes.set_xscale("symlog")
        axes.set_ylim(0, max(*values, 1e-3) * 1.25)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(what, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(linewidth=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in list(all_axes.flat)[len(shown) :]:
        axes.set_visible(False)
    _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    figure.tight_layout()
    # Without the date and the library's name the same figures give the same file.
    figure.savefig(file, dpi=_DPI, metadata={"Software": None})
    pyplot.close(figure)
