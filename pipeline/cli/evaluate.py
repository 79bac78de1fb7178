"""``loanlint evaluate``: a model measured on labelled files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import model_option

if TYPE_CHECKING:
    from ..evaluation.bench import Scored
    from ..evaluation.peers import Peer

REPORTED_ERRORS = 15


@click.command(name="evaluate")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@model_option
@click.option(
    "--format",
    "output",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="输出格式。Output format.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="另写一份自足的 HTML 报告。Also write a self-contained HTML report.",
)
@click.option(
    "--peers",
    "with_peers",
    is_flag=True,
    help="与关键词表、TF-IDF、fastText 比较。Measure simple methods beside the model.",
)
@click.option(
    "--peer-keywords",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="关键词表,一行一词,默认 data/text/keyterms.tsv。Keyword list for --peers, one a line.",
)
@click.option(
    "--attacks",
    "with_attacks",
    is_flag=True,
    help="改写文本,测规避写法下的召回率。Run the attack suite.",
)
@click.option(
    "--rounds",
    type=click.IntRange(0, 10_000),
    default=300,
    show_default=True,
    help="重抽样次数,0 为不给区间。Bootstrap rounds; 0 gives no intervals.",
)
@click.option(
    "--worst",
    type=click.IntRange(0, 200),
    default=None,
    help="列出最严重的误报与漏报各 N 条(报告默认 15)。Show the N worst false positives and negatives.",
)
@click.option(
    "--record",
    "keep",
    is_flag=True,
    help="把结果写入模型目录并更新模型卡。Keep the figures with the model and renew its card.",
)
def command(
    files: tuple[Path, ...],
    model_path: Path | None,
    output: str,
    report: Path | None,
    with_peers: bool,
    peer_keywords: Path | None,
    with_attacks: bool,
    rounds: int,
    worst: int | None,
    keep: bool,
) -> int:
    """在标注数据上评估模型。Measure a model on labelled JSONL files (text, severity, stance, codes, channel, group)."""
    from . import require

    require("train", "numpy")
    if report is not None:
        require("report", "matplotlib")
        require("report", "jinja2")
    from ..classifier import load
    from ..errors import UsageError
    from ..evaluation.evaluation import EvaluationSettings, evaluate
    from ..evaluation.tables import render, render_attacks, render_peers
    from .output import write

    if peer_keywords is not None and not with_peers:
        raise UsageError("--peer-keywords goes with --peers")
    if report is not None and (report.is_dir() or not report.parent.is_dir()):
        raise UsageError(f"--report {report}: name a file in a folder that exists")
    classifier = load(model_path)
    peers = _peers(peer_keywords) if with_peers else []
    settings = EvaluationSettings(rounds, peers, with_attacks)
    found = [evaluate(file, classifier, settings) for file in files]
    tables = {}
    for evaluation in found:
        parts = [render(evaluation.name, evaluation.summary)]
        if evaluation.peers is not None:
            parts.append(render_peers(evaluation.peers))
        if evaluation.attacks is not None:
            parts.append(render_attacks(evaluation.attacks))
        tables[evaluation.name] = "\n\n".join(parts)
        if output == "text":
            write(tables[evaluation.name])
            _write_worst(evaluation.scored, worst or 0)
            write("")
    if output == "json":
        write(json.dumps(_plain(dict(zip(map(str, files), (e.to_dict() for e in found), strict=True))), ensure_ascii=False, indent=2))  # fmt: skip
    if report is not None:
        from ..evaluation.report import render_report

        html = render_report(found, classifier, REPORTED_ERRORS if worst is None else worst)
        try:
            report.write_text(html, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--report {report}: cannot be written ({error.strerror})") from error
        click.echo(f"报告 report: {report}", err=True)
    if keep:
        from ..model.card import record

        record(classifier.artefact.path, tables)
    return 0


def _peers(keywords: Path | None) -> list[Peer]:
    from . import require

    require("train", "sklearn")
    from ..evaluation.peers import peers, read_keywords
    from ..training.corpus import load_corpus

    terms = read_keywords(keywords)
    return peers([(r.text, r.severity >= 2) for r in load_corpus() if r.severity != 1], terms)


def _write_worst(scored: Scored, count: int) -> None:
    from .output import visible, write

    for title, positive in (("false positives", False), ("false negatives", True)):
        rows = [
            (p, r)
            for p, r in zip(scored.p2, scored.rows, strict=True)
            if (r.severity >= 2 if positive else r.severity == 0)
        ]
        rows.sort(key=lambda pair: pair[0] if positive else -pair[0])
        if count:
            write(f"\n### worst {title}\n")
        for p, r in rows[:count]:
            write(f"- p={p:.2f} {r.stance} {r.channel}: {visible(r.text[:120])}")


def _plain(value: Any) -> Any:
    """``value`` with what JSON has no word for (not a number) as null."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
