"""``loanlint data``: the corpus checked and described, other data brought in."""

from __future__ import annotations

from pathlib import Path

import click

from .options import corpus_option

_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv"}


@click.group(name="data")
def command() -> None:
    """检查与描述语料,导入外部标注数据。Check and describe the corpus, import labelled data."""


@command.command()
@corpus_option
@click.option(
    "--against",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="语料不得与之重合的外部文本:文件或目录(JSONL、JSONL.gz、TXT)。Outside texts the corpus must not overlap: files or folders.",
)
def validate(folder: Path | None, against: tuple[Path, ...]) -> int:
    """检查语料:重复、未知代码、家族泄漏、个人信息、与外部文本重合。

    Check the corpus: repeated ids, unknown codes, leakage between families (near duplicates too), personal data, overlap with outside texts.
    """
    from ..errors import UsageError
    from ..training.corpus import load_corpus, outside_texts
    from ..training.corpus import validate as check
    from .output import write

    for path in against:
        if not path.exists():
            raise UsageError(f"--against {path}: no such file or folder")
    rows = load_corpus(folder)
    problems = check(rows, (text for path in against for text in outside_texts(path)))
    for problem in problems:
        write(f"{problem.code} {problem.row}: {problem.message}")
    write(f"{len(rows):,} 条语料,{len(problems)} 个问题 · {len(rows):,} rows, {len(problems)} problems")
    return 1 if problems else 0


@command.command()
@corpus_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="写入的文件,默认 data/README.md。File to write; data/README.md by default.",
)
@click.option(
    "--check", is_flag=True, help="只检查是否过期,过期退出码 1。Only say whether the card is stale (status 1)."
)
def card(folder: Path | None, out: Path | None, check: bool) -> int:
    """由语料生成数据说明 data/README.md。Write the data card from the corpus and its template."""
    from ..errors import UsageError
    from ..resources import data_path
    from ..training.corpus import corpus_files, read_rows
    from ..training.datacard import render_card
    from .output import write

    out = out or data_path() / "README.md"
    text = render_card({path: read_rows(path) for path in corpus_files(folder)})
    if check:
        fresh = out.is_file() and out.read_text(encoding="utf-8", errors="replace") == text
        write(f"{out}: " + ("与语料一致 up to date" if fresh else "已过期,请运行 stale; run: loanlint data card"))
        return 0 if fresh else 1
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written ({error.strerror})") from error
    write(str(out))
    return 0


@command.command(name="import")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="写入的 JSONL 文件。JSONL file to write.")
@click.option("--preset", metavar="NAME", help="内置的标签对照(data/import)。A label map that comes with loanlint.")
@click.option(
    "--map-file", type=click.Path(path_type=Path), metavar="FILE", help="自己的标签对照(TOML)。A label map of your own."
)
@click.option(
    "--map",
    "mappings",
    multiple=True,
    metavar="LABEL=SEVERITY[:STANCE[:CODE,CODE]]",
    help="一个标签的含义,可重复。What a label means; repeatable, goes before the label map.",
)
@click.option("--text-column", metavar="NAME", help="文本列,默认 text。Column of the text; text by default.")
@click.option("--label-column", metavar="NAME", help="标签列,默认 label。Column of the label; label by default.")
@click.option("--family-column", metavar="NAME", help="同值的行归一个家族。Rows with the same value become one family.")
@click.option("--channel", metavar="NAME", help="渠道,默认 web。Channel of the texts; web by default.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("jsonl", "csv", "tsv")),
    help="文件格式,默认按后缀。Format; by the file's suffix if not given.",
)
@click.option("--encoding", metavar="NAME", help="编码,默认 utf-8;常见的还有 gb18030。Encoding; utf-8 by default.")
def import_(
    file: Path,
    out: Path,
    preset: str | None,
    map_file: Path | None,
    mappings: tuple[str, ...],
    text_column: str | None,
    label_column: str | None,
    family_column: str | None,
    channel: str | None,
    form: str | None,
    encoding: str | None,
) -> int:
    """把外部标注数据转成语料格式,可用于 train --extra。

    Make labelled data of others into corpus rows, for `loanlint train --extra`. Near duplicates become one family, personal data are
    masked, rows that cannot be used are counted with their reason.
    """
    from ..errors import UsageError
    from ..training.imports import ImportSettings, as_json, import_rows, summary
    from ..training.labels import LabelMap, parse_option, read_label_map
    from ..training.labels import preset as read_preset
    from .output import visible, write

    if preset and map_file:
        raise UsageError("give --preset or --map-file, not both")
    if not file.is_file():
        raise UsageError(f"{file}: no such file")
    if out.is_dir() or not out.parent.is_dir() or (out.exists() and out.samefile(file)):
        raise UsageError(f"--out {out}: name another file, in a folder that exists")
    known = read_preset(preset) if preset else read_label_map(map_file) if map_file else LabelMap()
    settings = ImportSettings(
        labels={**known.labels, **dict(map(parse_option, mappings))},
        name=file.stem,
        text_column=text_column or known.text_column or "text",
        label_column=label_column or known.label_column or "label",
        family_column=family_column or known.family_column,
        channel=channel or known.channel or "web",
        format=form or known.format or _SUFFIXES.get(file.suffix.lower(), "jsonl"),
        encoding=encoding or known.encoding or "utf-8",
        ignore=known.ignore,
    )
    imported = import_rows(file, settings)
    try:
        out.write_text("".join(as_json(row) + "\n" for row in imported.rows), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written ({error.strerror})") from error
    families = len({r.family for r in imported.rows})
    write(
        f"{out}: {len(imported.rows):,} / {imported.read:,} 条 rows, {families:,} 个家族 families, "
        f"{imported.masked:,} 处已遮盖 masked ({summary(imported)})"
    )
    left_out = sum(map(len, imported.left_out.values()))
    if left_out:
        write(f"未导入 left out: {left_out:,}")
        for reason in imported.reasons():
            write("  " + visible(reason))
    return 0
