"""An evaluation as one HTML file that needs nothing else: no network, no script.

Rows are strangers' text: the template escapes everything, hidden characters are written out, a policy in the page forbids
loading anything.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..classifier import Classifier
from ..model.evidence import explain
from ..taxonomy import SEVERITY_LABELS, taxonomy
from ..visible import visible
from . import plots
from .attacks import AttackResult
from .bench import BenchRow
from .evaluation import Evaluation
from .passages import Mark, Piece, pieces
from .tables import around, number, reached

# Names of the attacks, Chinese and English.
ATTACK_NAMES: Mapping[str, tuple[str, str]] = {
    "clean": ("原文", "clean text"), "zero_width": ("零宽字符", "zero-width characters"), "separators": ("分隔符", "separators"),
    "full_width": ("全角", "full-width"), "traditional": ("繁体", "traditional script"), "split": ("拆字", "split characters"),
    "glyphs": ("异体字", "variant glyphs"), "homophones_half": ("半数同音字", "homophones, half"), "homophones_all": ("全部同音字", "homophones, all"),
    "near_homophones": ("近音字", "near-homophones"), "pinyin": ("拼音", "pinyin letters"), "pinyin_half": ("一字拼音", "one character in pinyin"),
    "initials": ("首字母", "initials"), "digits": ("数字变形", "digits"), "emoji": ("表情符号", "emoji inside words"),
    "padding_x2": ("填充两倍", "padding ×2"), "padding_x5": ("填充五倍", "padding ×5"), "mixed": ("混合", "mixtures"),
}  # fmt: skip
POINT_NAMES = {"high_precision": "高精度", "balanced": "均衡", "high_recall": "高召回"}
KIND_NAMES = {"plain": "普通文本", "customer_question": "客户提问"}


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot with what it shows, in Chinese and English."""

    data: str
    zh: str
    en: str
    alt: str


@dataclass(frozen=True, slots=True)
class Error:
    """A row the model gets wrong at the balanced operating point."""

    id: str
    p: float
    severity: str
    stance: str
    channel: str
    codes: str
    pieces: list[Piece]
    note: str


