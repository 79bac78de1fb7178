"""``loanlint review``: what came of the review queue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from .service_options import database, opened


@click.group(name="review")
def command() -> None:
    """审核结果:导出、报告、金标。What came of the review queue."""


@command.command()
@click.option("--out", type=click.Path(path_type=Path), help="写入的文件,默认标准输出。File to write; standard output by default.")  # fmt: skip
@database
def export(out: Path | None, database: str) -> int:
    """把审核结论导出为语料行,供 loanlint train --extra 使用。Decisions as corpus rows for `loanlint train --extra`."""
    with opened(database) as store:
        from ..errors import UsageError
        from ..service.review.export import export_rows
        from ..training.corpus import load_corpus
        from .output import write

        rows = export_rows(store, load_corpus())
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        if out is None:
            for line in lines:
                write(line)
        else:
            try:
                out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            except OSError as error:
                raise UsageError(f"--out {out}: cannot be written ({error.strerror})") from error
    click.echo(f"loanlint: {len(rows)} rows", err=True)
    return 0


@command.command()
@click.option("--model", type=click.Path(path_type=Path), help="模型目录,其 profile.json 是漂移的基准。Model whose profile drift is measured against.")  # fmt: skip
@click.option("--format", "output", type=click.Choice(("text", "json")), default="text", show_default=True, help="输出格式。Format.")  # fmt: skip
@database
def report(model: Path | None, output: str, database: str) -> int:
    """报告:各类别准确率、误报原因、一致率、漂移。Precision per code, false-positive reasons, agreement, drift."""
    with opened(database) as store:
        from ..resources import default_model_path
        from ..service.review.profile import read_profile
        from ..service.review.report import review_report
        from .output import write

        found = review_report(store, read_profile(model or default_model_path()))
    if output == "json":
        write(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        for line in _lines(found):
            write(line)
    return 0


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), help="判定用的模型。Model that judges them.")
@database
def golden(file: Path, model: Path | None, database: str) -> int:
    """加入金标文本(语料格式的 JSONL),用来衡量审核员。Add golden items (JSONL in corpus form) that measure reviewers."""
    from ..training.corpus import read_rows

    rows = read_rows(file)
    with opened(database) as store:
        from ..classifier import load
        from ..service.review.golden import add_golden

        count = add_golden(store, rows, load(model))
    click.echo(f"loanlint: {count} golden items", err=True)
    return 0


@command.command()
@click.option("--older-than", "days", type=click.FloatRange(0), required=True, metavar="DAYS", help="多少天以来既未再出现、也未审核。Neither met nor decided on for so many days.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="只统计,不删除。Count only, remove nothing.")
@database
def purge(days: float, dry_run: bool, database: str) -> int:
    """删除旧文本,保留结论与计数。Remove old texts; decisions and counts stay.

    Removes texts with their verdicts, places, callers' ids, notes, examples of shadow scoring and finished webhook messages. Texts still
    waiting for a reviewer go, too. Golden items stay.
    """
    import time

    with opened(database) as store:
        from ..service.retention import count_old, purge
        from .output import write

        now = time.time()
        before = now - days * 86_400
        found = count_old(store, before, now) if dry_run else purge(store, before, now)
        verb = "将删除 would remove" if dry_run else "已删除 removed"
        states = ", ".join(f"{name} {count}" for name, count in sorted(found.texts.items())) or "-"
        write(f"{verb}: 文本 texts {sum(found.texts.values())} ({states}), 对比样例 shadow examples {found.examples}, 已结束的消息 finished messages {found.messages}")  # fmt: skip
    return 0


def _share(found: dict[str, Any]) -> str:
    if not found["total"]:
        return "-"
    return f"{found['share']:.1%} ({found['right']}/{found['total']}, {found['low']:.1%}–{found['high']:.1%})"


def _lines(found: dict[str, Any]) -> list[str]:
    from .output import code_name, visible

    lines = [
        f"已审 items {found['items']}, 决定 decisions {found['decisions']}",
        "状态 states: "
        + (", ".join(f"{k} {v}" for k, v in found["states"].items()) or "-")
        + f"; 已删除文本 text removed {found['purged']}",
        f"命中准确率 precision of flagged: {_share(found['flagged_precision'])}",
        f"未命中中的漏报 misleading among unflagged: {_share(found['missed'])}",
        "各类别准确率 precision per code:",
        *(f"  {code_name(code)}: {_share(share)}" for code, share in found["codes"].items()),
        "误报原因 false-positive reasons: "
        + (", ".join(f"{k} {v}" for k, v in found["false_positive_reasons"].items()) or "-"),
        "申诉 appeals: {total}, 维持 upheld {upheld}, 改判 changed {changed}".format(**found["appeals"]),
    ]
    same = found["agreement"]
    lines += [
        f"一致率 agreement on {same['pairs']} pairs: {_share(same['misleading'])}, "
        f"severity and codes {_share(same['severity_and_codes'])}, kappa {'-' if same['kappa'] is None else same['kappa']}",
        "审核员 reviewers:",
    ]
    for actor, row in found["reviewers"].items():
        lines.append(f"  {visible(actor)}: {row['decisions']} decisions, golden {_share(row['golden'])}")
    drift = found["drift"]
    lines.append(f"漂移 drift over {drift['texts']} stored texts: PSI {'-' if drift['psi'] is None else drift['psi']}")
    lines += [f"  {t['term']}: {t['reference']:.1%} → {t['stored']:.1%}" for t in drift["terms"]]
    return lines
