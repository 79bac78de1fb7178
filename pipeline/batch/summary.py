"""What a run found, counted: by severity, code, domain, disguise, and the words that told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..taxonomy import SEVERITY_LABELS
from .details import Details
from .scoring import PageVerdict, RowVerdict, Scalars, Scored
from .sources import Reject

BINS = 20
MOST_DOMAINS = 100_000
MOST_TERMS = 20_000
EXAMPLES = 20
_HOST = r"^(?:[A-Za-z][A-Za-z0-9+.-]*:)?//(?:[^/?#@]*@)?(?P<host>[^/?#:]+)"
_HOST_PATTERN = re.compile(_HOST)
# The same of most URLs in a third of the time: what comes next is never in doubt.
_PLAIN_HOST = r"^(?:[A-Za-z][A-Za-z0-9+.-]*:)?//(?P<host>[^/?#@:]+)(?:[/?#]|$)"


class Domain(msgspec.Struct):
    """Rows of a domain: all, flagged, and with severity 1, 2, 3."""

    rows: int = 0
    flagged: int = 0
    borderline: int = 0
    misleading: int = 0
    illegal: int = 0


class Example(msgspec.Struct):
    """A flagged row: where it stands, and the words that told."""

    id: str
    severity: int
    p_misleading: float
    codes: list[str]
    words: list[str]


class Summary(msgspec.Struct):
    """Counts of a run. ``read`` = ``judged`` + ``rejected``; ``written`` = ``judged`` unless only flagged rows are kept.

    ``suspect`` lines that rejects name as such: rows of damaged members that were passed on.

    ``by_severity`` counts rows; ``by_code``, ``by_signal``, ``by_evasion`` count rows that have it; ``terms`` canonical words of the
    evidence; ``p_misleading`` rows that passed the gate, in ``BINS`` bins of their probability. Of domains and terms the most
    frequent are kept where there are very many.
    """

    model_version: str = ""
    read: int = 0
    judged: int = 0
    written: int = 0
    rejected: int = 0
    suspect: int = 0
    flagged: int = 0
    abstained: int = 0
    by_severity: dict[str, int] = {}
    by_action: dict[str, int] = {}
    by_code: dict[str, int] = {}
    by_stance: dict[str, int] = {}
    by_signal: dict[str, int] = {}
    by_evasion: dict[str, int] = {}
    by_reason: dict[str, int] = {}
    p_misleading: list[int] = msgspec.field(default_factory=lambda: [0] * BINS)
    terms: dict[str, int] = {}
    domains: dict[str, Domain] = {}
    examples: list[Example] = []

    def add(self, scored: Scored, ids: Sequence[Any] | None, urls: Sequence[Any] | Any) -> None:
        """Count the verdicts on some rows."""
        self.judged += scored.count
        if scored.scalars is not None:
            self._count_columns(scored.scalars)
        else:
            self._count_rows(scored)
        hosts = _hosts(urls) if urls is not None else None
        if hosts is not None:
            self._count_domains(hosts)
        if scored.details is not None and scored.scalars is not None:
            self._count_details(scored.details, scored.scalars, ids, hosts)
            return
        for row, verdict in zip(scored.rows, scored.verdicts, strict=True):
            for kind in verdict.evasion_kinds:
                self.by_evasion[kind] = self.by_evasion.get(kind, 0) + 1
            for signal in verdict.signals:
                self.by_signal[signal] = self.by_signal.get(signal, 0) + 1
            if verdict.severity:
                self._count_positive(row, verdict, ids, hosts)

    def _count_details(self, d: Details, s: Scalars, ids: Sequence[Any] | None, hosts: pa.Array | None) -> None:
        """Count as :meth:`_count_positive` and the loop around it do, a column at a time."""
        some = d.severity > 0
        for counts, flat, names in (
            (self.by_evasion, d.kinds, d.kind_names),
            (self.by_signal, d.signals, d.signal_names),
            (self.by_code, d.codes, d.code_names),
        ):
            _merge(counts, dict(zip(names, np.bincount(flat.number, minlength=len(names)).tolist(), strict=True)))
        words = zip(d.spans.row.tolist(), d.canonical.values, strict=True)
        _merge(self.terms, Counter(word for _, word in dict.fromkeys(words)))
        flagged = s.flagged[d.rows]
        self.flagged += int((flagged & some).sum())
        if hosts is not None:
            found = hosts.take(pa.array(d.rows[some])).to_pylist()
            for name, severity, flag in zip(found, d.severity[some].tolist(), flagged[some].tolist(), strict=True):
                if name:
                    domain = self.domains[name]
                    domain.flagged += flag
                    label = SEVERITY_LABELS[severity]
                    setattr(domain, label, getattr(domain, label) + 1)
        if ids is not None:
            self._worst(d, (flagged & some).nonzero()[0], ids)

    def _worst(self, d: Details, candidates: Any, ids: Sequence[Any]) -> None:
        """Take the worst of the flagged rows as examples."""
        self._keep_worst()
        least = self.examples[-1] if len(self.examples) == EXAMPLES else None
        ranked = candidates[np.lexsort((-d.p_misleading[candidates], -d.severity[candidates].astype(int)))]
        room = EXAMPLES
        for k in ranked.tolist():
            severity, p = int(d.severity[k]), float(d.p_misleading[k])
            if not room or (least is not None and (severity, p) <= (least.severity, least.p_misleading)):
                break
            name = _name(ids[int(d.rows[k])])
            if name is None:
                continue
            room -= 1
            code, code_end = np.searchsorted(d.codes.row, (k, k + 1)).tolist()
            span, span_end = np.searchsorted(d.spans.row, (k, k + 1)).tolist()
            codes = [d.code_names[n] for n in d.codes.number[code:code_end].tolist()]
            self.examples.append(Example(name, severity, p, codes, d.canonical.values[span:span_end][:6]))
        self._keep_worst()

    def _count_columns(self, s: Scalars) -> None:
        """Count what every verdict has."""
        for counts, numbers, names in (
            (self.by_severity, s.severity, SEVERITY_LABELS),
            (self.by_action, s.action, s.actions),
            (self.by_stance, s.stance, s.stances),
        ):
            _merge(counts, {name: int(np.count_nonzero(numbers == k)) for k, name in enumerate(names)})
        self.abstained += int(s.abstain.sum())
        likely = s.p_misleading[s.p_misleading > 0]
        bins = np.bincount(np.minimum(BINS - 1, (likely * BINS).astype(np.int64)), minlength=BINS)
        self.p_misleading = [a + b for a, b in zip(self.p_misleading, bins.tolist(), strict=True)]

    def _count_rows(self, scored: Scored) -> None:
        quiet = scored.count - len(scored.rows)
        for name in ("label", "action", "stance"):
            counts = Counter(map(attrgetter(name), scored.verdicts))
            counts[getattr(scored.quiet, name)] += quiet
            _merge(getattr(self, "by_severity" if name == "label" else f"by_{name}"), counts)
        for verdict in scored.verdicts:
            self.abstained += verdict.abstain
            if verdict.p_misleading:
                self.p_misleading[min(BINS - 1, int(verdict.p_misleading * BINS))] += 1

    def _count_domains(self, hosts: pa.Array) -> None:
        for name, count in zip(*(column.to_pylist() for column in pc.value_counts(hosts).flatten()), strict=True):
            if name:
                self.domains.setdefault(name, Domain()).rows += count

    def _count_positive(self, row: int, verdict: RowVerdict, ids: Sequence[Any] | None, hosts: pa.Array | None) -> None:
        self.flagged += verdict.flagged
        for code in verdict.codes:
            self.by_code[code.code] = self.by_code.get(code.code, 0) + 1
        words = [e.canonical for e in _evidence(verdict)]
        for word in dict.fromkeys(words):
            self.terms[word] = self.terms.get(word, 0) + 1
        name = hosts[row].as_py() if hosts is not None else None
        if name:
            domain = self.domains[name]
            domain.flagged += verdict.flagged
            setattr(domain, verdict.label, getattr(domain, verdict.label) + 1)
        name = _name(ids[row]) if verdict.flagged and ids is not None else None
        if name is not None:
            codes = [c.code for c in verdict.codes]
            self.examples.append(Example(name, verdict.severity, verdict.p_misleading, codes, words[:6]))
            if len(self.examples) > 8 * EXAMPLES:
                self._keep_worst()

    def _keep_worst(self) -> None:
        self.examples.sort(key=lambda e: (-e.severity, -e.p_misleading))
        del self.examples[EXAMPLES:]

    def reject(self, rejects: Iterable[Reject]) -> None:
        """Count what could not be read."""
        for reject in rejects:
            self.rejected += reject.rows
            self.by_reason[reject.reason] = self.by_reason.get(reject.reason, 0) + reject.rows

    def merge(self, other: Summary) -> None:
        """Add the counts of another part of the run, which comes after this one."""
        self.model_version = self.model_version or other.model_version
        for name in ("read", "judged", "written", "rejected", "suspect", "flagged", "abstained"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in self.__struct_fields__:
            if name.startswith("by_") or name == "terms":
                _merge(getattr(self, name), getattr(other, name))
        self.p_misleading = [a + b for a, b in zip(self.p_misleading, other.p_misleading, strict=True)]
        for name, theirs in other.domains.items():
            ours = self.domains.setdefault(name, Domain())
            for field in Domain.__struct_fields__:
                setattr(ours, field, getattr(ours, field) + getattr(theirs, field))
        self.examples += other.examples
        self.shorten()

    def shorten(self) -> None:
        """Keep memory bounded: the worst examples, the most frequent terms, the domains with most flagged rows."""
        self._keep_worst()
        if len(self.terms) > 2 * MOST_TERMS:
            self.terms = dict(top(self.terms, MOST_TERMS))
        if len(self.domains) > 2 * MOST_DOMAINS:
            ranked = sorted(self.domains.items(), key=lambda d: (-d[1].flagged, -d[1].rows, d[0]))
            self.domains = dict(ranked[:MOST_DOMAINS])

    def worst_domains(self, count: int) -> list[tuple[str, Domain]]:
        """The domains with most flagged rows."""
        ranked = sorted(self.domains.items(), key=lambda d: (-d[1].flagged, -d[1].rows, d[0]))
        return ranked[:count]


def top(counts: dict[str, int], number: int) -> list[tuple[str, int]]:
    """The largest counts, largest first."""
    return sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:number]


def host_of(url: str) -> str | None:
    """Host of a URL in lower case, without ``www.``."""
    match = _HOST_PATTERN.match(url)
    return match["host"].lower().removeprefix("www.") if match else None


def _hosts(urls: Sequence[Any] | Any) -> pa.Array:
    if not isinstance(urls, pa.Array):
        urls = pa.array([u if isinstance(u, str) else None for u in urls], type=pa.string())
    elif not pa.types.is_string(urls.type):
        urls = urls.cast(pa.string())
    found = pc.struct_field(pc.extract_regex(urls, _PLAIN_HOST), "host")
    if found.null_count:
        others = pc.is_null(found)
        found = pc.replace_with_mask(
            found, others, pc.struct_field(pc.extract_regex(urls.filter(others), _HOST), "host")
        )
    hosts = found.dictionary_encode()
    names = pc.replace_substring_regex(pc.utf8_lower(hosts.dictionary), r"^www\.", "")
    return names.take(hosts.indices)


def _name(value: Any) -> str | None:
    if isinstance(value, pa.Scalar):
        value = value.as_py()
    return None if value is None else str(value)[:200]


def _evidence(verdict: RowVerdict) -> list[Any]:
    if isinstance(verdict, PageVerdict):
        return [e for segment in verdict.segments for e in segment.evidence]
    return list(verdict.evidence)


def _merge(into: dict[str, int], counts: dict[str, int]) -> None:
    for name, count in counts.items():
        if count:
            into[name] = into.get(name, 0) + count
