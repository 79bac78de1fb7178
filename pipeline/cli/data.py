"""``loanlint data``: the corpus checked and described."""

from __future__ import annotations

from pathlib import Path

import click


@click.group(name="data")
def command() -> None:
    """检查与描述语料。Check and describe the corpus."""


@command.command()
@click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path),
    help="语料目录,默认 data/corpus。Corpus folder; data/corpus by default.",
)
@click.option(
    "--against",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="语料不得与之重合的外部文本(JSONL)。Outside texts that the corpus must not overlap.",
)
def validate(folder: Path | None, against: tuple[Path, ...]) -> int:
    """检查语料:重复、未知代码、家族泄漏、个人信息、与外部文本重合。

    Check the corpus: repeated ids, unknown codes, leakage between families, personal data, overlap with outside texts.
    """
    from ..evaluation.bench import read_bench
    from ..training.corpus import load_corpus
    from ..training.corpus import validate as check
    from . import require
    from .output import write

    require("train", "numpy")
    rows = load_corpus(folder)
    problems = check(rows, (r.text for file in against for r in read_bench(file)))
    for problem in problems:
        write(f"{problem.code} {problem.row}: {problem.message}")
    write(f"{len(rows):,} 条语料,{len(problems)} 个问题 · {len(rows):,} rows, {len(problems)} problems")
    return 1 if problems else 0
