"""Columns turned into ``Verdict`` objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date as Date
from itertools import groupby

from ..classifier import CheckSettings
from ..taxonomy import SEVERITY_LABELS, taxonomy
from ..verdict import CodeScore, EvasionNote, Evidence, LegalNote, Segment, Verdict
from .columns import Columns, Evasions, EvidenceSpans
from .jit import Array


class Objects:
    """Columns turned into ``Verdict`` objects."""

    def __init__(
        self,
        columns: Columns,
        settings: CheckSettings,
        legal: Callable[[Sequence[CodeScore], Date], tuple[LegalNote, ...]],
    ) -> None:
        self._columns = columns
        self._notes = legal
        self._date = settings.date or Date.today()
        self._codes = tuple(taxonomy().codes.values())
        self._legal: dict[int, tuple[LegalNote, ...]] = {}

    def verdicts(
        self, texts: Sequence[str], ids: Sequence[str] | None, segment: Segment | None = None
    ) -> list[Verdict]:
        """One verdict a text; ids are positions unless given."""
        columns = self._columns
        evidence = _by_text(columns.evidence, columns.evidence.text)
        evasions = _by_text(columns.evasions, columns.evasions.text)
        chances = dict(zip(columns.scored.tolist(), columns.code_probabilities, strict=True))
        rows = zip(
            texts,
            columns.severity.tolist(),
            columns.score.tolist(),
            columns.probabilities[:, 1].tolist(),
            columns.flagged.tolist(),
            columns.action.tolist(),
            columns.codes.tolist(),
            columns.signals.tolist(),
            columns.stance.tolist(),
            columns.jurisdiction.tolist(),
            columns.abstain.tolist(),
            strict=True,
        )
        found = []
        for i, (text, severity, score, p, flagged, action, code, signal, stance, place, abstain) in enumerate(rows):
            codes = self._code_scores(code, severity, chances[i]) if code else ()
            jurisdiction = columns.jurisdiction_names[place]
            legal = self._legal_notes(code, codes) if severity >= 2 and jurisdiction == "CN" else ()
            found.append(
                Verdict(
                    id=str(i) if ids is None else ids[i],
                    text=text,
                    severity=severity,
                    label=SEVERITY_LABELS[severity],
                    score=score,
                    p_misleading=p,
                    flagged=flagged,
                    action=columns.action_names[action],
                    codes=codes,
                    signals=_named(signal, columns.signal_names) if signal else (),
                    stance=columns.stance_names[stance],
                    evidence=self._evidence(text, *evidence[i]) if i in evidence else (),
                    evasions=self._evasions(text, *evasions[i]) if i in evasions else (),
                    legal_refs=legal,
                    jurisdiction_hint=jurisdiction,
                    segment=segment,
                    model_version=columns.model_version,
                    taxonomy_version=columns.taxonomy_version,
                    abstain=abstain,
                )
            )
        return found

    def _code_scores(self, mask: int, severity: int, chances: Array) -> tuple[CodeScore, ...]:
        found = [
            CodeScore(code.id, float(chances[k]), min(severity, code.upgrade or code.severity))
            for k, code in enumerate(self._codes)
            if mask >> k & 1
        ]
        return tuple(sorted(found, key=lambda c: -c.p))

    def _legal_notes(self, mask: int, codes: Sequence[CodeScore]) -> tuple[LegalNote, ...]:
        if mask not in self._legal:
            self._legal[mask] = self._notes(codes, self._date)
        return self._legal[mask]

    def _evidence(self, text: str, first: int, last: int) -> tuple[Evidence, ...]:
        spans = self._columns.evidence
        names = self._columns.code_names
        return tuple(
            Evidence(s, e, text[s:e], spans.canonical[k], names[c] if c >= 0 else None, round(w, 4))
            for k, s, e, c, w in zip(
                range(first, last),
                spans.start[first:last].tolist(),
                spans.end[first:last].tolist(),
                spans.code[first:last].tolist(),
                spans.weight[first:last].tolist(),
                strict=True,
            )
        )

    def _evasions(self, text: str, first: int, last: int) -> tuple[EvasionNote, ...]:
        notes = self._columns.evasions
        columns = self._columns
        return tuple(
            EvasionNote(columns.evasion_kinds[k], s, e, text[s:e], columns.evasion_terms[t])
            for k, s, e, t in zip(
                notes.kind[first:last].tolist(),
                notes.start[first:last].tolist(),
                notes.end[first:last].tolist(),
                notes.term[first:last].tolist(),
                strict=True,
            )
        )


def _named(mask: int, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for k, name in enumerate(names) if mask >> k & 1)


def _by_text(rows: EvidenceSpans | Evasions, texts: Array) -> dict[int, tuple[int, int]]:
    """First and last row of each text."""
    found = {}
    at = 0
    for text, group in groupby(texts.tolist()):
        count = sum(1 for _ in group)
        found[text] = (at, at + count)
        at += count
    return found