def render_report(evaluations: Sequence[Evaluation], classifier: Classifier, worst: int = 15) -> str:
    """The HTML. ``worst``: how many false positives and negatives are shown of each file."""
    environment = Environment(
        loader=PackageLoader("pipeline.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number, around=around, reached=reached, percent=_percent, visible=visible, share=_bar
    )
    known = taxonomy()
    return environment.get_template("report.html.jinja").render(
        files=[_file(e, classifier, worst) for e in evaluations],
        model=classifier.version,
        taxonomy_version=known.version,
        corpus=classifier.artefact.manifest["training"]["corpus_digest"],
        severities=known.severities,
        labels=SEVERITY_LABELS,
        stances=known.stances,
        codes=known.codes,
        point_names=POINT_NAMES,
        kind_names=KIND_NAMES,
        attack_names=ATTACK_NAMES,
    )


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def _bar(value: float | None) -> str:
    """A share as a length for a style sheet."""
    return f"{0 if value is None or math.isnan(value) else 100 * min(1.0, max(0.0, value)):.1f}%"


def _file(evaluation: Evaluation, classifier: Classifier, worst: int) -> dict[str, Any]:
    scored, summary = evaluation.scored, evaluation.summary
    threshold = summary["operating_points"]["balanced"]["threshold"]
    severity = scored.severity
    false_positives = np.flatnonzero((severity == 0) & (scored.p2 >= threshold))
    false_negatives = np.flatnonzero((severity >= 2) & (scored.p2 < threshold))
    wrong: dict[str, list[int]] = {
        "false_positives": sorted(map(int, false_positives), key=lambda i: -scored.p2[i]),
        "false_negatives": sorted(map(int, false_negatives), key=lambda i: (scored.p2[i], -severity[i])),
    }
    return {
        "name": evaluation.name,
        "digest": evaluation.digest,
        "rounds": evaluation.rounds,
        "groups": len({r.group for r in scored.rows}),
        "summary": summary,
        "plots": _plots(evaluation),
        "peers": evaluation.peers,
        "attacks": evaluation.attacks,
        "attack_plot": _attack_plot(evaluation.attacks),
        "counts": {k: len(v) for k, v in wrong.items()},
        "errors": {
            k: [_error(scored.rows[i], float(scored.p2[i]), classifier) for i in v[:worst]] for k, v in wrong.items()
        },
    }


def _error(row: BenchRow, p: float, classifier: Classifier) -> Error:
    known = taxonomy()
    judged = classifier.judge(row.text)
    codes = [c for c in row.codes if c in known.codes] or [c.code for c in judged.verdict().codes]
    marks: list[Mark] = []
    note = "无触发词,不计分 no trigger term, not scored" if judged.document is None else ""
    if judged.document is not None:
        for span in explain(judged.document, judged.scores.window, classifier.artefact, codes):
            start, end = judged.normalised.raw_span(span.start, span.end)
            title = f"+{span.weight:.2f}" + (f" {known.codes[span.code].zh} {span.code}" if span.code else "")
            marks.append(Mark(start, end, title))
        if not marks:
            note = "没有支持误导的证据 nothing speaks for misleading"
    return Error(
        id=row.id,
        p=p,
        severity=f"{known.severities[row.severity].zh} {SEVERITY_LABELS[row.severity]}",
        stance=f"{known.stances[row.stance].zh} {row.stance}",
        channel=row.channel,
        codes=", ".join(f"{known.codes[c].zh} {c}" for c in row.codes if c in known.codes),
        pieces=pieces(row.text, marks),
        note=note,
    )


def _plots(evaluation: Evaluation) -> list[Plot]:
    scored, summary = evaluation.scored, evaluation.summary
    severity = scored.severity
    use = severity != 1
    points = summary["operating_points"]
    found = []
    if "average_precision" in summary:
        y, p = severity[use] >= 2, scored.p2[use]
        groups = [r.group for r, u in zip(scored.rows, use, strict=True) if u]
        others = {r.name: r.score for r in (evaluation.peers or ())[1:] if r.score is not None}
        svg = plots.precision_recall(y, p, groups, points, others, evaluation.rounds)
        alt = f"AP {number(summary['average_precision'])}"
        found.append(_plot(svg, "精确率—召回率曲线,标出工作点", "Precision over recall, operating points marked", alt))
        alt = f"ECE {number(summary['calibration_error'])}"
        svg = plots.calibration(summary["calibration"])
        found.append(_plot(svg, "校准:给出的概率与实际占比", "Calibration: probability given, share observed", alt))
        alt = "; ".join(f"{n} {number(list(v['precision_at_base_rate'].values())[-1])}" for n, v in points.items())
        svg = plots.base_rates(points)
        found.append(_plot(svg, "误导文本越稀少,精确率越低", "Precision where misleading texts are rarer", alt))
    svg = plots.distribution(severity, scored.p2, points)
    found.append(
        _plot(svg, "各级文本的概率分布与阈值", "Probabilities by severity, with the thresholds", "p(severity ≥ 2)")
    )
    return found


def _attack_plot(results: Sequence[AttackResult] | None) -> Plot | None:
    if not results:
        return None
    alt = "; ".join(f"{r.name} {number(r.kept)}" for r in results[1:])
    return _plot(
        plots.attacks(results, {k: f"{zh} {k}" for k, (zh, _) in ATTACK_NAMES.items()}),
        "各种规避写法下保住的召回率,竖线为目标",
        "Recall kept under each attack; the mark is the goal",
        alt,
    )


def _plot(svg: str, zh: str, en: str, alt: str) -> Plot:
    data = base64.b64encode(svg.encode()).decode()
    return Plot(f"data:image/svg+xml;base64,{data}", zh, en, f"{zh} {en}: {alt}")
