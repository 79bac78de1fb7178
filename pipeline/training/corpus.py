"""The corpus: rows of labelled text, read and checked."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..resources import data_path
from ..taxonomy import taxonomy
from .duplicates import SIMILARITY, clusters, grams, han, near_pairs
from .personal import find_personal

CHANNELS = (
    "title", "teaser", "anchor", "banner", "app_store", "forum", "weibo", "chat", "sms", "wechat_article", "qa", "comment", "news",
    "bank_notice", "web", "site_description", "court", "education", "question",
)  # fmt: skip
_FIELDS = {"id", "text", "severity", "stance", "codes", "channel", "family"}


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


def validate(
    rows: Sequence[Row], outside: Iterable[str] = (), overlap: int = 14, similarity: float = SIMILARITY
) -> list[Problem]:
    """Problems of a corpus: repeated ids or texts, families that leak, personal data, overlap with ``outside`` texts.

    ``overlap``: how many Han characters in a row may not also stand in an outside text. ``similarity``: from which Jaccard
    overlap of trigrams two texts must be of one family.
    """
    problems = []
    for name, count in Counter(r.id for r in rows).items():
        if count > 1:
            problems.append(Problem("duplicate_id", name, f"id used {count} times; give each row its own"))
    by_text: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_text[han(row.text) or row.text].append(row)
        for kind in sorted({p.kind for p in find_personal(row.text)}):
            problems.append(Problem("personal_data", row.id, f"holds a {kind}; use 13800000000 or x in its place"))
    for same in by_text.values():
        if len({r.family for r in same}) > 1:
            ids = ", ".join(r.id for r in same)
            problems.append(Problem("family_leak", same[0].id, f"one text in several families: {ids}; give them one"))
    for i, j in near_pairs([r.text for r in rows], similarity):
        one, other = rows[i], rows[j]
        if one.family != other.family and (han(one.text) or one.text) != (han(other.text) or other.text):
            problems.append(
                Problem(
                    "near_leak", one.id, f"nearly the text of {other.id}, but families {one.family} and {other.family}"
                )
            )
    problems += _overlaps(rows, outside, overlap)
    return problems


def _overlaps(rows: Sequence[Row], outside: Iterable[str], size: int) -> Iterator[Problem]:
    """One problem a row that shares a run of ``size`` Han characters with an outside text."""
    texts = iter(outside)
    first = next(texts, None)
    if first is None:
        return
    where: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        for gram in set(grams(han(row.text), size)):
            where[gram].append(number)
    told: set[int] = set()
    for text in (first, *texts):
        for gram in grams(han(text), size):
            for number in where.get(gram, ()):
                if number not in told:
                    told.add(number)
                    message = f"{size} characters in a row also stand in an outside text: {gram}"
                    yield Problem("overlap", rows[number].id, message)


def outside_texts(path: Path) -> Iterator[str]:
    """Texts of a file, or of all files of a folder: JSONL and JSONL.gz (field ``text``), and plain text by line."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    known = [p for p in files if p.name.endswith((".jsonl", ".jsonl.gz", ".txt"))]
    if not known:
        raise DataError(f"{path}: no .jsonl, .jsonl.gz or .txt file there. Check --against.", code="E_DATA_FILE")
    for file in known:
        try:
            with (
                gzip.open(file, "rt", encoding="utf-8")
                if file.suffix == ".gz"
                else file.open(encoding="utf-8") as lines
            ):
                for number, line in enumerate(lines, 1):
                    if file.suffix == ".txt":
                        yield line
                    elif line.strip():
                        try:
                            yield str(json.loads(line)["text"])
                        except (ValueError, KeyError, TypeError) as error:
                            raise DataError(
                                f"{file}:{number}: no JSON object with a text. Mend or leave out the file.",
                                code="E_DATA_ROW",
                            ) from error
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise DataError(f"{file}: cannot be read: {error}. Check the file.", code="E_DATA_FILE") from error


def merge_families(rows: Sequence[Row], similarity: float = SIMILARITY) -> list[Row]:
    """The rows with near-duplicate texts in one family, so that data from several places cannot leak between folds."""
    first = clusters([r.text for r in rows], [r.family for r in rows], similarity)
    return [replace(row, family=rows[at].family) for row, at in zip(rows, first, strict=True)]


def near_duplicate_share(rows: Sequence[Row], similarity: float = SIMILARITY, *, across: bool = True) -> float:
    """Share of rows with a near duplicate (Jaccard overlap of trigrams): in another family, or (``across=False``) in any."""
    near = {
        number
        for i, j in near_pairs([r.text for r in rows], similarity)
        if not across or rows[i].family != rows[j].family
        for number in (i, j)
    }
    return len(near) / max(1, len(rows))
