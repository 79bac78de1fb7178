"""The plots of a report, as SVG text. The same figures give the same bytes."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from .attacks import AttackResult
from .metrics import Bools, Floats, curve, resamples, wilson

INK, MUTED, GRID = "#1f2933", "#66727f", "#e3e8ee"
BLUE, RED, AMBER, GREEN, VIOLET = "#1f5fa8", "#c0392b", "#c77700", "#2a7f4f", "#7a4ea3"
POINTS = {"high_precision": ("^", GREEN), "balanced": ("o", AMBER), "high_recall": ("v", RED)}
PEER_COLOURS = (MUTED, VIOLET, "#2b9aa0")
_STYLE: Any = {
    # Text stays text; the reader's browser has the Chinese font.
    "svg.fonttype": "none",
    "svg.hashsalt": "loanlint",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}
_FONTS = "'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', 'DejaVu Sans', sans-serif"


def precision_recall(
    y: Bools,
    score: Floats,
    groups: Sequence[str],
    points: Mapping[str, Mapping[str, Any]],
    others: Mapping[str, Floats],
    rounds: int,
) -> str:
    """Precision over recall with its bootstrap band, the operating points marked, other methods beside it."""
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(5.0, 3.9)
        if rounds:
            grid = np.linspace(0, 1, 101)
            drawn = [_precision_at(y[i], score[i], grid) for i in resamples(groups, min(rounds, 200)) if y[i].any()]
            low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
            axes.fill_between(grid, low, high, color=BLUE, alpha=0.13, linewidth=0, label="95 % 区间 interval")
        for colour, (name, other) in zip(PEER_COLOURS, others.items(), strict=False):
            precision, recall, _ = curve(y, other)
            axes.plot(recall, precision, color=colour, linewidth=1.2, drawstyle="steps-post", label=name)
        precision, recall, _ = curve(y, score)
        axes.plot(recall, precision, color=BLUE, linewidth=2, drawstyle="steps-post", label="loanlint")
        for name, point in points.items():
            marker, colour = POINTS.get(name, ("s", INK))
            axes.plot(point["recall"], point["precision"], marker, color=colour, markersize=8, markeredgecolor="white", label=name)  # fmt: skip
        axes.set(xlim=(0, 1.02), ylim=(0, 1.03), xlabel="召回率 recall", ylabel="精确率 precision")
        axes.legend(loc="lower left")
        return _svg(figure)


def _precision_at(y: Bools, score: Floats, grid: Floats) -> Floats:
    """Precision at given recalls: of the highest threshold that reaches each."""
    precision, recall, _ = curve(y, score)
    found: Floats = precision[np.minimum(np.searchsorted(recall, grid - 1e-12), len(recall) - 1)]
    return found


def calibration(bins: Sequence[Mapping[str, Any]]) -> str:
    """Share of misleading texts over the probability given, with the number of texts below."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(5.0, 3.9), layout="constrained")
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--", label="理想 ideal")
        mean = np.array([b["mean"] for b in bins])
        share = np.array([b["share"] for b in bins])
        bounds = [wilson(round(b["share"] * b["count"]), b["count"]) for b in bins]
        error = np.maximum([[s - lo for s, (lo, _) in zip(share, bounds, strict=True)], [hi - s for s, (_, hi) in zip(share, bounds, strict=True)]], 0)  # fmt: skip
        axes.errorbar(mean, share, yerr=error, color=BLUE, marker="o", markersize=5, linewidth=1.6, elinewidth=1, capsize=2, label="loanlint")  # fmt: skip
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04), ylabel="误导占比 share misleading")
        axes.legend(loc="upper left")
        width = 0.9 * (bins[0]["high"] - bins[0]["low"])
        below.bar(
            [(b["low"] + b["high"]) / 2 for b in bins], [b["count"] for b in bins], width=width, color=BLUE, alpha=0.55
        )
        _log_counts(below)
        below.set(xlabel="给出的概率 probability given", ylabel="条数 texts")
        return _svg(figure)


def distribution(severity: Any, p: Floats, points: Mapping[str, Mapping[str, Any]]) -> str:
    """How many texts of each kind got which probability, with the thresholds of the operating points."""
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(5.0, 3.1)
        kinds = (("无误导 none", severity == 0, GREEN), ("存疑 borderline", severity == 1, AMBER), ("误导 misleading +", severity >= 2, RED))  # fmt: skip
        edges = [n / 20 for n in range(21)]
        for label, inside, colour in kinds:
            if inside.any():
                axes.hist(p[inside], bins=edges, histtype="stepfilled", color=colour, alpha=0.18)
                axes.hist(p[inside], bins=edges, histtype="step", color=colour, linewidth=1.5, label=label)
        for name, point in points.items():
            _, colour = POINTS.get(name, ("s", INK))
            axes.axvline(point["threshold"], color=colour, linestyle=":", linewidth=1.4, label=name)
        _log_counts(axes)
        axes.set_ylim(0.7, axes.get_ylim()[1] * 12)  # room for the legend
        axes.set(xlim=(0, 1), xlabel="误导概率 p(severity ≥ 2)", ylabel="条数 texts")
        axes.legend(loc="upper center", ncols=2)
        return _svg(figure)


def base_rates(points: Mapping[str, Mapping[str, Any]]) -> str:
    """Precision over how rare misleading texts are, by operating point, with intervals where there are."""
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(5.0, 3.1)
        for shift, (name, point) in zip((0.9, 1.0, 1.11), points.items(), strict=False):
            marker, colour = POINTS.get(name, ("s", INK))
            # Side by side, so that the intervals can be told apart.
            rates = [shift / float(r) for r in point["precision_at_base_rate"]]
            values = list(point["precision_at_base_rate"].values())
            axes.plot(rates, values, color=colour, marker=marker, markersize=6, linewidth=1.4, label=name)
            around = point.get("precision_at_base_rate_interval")
            if around:
                low, high = zip(*around.values(), strict=True)
                axes.vlines(rates, low, high, color=colour, alpha=0.55, linewidth=1.4)
        axes.set_xscale("log")
        axes.set(ylim=(0, 1.03), xlabel="多少条中有一条误导 one misleading text in …", ylabel="精确率 precision")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
        axes.legend(loc="upper right")
        return _svg(figure)


def attacks(results: Sequence[AttackResult], names: Mapping[str, str]) -> str:
    """Share of the clean recall that each attack leaves, and the goals."""
    shown = [r for r in results if r.name != "clean"][::-1]
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(5.0, 0.9 + 0.24 * len(shown))
        at = np.arange(len(shown))
        kept = [0.0 if np.isnan(r.kept) else r.kept for r in shown]
        colours = [MUTED if r.goal is None else GREEN if k >= r.goal else RED for r, k in zip(shown, kept, strict=True)]
        axes.barh(at, kept, color=colours, alpha=0.75, height=0.7)
        for y, r in zip(at, shown, strict=True):
            if r.goal is not None:
                axes.plot([r.goal, r.goal], [y - 0.42, y + 0.42], color=INK, linewidth=1.6)
        axes.set_yticks(at, [names.get(r.name, r.name) for r in shown])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set(xlim=(0, max(1.0, *kept) * 1.02 if kept else 1), xlabel="保住的召回率 share of the clean recall kept")
        return _svg(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _log_counts(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Layout is measured with a font that has no Chinese glyphs; the browser draws with one that has.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r"'?DejaVu Sans'?(?:, [^;\"<]*)?", _FONTS, text)
