"""``loanlint evaluate``: a model measured on labelled files."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(name="evaluate")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option(
    "--model",
    "model_path",
    type=click.Path(path_type=Path),
    help="模型目录,默认内置模型。Model directory; the shipped one by default.",
)
@click.option(
    "--format",
    "output",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="输出格式。Output format.",
)
@click.option(
    "--worst",
    type=click.IntRange(0, 200),
    default=0,
    help="列出最严重的误报与漏报各 N 条。Show the N worst false positives and negatives.",
)
@click.option(
    "--record",
    "keep",
    is_flag=True,
    help="把结果写入模型目录并更新模型卡。Keep the figures with the model and renew its card.",
)
def command(files: tuple[Path, ...], model_path: Path | None, output: str, worst: int, keep: bool) -> int:
    """在标注数据上评估模型。Measure a model on labelled JSONL files (text, severity, stance, codes, channel, group)."""
    from . import require

    require("train", "numpy")
    from ..classifier import load
    from ..evaluation.bench import read_bench, score_rows, thresholds
    from ..evaluation.summary import Thresholds, summarise
    from ..evaluation.tables import render
    from .output import visible, write

    classifier = load(model_path)
    known = Thresholds(thresholds(classifier), classifier.artefact.code_thresholds)
    results = {}
    tables = {}
    for file in files:
        scored = score_rows(read_bench(file), classifier)
        results[str(file)] = summary = summarise(scored, known)
        tables[file.name] = render(file.name, summary)
        if output == "text":
            write(tables[file.name])
            for title, wanted, order in (("false positives", 0, -1), ("false negatives", 2, 1)):
                rows = [
                    (p, r)
                    for p, r in zip(scored.p2, scored.rows, strict=True)
                    if (r.severity == 0 if wanted == 0 else r.severity >= 2)
                ]
                rows.sort(key=lambda pair: order * pair[0])
                if worst:
                    write(f"\n### worst {title}\n")
                for p, r in rows[:worst]:
                    write(f"- p={p:.2f} {r.stance} {r.channel}: {visible(r.text[:120])}")
            write("")
    if output == "json":
        write(json.dumps(results, ensure_ascii=False, indent=2))
    if keep:
        from ..model.card import record

        record(classifier.artefact.path, tables)
    return 0
