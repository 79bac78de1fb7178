"""``loanlint train``: a model from the corpus."""

from __future__ import annotations

from pathlib import Path

import click

from .options import corpus_option


@click.command(name="train")
@corpus_option
@click.option(
    "--extra",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="另加自己的标注数据(JSONL)。Your own labelled rows, too.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="写入的模型目录。Model directory to write.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="并行数,不影响结果。Threads; does not change the result.",
)
def command(folder: Path | None, extra: tuple[Path, ...], out: Path, jobs: int) -> int:
    """用语料训练模型;同样的数据得到同样的字节。Train a model; the same data give the same bytes."""
    from . import require

    require("train", "sklearn")
    from ..errors import UsageError
    from ..model.card import write_card
    from ..training.corpus import corpus_files, digest, load_corpus, merge_families, read_rows, validate
    from ..training.train import TrainSettings, train
    from .output import write

    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file; name a directory")
    files = [*corpus_files(folder), *extra]
    rows = [*load_corpus(folder), *(row for file in extra for row in read_rows(file))]
    if extra:
        rows = merge_families(rows)
    problems = validate(rows)
    for problem in problems[:10]:
        click.echo(f"{problem.code} {problem.row}: {problem.message}", err=True)
    if problems:
        raise UsageError(f"{len(problems)} problems in the corpus; run `loanlint data validate`")
    trained = train(rows, out, digest(files), TrainSettings(), jobs)
    write_card(out)
    write(f"{out}: model {trained.version}, {len(rows):,} texts, {trained.features:,} features")
    return 0
