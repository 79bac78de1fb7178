"""``data/README.md``: figures of the corpus set into hand-written prose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median, quantiles
from string import Template

from ..errors import DataError
from ..resources import data_path
from ..taxonomy import SEVERITY_LABELS, taxonomy
from .corpus import Row, digest, near_duplicate_share
from .duplicates import SIMILARITY

_SIZES = ((1, 1), (2, 2), (3, 5), (6, 10), (11, 10**9))


def render_card(files: Mapping[Path, Sequence[Row]], template: str | None = None) -> str:
    """The card of a corpus given by file; raises ``DataError`` where the template names an unknown figure."""
    rows = [row for part in files.values() for row in part]
    known = taxonomy()
    if template is None:
        template = data_path("card", "README.template.md").read_text(encoding="utf-8")
    families = Counter(r.family for r in rows)
    figures = {
        "rows": f"{len(rows):,}",
        "families": f"{len(families):,}",
        "digest": digest(files)[:16],
        "similarity": f"{SIMILARITY:g}",
        "near_any": _percent(near_duplicate_share(rows, across=False)),
        "near_across": _percent(near_duplicate_share(rows)),
        "repeats": f"{len(rows) - len({r.text for r in rows}):,}",
        "severity_table": _table(
            ["severity", "", "texts", "share", "families"],
            (
                [str(s.value), f"{s.zh} {s.label}", *_counted(rows, [r for r in rows if r.severity == s.value])]
                for s in known.severities
            ),
        ),
        "stance_table": _split_table("stance", rows, {s.id: s.zh for s in known.stances.values()}, _stances(rows)),
        "code_table": _split_table("code", rows, {c.id: c.zh for c in known.codes.values()}, _codes(rows)),
        "channel_table": _split_table("channel", rows, {}, _channels(rows)),
        "source_table": _source_table(files),
        "family_table": _family_table(families),
        "length_table": _length_table(rows),
    }
    try:
        return Template(template).substitute(figures)
    except (KeyError, ValueError) as error:
        raise DataError(
            f"data/card/README.template.md: {error!r} is no figure; known: {', '.join(figures)}", code="E_DATA_CARD"
        ) from error


def _stances(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {s: [r for r in rows if r.stance == s] for s in taxonomy().stances}


def _codes(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {c: [r for r in rows if c in r.codes] for c in taxonomy().codes}


def _channels(rows: Sequence[Row]) -> dict[str, list[Row]]:
    return {c: [r for r in rows if r.channel == c] for c in sorted({r.channel for r in rows})}


def _split_table(title: str, rows: Sequence[Row], names: Mapping[str, str], parts: Mapping[str, list[Row]]) -> str:
    """Counts of each part, and how its texts spread over the severities."""
    ordered = sorted(parts.items(), key=lambda item: (-len(item[1]), item[0]))
    return _table(
        [title, *([""] if names else []), "texts", "share", "families", *SEVERITY_LABELS],
        ([f"`{k}`", *([names[k]] if names else []), *_counted(rows, part), *_by_severity(part)] for k, part in ordered),
    )


def _source_table(files: Mapping[Path, Sequence[Row]]) -> str:
    return _table(
        ["file", "texts", "families", *SEVERITY_LABELS, "most frequent channels", "mean length"],
        (
            [
                f"`{path.name}`",
                f"{len(rows):,}",
                f"{len({r.family for r in rows}):,}",
                *_by_severity(rows),
                ", ".join(c for c, _ in Counter(r.channel for r in rows).most_common(3)),
                f"{mean(len(r.text) for r in rows):.0f}" if rows else "–",
            ]
            for path, rows in files.items()
        ),
    )


def _family_table(families: Counter[str]) -> str:
    sizes = list(families.values())
    rows = []
    for low, high in _SIZES:
        inside = [s for s in sizes if low <= s <= high]
        name = f"{low}" if low == high else f"{low}–{high}" if high < 10**9 else f"{low} or more"
        rows.append([name, f"{len(inside):,}", f"{sum(inside):,}"])
    head = (
        f"Families hold {mean(sizes):.2f} texts on average, {median(sizes):g} in the median, {max(sizes)} at most.\n\n"
    )
    return head + _table(["texts in the family", "families", "texts"], rows)


def _length_table(rows: Sequence[Row]) -> str:
    found = []
    for value, label in enumerate(SEVERITY_LABELS):
        lengths = [len(r.text) for r in rows if r.severity == value]
        if len(lengths) > 1:
            low, middle, high = quantiles(lengths, n=4, method="inclusive")
            found.append(
                [label, f"{mean(lengths):.0f}", f"{low:.0f}", f"{middle:.0f}", f"{high:.0f}", str(max(lengths))]
            )
    return _table(["severity", "mean", "lower quartile", "median", "upper quartile", "longest"], found)


def _counted(rows: Sequence[Row], part: Sequence[Row]) -> list[str]:
    return [f"{len(part):,}", _percent(len(part) / max(1, len(rows))), f"{len({r.family for r in part}):,}"]


def _by_severity(rows: Sequence[Row]) -> list[str]:
    counts = Counter(r.severity for r in rows)
    return [f"{counts[s]:,}" if counts[s] else "–" for s in range(len(SEVERITY_LABELS))]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" for _ in head) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(r) + " |" for r in rows)])
