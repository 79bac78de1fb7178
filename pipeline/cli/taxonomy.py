"""``loanlint taxonomy``: codes, signals, severities and the law behind them."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date

import click

from ..errors import UsageError
from ..taxonomy import taxonomy


@click.command(name="taxonomy")
@click.argument("code", required=False)
@click.option(
    "--format",
    "output",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="输出格式。Output format.",
)
@click.option("--date", "on", metavar="YYYY-MM-DD", help="按该日有效的法规,默认今天。Law in force on this day.")
def command(code: str | None, output: str, on: str | None) -> int:
    """列出分类代码、信号、级别与法规依据。List codes, signals, severities and legal references; or show one CODE."""
    from .output import write

    known = taxonomy()
    try:
        day = date.fromisoformat(on) if on else date.today()
    except ValueError as error:
        raise UsageError(f"--date {on!r} is not a day; write it as 2026-09-30") from error
    if code is not None and code not in known.codes:
        raise UsageError(f"unknown code {code!r}; known: {', '.join(known.codes)}")
    codes = [known.codes[code]] if code else list(known.codes.values())
    if output == "json":
        document = {
            "version": known.version,
            "legal_version": known.legal_version,
            "date": day.isoformat(),
            "severities": [asdict(s) for s in known.severities],
            "codes": [
                {
                    **asdict(c),
                    "legal": [
                        {
                            "id": r.id,
                            "article": r.article,
                            "title": r.title_zh,
                            "effective_from": r.effective_from.isoformat(),
                            "verified": r.verified,
                            "relation": "may_engage",
                        }
                        for r in known.legal([c.id], day)
                    ],
                }
                for c in codes
            ],
            "signals": [asdict(s) for s in known.signals.values()],
            "stances": [asdict(s) for s in known.stances.values()],
            "actions": [asdict(a) for a in known.actions.values()],
        }
        write(json.dumps(document, ensure_ascii=False, indent=2))
        return 0
    if code is None:
        write(f"taxonomy {known.version}, legal register {known.legal_version}, law in force on {day}")
        for s in known.severities:
            write(f"  {s.value} {s.label:<12}{s.zh}  {s.en}")
    for c in codes:
        write("")
        write(f"{c.id}  {c.zh}  (severity {c.severity}{f'–{c.upgrade}' if c.upgrade else ''}, {c.tier})")
        write(f"  {c.definition_zh}")
        write(f"  {c.definition_en}")
        for r in known.legal([c.id], day):
            article = f"第{r.article}条" if r.article else ""
            mark = "" if r.verified == "clause" else f" [{r.verified}]"
            write(f"  可能涉及 may engage: 《{r.title_zh}》{article} (自 {r.effective_from} 起){mark}")
    if code is None:
        write("\nsignals: " + ", ".join(f"{s.id} {s.zh}" for s in known.signals.values()))
        write("stances: " + ", ".join(f"{s.id} {s.zh}" for s in known.stances.values()))
    return 0
