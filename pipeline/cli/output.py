"""Verdicts in the formats of the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..taxonomy import taxonomy
from ..verdict import Verdict
from ..visible import visible as visible

if TYPE_CHECKING:
    from rich.text import Text

_STYLES = ("green", "yellow", "bold red", "bold white on red")


@dataclass(frozen=True, slots=True)
class Item:
    """A text to check and where it came from."""

    id: str
    text: str
    source: str
    line: int


Pairs = Iterable[tuple[Item, Verdict]]


def emit(pairs: Pairs, output: str | None, explain: bool) -> int:
    """Print verdicts as they come; returns how many are flagged."""
    if output is None:
        output = "human" if sys.stdout.isatty() else "text"
    writers = {"human": _human, "text": _text, "json": _json, "jsonl": _jsonl, "github": _github, "sarif": _sarif}
    return writers[output](pairs, explain)


def code_name(code: str) -> str:
    """Chinese name and id of a code."""
    return f"{taxonomy().codes[code].zh} {code}"


def action_name(action: str) -> str:
    """Chinese name and id of an action."""
    return f"{taxonomy().actions[action].zh} {action}"


def _json(pairs: Pairs, explain: bool) -> int:
    rows = [v for _, v in pairs]
    write(json.dumps([v.to_dict() for v in rows], ensure_ascii=False, indent=2))
    return sum(v.flagged for v in rows)


def _jsonl(pairs: Pairs, explain: bool) -> int:
    flagged = 0
    for _, verdict in pairs:
        write(json.dumps(verdict.to_dict(), ensure_ascii=False))
        flagged += verdict.flagged
    return flagged


def write(line: str) -> None:
    """One line to standard output, as UTF-8 whatever the terminal's locale."""
    sys.stdout.buffer.write(line.encode("utf-8", "replace") + b"\n")


def one_line(verdict: Verdict, where: str) -> str:
    """``where: label p codes | words``: the line of the text format."""
    codes = ",".join(c.code for c in verdict.codes) or "-"
    words = " … ".join(visible(e.raw.replace("\n", " ")) for e in verdict.evidence)
    note = " (文本过短 too short to judge)" if verdict.abstain else ""
    head = f"{where}: {verdict.label} p={verdict.p_misleading:.2f} {codes}"
    return head + (f" | {words}" if words else "") + note


def _text(pairs: Pairs, explain: bool) -> int:
    flagged = 0
    for item, verdict in pairs:
        write(one_line(verdict, f"{item.source}:{item.line}"))
        if explain:
            for line in explanation(verdict):
                write("    " + line)
        flagged += verdict.flagged
    return flagged


def explanation(verdict: Verdict) -> list[str]:
    """Why, in lines: evidence, undone disguises, signals, legal references, what to do."""
    known = taxonomy()
    lines = []
    for e in verdict.evidence:
        name = f" → {code_name(e.code)}" if e.code else ""
        lines.append(f"证据 evidence  [{e.start}:{e.end}] “{visible(e.raw)}”{name} (+{e.weight:.2f})")
    for v in verdict.evasions:
        lines.append(f"规避 disguise  [{v.start}:{v.end}] “{visible(v.raw)}” = “{v.canonical}” ({v.kind})")
    if verdict.signals:
        lines.append("信号 signals   " + ", ".join(f"{known.signals[s].zh} {s}" for s in verdict.signals))
    for r in verdict.legal_refs:
        article = f"第{r.article}条" if r.article else ""
        mark = "" if r.verified == "clause" else f" [{r.verified}]"
        lines.append(f"可能涉及 may engage  《{r.title}》{article} (自 {r.effective_from} 起){mark}")
    stance = known.stances[verdict.stance]
    lines.append(f"立场 stance    {stance.zh} {verdict.stance} · 建议 action {action_name(verdict.action)}")
    return lines


