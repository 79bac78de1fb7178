"""Codes, severities, signals, stances, actions and legal references, read from ``data/``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from .errors import DataError
from .resources import data_path

SEVERITY_LABELS = ("none", "borderline", "misleading", "illegal")
VERIFICATION_MARKS = ("clause", "secondary", "unconfirmed")


@dataclass(frozen=True, slots=True)
class Severity:
    """One step of the severity scale."""

    value: int
    label: str
    zh: str
    en: str
    action: str


@dataclass(frozen=True, slots=True)
class Code:
    """A claim code; ``legal`` holds ``ID:article`` keys into the legal register."""

    id: str
    zh: str
    en: str
    definition_zh: str
    definition_en: str
    severity: int
    tier: str
    legal: tuple[str, ...]
    weak: int | None = None
    upgrade: int | None = None
    subtags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal and the concepts that show it."""

    id: str
    zh: str
    en: str
    any: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    min_severity: int = 0
    min_length: int = 0


@dataclass(frozen=True, slots=True)
class Term:
    """A stance or an action."""

    id: str
    zh: str
    en: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LegalReference:
    """An article of an instrument that a claim may engage; never a legal finding."""

    id: str
    title_zh: str
    title_en: str
    number: str
    article: str
    gist: str
    effective_from: date
    effective_to: date | None
    verified: str
    number_verified: str

    def in_force(self, on: date) -> bool:
        """Whether the article may be cited for a text seen on that day."""
        return self.effective_from <= on and (self.effective_to is None or on <= self.effective_to)


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Everything a verdict can say."""

    version: str
    legal_version: str
    severities: tuple[Severity, ...]
    codes: dict[str, Code]
    signals: dict[str, Signal]
    stances: dict[str, Term]
    actions: dict[str, Term]
    references: dict[str, LegalReference]
    promo_legal: tuple[str, ...]

    def stance(self, name: str) -> str:
        """Stance id for a name or alias."""
        if name in self.stances:
            return name
        for term in self.stances.values():
            if name in term.aliases:
                return term.id
        raise DataError(f"unknown stance {name!r}; known: {', '.join(self.stances)}", code="E_DATA_STANCE")

    def legal(self, codes: list[str], on: date) -> list[LegalReference]:
        """References in force on a day for a promotion with the given codes, in register order."""
        keys = {key for code in codes for key in self.codes[code].legal} | set(self.promo_legal)
        return [ref for key, ref in self.references.items() if key in keys and ref.in_force(on)]


@cache
def taxonomy() -> Taxonomy:
    """The taxonomy under ``data/``; raises ``DataError`` where the files contradict each other."""
    body = _read("taxonomy.toml")
    law = _read("legal.toml")
    severities = tuple(Severity(**row) for row in body["severity"])
    if tuple(s.label for s in severities) != SEVERITY_LABELS:
        raise DataError(f"data/taxonomy.toml: severities must be {', '.join(SEVERITY_LABELS)}", code="E_DATA_TAXONOMY")
    result = Taxonomy(
        version=str(body["version"]),
        legal_version=str(law["version"]),
        severities=severities,
        codes={row["id"]: Code(**_tuples(row, "legal", "subtags")) for row in body["code"]},
        signals={row["id"]: Signal(**_tuples(row, "any", "none")) for row in body["signal"]},
        stances={row["id"]: Term(**_tuples(row, "aliases")) for row in body["stance"]},
        actions={row["id"]: Term(**row) for row in body["action"]},
        references=_references(law["reference"]),
        promo_legal=tuple(body["promo_legal"]),
    )
    cited = {key for code in result.codes.values() for key in code.legal} | set(result.promo_legal)
    for key in sorted(cited - result.references.keys()):
        raise DataError(f"data/taxonomy.toml: cites {key}, which data/legal.toml does not hold", code="E_DATA_TAXONOMY")
    for severity in severities:
        if severity.action not in result.actions:
            raise DataError(
                f"data/taxonomy.toml: severity {severity.label} names unknown action {severity.action}",
                code="E_DATA_TAXONOMY",
            )
    return result


def _read(name: str) -> dict[str, Any]:
    path = data_path(name)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not valid TOML: {error}", code="E_DATA_TAXONOMY") from error


def _tuples(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {k: tuple(v) if k in keys else v for k, v in row.items()}


def _references(rows: list[dict[str, Any]]) -> dict[str, LegalReference]:
    found = {}
    for row in rows:
        if row["verified"] not in VERIFICATION_MARKS:
            raise DataError(f"data/legal.toml: {row['id']}: unknown mark {row['verified']!r}", code="E_DATA_TAXONOMY")
        for article in row["articles"]:
            key = f"{row['id']}:{article['article']}"
            found[key] = LegalReference(
                id=row["id"],
                title_zh=row["title_zh"],
                title_en=row["title_en"],
                number=row.get("number", ""),
                article=article["article"],
                gist=article["gist"],
                effective_from=row["effective_from"],
                effective_to=row.get("effective_to"),
                verified=row["verified"],
                number_verified=row.get("number_verified", row["verified"]),
            )
    return found
