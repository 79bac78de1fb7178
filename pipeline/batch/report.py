"""The report of a run: one HTML file with its plots inside, nothing loaded from anywhere."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import LoanlintError
from ..taxonomy import SEVERITY_LABELS, taxonomy
from .summary import BINS, Summary, top

_COLOURS = ("#5b8c5a", "#e0a030", "#d1495b", "#7b1e3a")
_GREY = "#4a5568"
_MOST = 15

REASONS = {
    "bad_json": "不是 JSON · not JSON",
    "wrong_type": "类型不符 · wrong type",
    "missing_field": "缺少字段 · field missing",
    "field_exists": "字段重名 · field exists already",
    "undecodable": "无法解码 · undecodable bytes",
    "oversized": "过长 · oversized",
    "truncated": "文件被截断 · cut short",
    "corrupt": "数据损坏 · damaged",
    "bad_csv": "不是 CSV · not CSV",
    "wrong_columns": "列数不符 · wrong number of fields",
    "other_columns": "列名不同 · other columns",
    "header": "表头有误 · bad header",
    "bad_warc": "不是 WARC 记录 · not a WARC record",
    "not_text": "不是文本 · not text",
    "unreadable": "无法读取 · unreadable",
}


def write_report(summary: Summary, path: Path, inputs: Sequence[str]) -> None:
    """Write the report of a run. Raises ``LoanlintError`` if it cannot be written."""
    html = render(summary, inputs)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(html, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise LoanlintError(f"{path}: the report cannot be written ({error.strerror}).", code="E_OUTPUT") from error


def render(summary: Summary, inputs: Sequence[str]) -> str:
    """The report as HTML; everything from the inputs is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipeline.batch"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    known = taxonomy()
    return environment.get_template("report.html").render(
        s=summary,
        inputs=inputs,
        severities=[(row, summary.by_severity.get(row.label, 0)) for row in known.severities],
        codes=[(known.codes[name], count) for name, count in top(summary.by_code, len(known.codes))],
        stances=[(known.stances[name], count) for name, count in top(summary.by_stance, _MOST)],
        actions=[(known.actions[name], count) for name, count in top(summary.by_action, _MOST)],
        signals=[(known.signals[name], count) for name, count in top(summary.by_signal, _MOST)],
        evasions=top(summary.by_evasion, _MOST),
        terms=top(summary.terms, 40),
        domains=[(name, d) for name, d in summary.worst_domains(50) if d.flagged],
        reasons=[(REASONS.get(name, name), count) for name, count in top(summary.by_reason, _MOST)],
        plots=_plots(summary),
    )


def _plots(summary: Summary) -> dict[str, str]:
    known = taxonomy()
    codes = [(f"{known.codes[n].zh} {n}", c) for n, c in top(summary.by_code, _MOST)]
    domains = [(name, d) for name, d in summary.worst_domains(_MOST) if d.flagged]
    plots = {
        "severity": _severities([summary.by_severity.get(label, 0) for label in SEVERITY_LABELS]),
        "p": _histogram(summary.p_misleading),
        "codes": _bars(codes, _COLOURS[2]),
        "terms": _bars(top(summary.terms, _MOST), _GREY),
        "evasions": _bars(top(summary.by_evasion, _MOST), _GREY),
        "domains": _stacked(
            [name for name, _ in domains], [(d.borderline, d.misleading, d.illegal) for _, d in domains]
        ),
    }
    return {name: svg for name, svg in plots.items() if svg}


def _severities(counts: list[int]) -> str:
    labels = [f"{row.zh} {row.label}" for row in taxonomy().severities]
    figure, axes = _axes(len(counts))
    places = list(range(len(counts)))
    axes.barh(places, counts, color=_COLOURS)
    axes.invert_yaxis()
    axes.set_yticks(places, labels)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(left=0, right=max(10, max(counts) * 10))
    _numbers(axes, counts)
    return _svg(figure)


def _histogram(bins: list[int]) -> str:
    if not any(bins):
        return ""
    figure, axes = _axes(6)
    axes.bar([(k + 0.5) / BINS for k in range(BINS)], bins, width=0.9 / BINS, color=_GREY)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_xlabel("p_misleading")
    return _svg(figure)


def _bars(rows: list[tuple[str, int]], colour: str) -> str:
    if not rows:
        return ""
    figure, axes = _axes(len(rows))
    places = list(range(len(rows)))
    axes.barh(places, [count for _, count in rows], color=colour)
    axes.invert_yaxis()
    axes.set_yticks(places, [_plain(name) for name, _ in rows])
    axes.set_xlim(left=0, right=1.15 * max(count for _, count in rows))
    _numbers(axes, [count for _, count in rows])
    return _svg(figure)


def _stacked(names: list[str], counts: list[tuple[int, int, int]]) -> str:
    if not names:
        return ""
    figure, axes = _axes(len(names))
    places = list(range(len(names)))
    left = [0] * len(names)
    for k, label in enumerate(SEVERITY_LABELS[1:]):
        values = [row[k] for row in counts]
        axes.barh(places, values, left=left, color=_COLOURS[k + 1], label=label)
        left = [a + b for a, b in zip(left, values, strict=True)]
    axes.invert_yaxis()
    axes.set_yticks(places, [_plain(name) for name in names])
    axes.legend(frameon=False, loc="lower right")
    return _svg(figure)


def _axes(rows: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 0.9 + 0.3 * rows), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _numbers(axes: Any, counts: list[int]) -> None:
    for place, count in enumerate(counts):
        axes.text(count, place, f" {count:,}", va="center", fontsize=9)


def _plain(name: str) -> str:
    """Words of the input as a label: no mathematics (``$``), no controls, not too long."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in name[:40])
    return shown.replace("$", r"\$")


def _svg(figure: Any) -> str:
    """The figure as SVG whose letters stay letters: the browser has the Chinese fonts."""
    import matplotlib

    buffer = io.StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "loanlint", "font.family": "sans-serif"}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]
