"""The corpus: rows of labelled text, read and checked."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..resources import data_path
from ..taxonomy import taxonomy

CHANNELS = (
    "title", "teaser", "anchor", "banner", "app_store", "forum", "weibo", "chat", "sms", "wechat_article", "qa", "comment", "news",
    "bank_notice", "web", "site_description", "court", "education", "question",
)  # fmt: skip
_FIELDS = {"id", "text", "severity", "stance", "codes", "channel", "family"}
# A mobile number that is not the reserved placeholder; card and identity numbers.
_PERSONAL = re.compile(r"(?<!\d)(?!13800000000)(?:1[3-9]\d{9}|\d{17}[\dXx]|\d{16,19})(?!\d)")
_HAN = re.compile(r"[一-鿿]")


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text. ``family`` holds texts written from one idea together; splits never cut it."""

    id: str
    text: str
    severity: int
    stance: str
    codes: tuple[str, ...]
    channel: str
    family: str


def parse_row(record: Any, where: str) -> Row:
    """A corpus row from a JSON object; raises ``DataError`` naming ``where`` and the field."""
    if not isinstance(record, dict):
        raise DataError(f"{where}: not a JSON object", code="E_DATA_ROW")
    missing = _FIELDS - record.keys()
    if missing:
        raise DataError(f"{where}: missing {', '.join(sorted(missing))}", code="E_DATA_ROW")
    known = taxonomy()
    text, severity, codes = record["text"], record["severity"], record["codes"]
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{where}: text is empty", code="E_DATA_ROW")
    if severity not in (0, 1, 2, 3) or isinstance(severity, bool):
        raise DataError(f"{where}: severity {severity!r} is not 0, 1, 2 or 3", code="E_DATA_ROW")
    if not isinstance(codes, list) or any(c not in known.codes for c in codes):
        raise DataError(f"{where}: codes {codes!r} are not all known", code="E_DATA_CODE")
    if severity == 0 and codes:
        raise DataError(f"{where}: severity 0 has no codes, found {codes}", code="E_DATA_ROW")
    if not isinstance(record["channel"], str) or record["channel"] not in CHANNELS:
        raise DataError(f"{where}: unknown channel {record['channel']!r}", code="E_DATA_ROW")
    return Row(
        id=str(record["id"]),
        text=text,
        severity=severity,
        stance=known.stance(str(record["stance"])),
        codes=tuple(codes),
        channel=record["channel"],
        family=str(record["family"]),
    )


def read_rows(path: Path) -> list[Row]:
    """Rows of one JSONL file."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}", code="E_DATA_FILE") from error
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: not JSON ({error})", code="E_DATA_ROW") from error
        rows.append(parse_row(record, where))
    return rows


def corpus_files(folder: Path | None = None) -> list[Path]:
    """The corpus files, sorted by name."""
    folder = folder or data_path("corpus")
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise DataError(f"{folder}: no .jsonl file there", code="E_DATA_FILE")
    return files


def load_corpus(folder: Path | None = None) -> list[Row]:
    """All rows under ``data/corpus``."""
    return [row for path in corpus_files(folder) for row in read_rows(path)]


def digest(files: Iterable[Path]) -> str:
    """Digest of corpus files, by name and content."""
    total = hashlib.sha256()
    for path in files:
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a validator objects to."""

    code: str
    row: str
    message: str


def han(text: str) -> str:
    """The Han characters of a text alone."""
    return "".join(_HAN.findall(text))


def validate(rows: Sequence[Row], outside: Iterable[str] = (), overlap: int = 14) -> list[Problem]:
    """Problems of a corpus: repeated ids or texts, families that leak, personal data, overlap with ``outside`` texts.

    ``overlap``: how many Han characters in a row may not also stand in an outside text.
    """
    problems = []
    for name, count in Counter(r.id for r in rows).items():
        if count > 1:
            problems.append(Problem("duplicate_id", name, f"id used {count} times"))
    by_text: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_text[han(row.text) or row.text].append(row)
        if _PERSONAL.search(row.text):
            problems.append(Problem("personal_data", row.id, "a phone, card or identity number; use 13800000000 or x"))
    for same in by_text.values():
        if len({r.family for r in same}) > 1:
            ids = ", ".join(r.id for r in same)
            problems.append(Problem("family_leak", same[0].id, f"one text in several families: {ids}"))
    grams = {g for text in outside for g in _grams(han(text), overlap)}
    if grams:
        for row in rows:
            found = next((g for g in _grams(han(row.text), overlap) if g in grams), None)
            if found:
                problems.append(
                    Problem("overlap", row.id, f"{overlap} characters in a row also stand in an outside text: {found}")
                )
    return problems


def _grams(text: str, size: int) -> Iterable[str]:
    return (text[i : i + size] for i in range(len(text) - size + 1))


def near_duplicate_share(rows: Sequence[Row], similarity: float = 0.6) -> float:
    """Share of rows whose character trigrams overlap (Jaccard) a row of another family by ``similarity`` or more."""
    sets = [frozenset(_grams(han(r.text), 3)) for r in rows]
    index: dict[str, list[int]] = defaultdict(list)
    near = 0
    for i, grams in enumerate(sets):
        shared: Counter[int] = Counter()
        for gram in grams:
            for j in index[gram]:
                shared[j] += 1
            index[gram].append(i)
        if any(
            rows[i].family != rows[j].family and n / (len(grams) + len(sets[j]) - n) >= similarity
            for j, n in shared.most_common(20)
        ):
            near += 1
    return near / max(1, len(rows))
