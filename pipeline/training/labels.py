"""Label maps: what a label of somebody else's data means in loanlint's terms."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DataError, UsageError
from ..resources import data_path
from ..taxonomy import taxonomy

FORMATS = ("jsonl", "csv", "tsv")
_KEYS = {"format", "encoding", "text_column", "label_column", "family_column", "channel", "ignore", "labels"}
_DEFAULT_STANCES = {0: "out_of_scope", 1: "promo", 2: "promo", 3: "promo"}


@dataclass(frozen=True, slots=True)
class Label:
    """Severity, stance and codes that a foreign label stands for."""

    severity: int
    stance: str
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelMap:
    """How a data set is read. ``None`` fields are left to the caller; labels in ``ignore`` are left out on purpose."""

    labels: Mapping[str, Label] = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()
    format: str | None = None
    encoding: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    family_column: str | None = None
    channel: str | None = None


def make_label(severity: Any, stance: Any, codes: Iterable[Any], where: str) -> Label:
    """A label, checked against the taxonomy; raises ``DataError`` naming ``where``."""
    known = taxonomy()
    if severity not in (0, 1, 2, 3) or isinstance(severity, bool):
        raise DataError(f"{where}: severity {severity!r} is not 0, 1, 2 or 3", code="E_DATA_LABELS")
    given = tuple(codes)
    unknown = [c for c in given if c not in known.codes]
    if unknown:
        raise DataError(f"{where}: unknown codes {unknown}; `loanlint taxonomy` lists them", code="E_DATA_LABELS")
    if severity == 0 and given:
        raise DataError(f"{where}: severity 0 has no codes, found {list(given)}", code="E_DATA_LABELS")
    try:
        name = known.stance(str(stance)) if stance else _DEFAULT_STANCES[severity]
    except DataError as error:
        raise DataError(f"{where}: {error.args[0]}", code="E_DATA_LABELS") from error
    return Label(severity, name, given)


def parse_option(text: str) -> tuple[str, Label]:
    """``LABEL=severity[:stance[:code,code]]``, as given on the command line; ``LABEL`` may hold ``=`` and ``:``."""
    name, found, meaning = text.rpartition("=")
    parts = meaning.split(":")
    if not found or not name or len(parts) > 3 or parts[0] not in ("0", "1", "2", "3"):
        raise UsageError(f"--map {text!r}: write LABEL=severity[:stance[:code,code]], such as spam=2:promo:cash_out")
    stance = parts[1] if len(parts) > 1 else ""
    codes = [c for c in parts[2].split(",") if c] if len(parts) > 2 else []
    return name, make_label(int(parts[0]), stance, codes, f"--map {text!r}")


def presets() -> list[str]:
    """Names of the label maps that come with loanlint."""
    return sorted(p.stem for p in data_path("import").glob("*.toml"))


def preset(name: str) -> LabelMap:
    """The label map of that name under ``data/import``."""
    if name not in presets():
        raise UsageError(f"no preset {name!r}; there are: {', '.join(presets())}")
    return read_label_map(data_path("import", f"{name}.toml"))


def read_label_map(path: Path) -> LabelMap:
    """A label map from a TOML file; raises ``DataError`` with what is wrong in it."""
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: not a label map ({error}). Give a TOML file.", code="E_DATA_LABELS") from error
    unknown = body.keys() - _KEYS
    if unknown:
        raise DataError(
            f"{path}: unknown keys {', '.join(sorted(unknown))}; known: {', '.join(sorted(_KEYS))}",
            code="E_DATA_LABELS",
        )
    texts = {k: body.get(k) for k in sorted(_KEYS - {"ignore", "labels"})}
    for key, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise DataError(f"{path}: {key} must be a text, found {value!r}", code="E_DATA_LABELS")
    ignore, labels = body.get("ignore", []), body.get("labels", {})
    if not isinstance(ignore, list) or not isinstance(labels, dict):
        raise DataError(f"{path}: ignore must be a list and labels a table", code="E_DATA_LABELS")
    found = {}
    for name, row in labels.items():
        where = f"{path}: labels.{name}"
        if not isinstance(row, dict) or row.keys() - {"severity", "stance", "codes"} or not isinstance(row.get("codes", []), list):  # fmt: skip
            raise DataError(f"{where}: needs severity, and may have stance and a list of codes", code="E_DATA_LABELS")
        found[name] = make_label(row.get("severity"), row.get("stance", ""), row.get("codes", []), where)
    return LabelMap(labels=found, ignore=frozenset(map(str, ignore)), **texts)