def highlighted(verdict: Verdict) -> Text:
    """The raw text with its evidence underlined, for a terminal."""
    from rich.text import Text

    out = Text()
    at = 0
    for e in verdict.evidence:
        out.append(visible(verdict.text[at : e.start]))
        out.append(visible(verdict.text[e.start : e.end]), style="underline " + _STYLES[max(1, verdict.severity)])
        at = e.end
    out.append(visible(verdict.text[at:]))
    return out


def headline(verdict: Verdict) -> Text:
    """Severity, probability and codes, coloured."""
    from rich.text import Text

    severity = taxonomy().severities[verdict.severity]
    out = Text()
    out.append(f" {severity.zh} {severity.label} ", style=_STYLES[verdict.severity] + " reverse")
    out.append(f" {verdict.p_misleading:.0%}", style="bold")
    if verdict.abstain:
        out.append("  文本过短,无法判断 too short to judge", style="dim")
    for code in verdict.codes:
        out.append(f"  {code_name(code.code)}", style=_STYLES[max(1, code.severity)])
    return out


def _human(pairs: Pairs, explain: bool) -> int:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    flagged = count = 0
    for _, verdict in pairs:
        count += 1
        flagged += verdict.flagged
        if count > 1:
            console.print()
        console.print(headline(verdict))
        console.print(Padding(highlighted(verdict), (0, 2)))
        if explain:
            for line in explanation(verdict):
                console.print(Padding(Text(line, style="dim"), (0, 4)))
    if count > 1:
        console.print(f"\n{count} 条文本,命中 {flagged} 条 · {count} texts, {flagged} flagged", style="bold")
    return flagged


def _github(pairs: Pairs, explain: bool) -> int:
    flagged = 0
    for item, verdict in pairs:
        if verdict.flagged:
            flagged += 1
            level = "error" if verdict.severity == 3 else "warning"
            start = verdict.evidence[0].start + 1 if verdict.evidence else 1
            names = ", ".join(code_name(c.code) for c in verdict.codes) or verdict.label
            words = "; ".join(f"“{visible(e.raw)}”" for e in verdict.evidence)
            message = _escape(f"{verdict.label} p={verdict.p_misleading:.2f} {names} {words}".strip())
            file = _escape_property(item.source)
            write(f"::{level} file={file},line={item.line},col={start},title=loanlint::{message}")
    return flagged


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _sarif(pairs: Pairs, explain: bool) -> int:
    from .. import __version__

    known = taxonomy()
    results: list[dict[str, Any]] = []
    flagged = 0
    for item, verdict in pairs:
        if not verdict.flagged:
            continue
        flagged += 1
        rule = verdict.codes[0].code if verdict.codes else f"severity_{verdict.label}"
        words = "; ".join(f"“{e.raw}”" for e in verdict.evidence)
        region: dict[str, Any] = {"startLine": item.line}
        if verdict.evidence:
            region["startColumn"] = verdict.evidence[0].start + 1
            region["endColumn"] = verdict.evidence[-1].end + 1
        results.append(
            {
                "ruleId": rule,
                "level": "error" if verdict.severity == 3 else "warning",
                "message": {"text": f"{verdict.label} (p={verdict.p_misleading:.2f}) {words}".strip()},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": item.source}, "region": region}}],
                "properties": {
                    "severity": verdict.severity,
                    "p_misleading": verdict.p_misleading,
                    "codes": [c.code for c in verdict.codes],
                    "action": verdict.action,
                },
            }
        )
    rules = [
        {
            "id": code.id,
            "name": code.id,
            "shortDescription": {"text": f"{code.zh} {code.en}"},
            "fullDescription": {"text": f"{code.definition_zh}。{code.definition_en}."},
        }
        for code in known.codes.values()
    ]
    rules += [
        {"id": f"severity_{s.label}", "name": s.label, "shortDescription": {"text": f"{s.zh} {s.en}"}}
        for s in known.severities[1:]
    ]
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "loanlint", "version": __version__, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": results,
            }
        ],
    }
    write(json.dumps(document, ensure_ascii=False, indent=2))
    return flagged
