"""The scoring step: many texts in, what is to be said of them out. One small interface for every engine.

Most scraped text passes without a word: :class:`Scored` therefore holds only the rows of which something is to be said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from ..classifier import CheckSettings, Classifier, load
from ..taxonomy import SEVERITY_LABELS
from ..verdict import CodeScore, Evidence

if TYPE_CHECKING:
    from ..compiled import Columns, CompiledClassifier

ENGINES = ("auto", "plain", "compiled")


class RowVerdict(msgspec.Struct, frozen=True, gc=False):
    """The verdict columns of a row, in their order; fields as in :class:`pipeline.Verdict`."""

    severity: int
    label: str
    p_misleading: float
    flagged: bool
    action: str
    codes: tuple[CodeScore, ...]
    stance: str
    signals: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    evasion_kinds: tuple[str, ...]
    abstain: bool
    model_version: str


class SegmentVerdict(msgspec.Struct, frozen=True, gc=False):
    """A segment of a page that says something; evidence offsets index its ``text``."""

    role: str
    path: str
    text: str
    severity: int
    p_misleading: float
    codes: tuple[CodeScore, ...]
    evidence: tuple[Evidence, ...]


class PageVerdict(RowVerdict, frozen=True, gc=False):
    """The verdict columns of a page: its worst segment, the article on its own, and the segments above ``none``.

    ``severity`` is that of the worst segment, ``p_misleading`` the largest of any, ``stance`` the article's; the evidence
    stands with the segments.
    """

    article_severity: int
    promo_exposure: int
    segments: tuple[SegmentVerdict, ...]


class Scalars(NamedTuple):
    """What every verdict has, as numpy columns of one entry a text; ``label``, ``action`` and ``stance`` number their names."""

    severity: Any
    p_misleading: Any
    flagged: Any
    abstain: Any
    action: Any
    stance: Any
    actions: tuple[str, ...]
    stances: tuple[str, ...]


class Scored(msgspec.Struct, frozen=True):
    """Verdicts on ``count`` texts: ``verdicts[k]`` is that of text ``rows[k]`` (ascending); all other texts get ``quiet``.

    Where there are ``scalars``, only texts with a severity, a signal or a disguise are in ``rows``: others differ from ``quiet`` in
    these columns at most.
    """

    count: int
    rows: list[int]
    verdicts: list[RowVerdict]
    quiet: RowVerdict
    scalars: Scalars | None = None


class Scorer(Protocol):
    """An engine that scores texts."""

    @property
    def model_version(self) -> str:
        """Version of the model."""

    @property
    def quiet(self) -> RowVerdict:
        """What is said of a text that holds no trigger."""

    def score(self, texts: Sequence[str] | Any, *, columns: bool = False) -> Scored:
        """Verdicts on a list of strings, or on a pyarrow array of strings without nulls.

        ``columns`` whether the caller knows what to do with ``Scored.scalars``, which are cheaper to make.
        """


def quiet_verdict(model_version: str) -> RowVerdict:
    """The verdict on a text of which there is nothing to say."""
    return RowVerdict(0, SEVERITY_LABELS[0], 0.0, False, "pass", (), "out_of_scope", (), (), (), False, model_version)


class PlainScorer:
    """The plain classifier as an engine."""

    def __init__(self, classifier: Classifier, settings: CheckSettings) -> None:
        self._classifier = classifier
        self._settings = settings
        self.model_version = classifier.version
        self.quiet = quiet_verdict(classifier.version)

    def score(self, texts: Sequence[str] | Any, *, columns: bool = False) -> Scored:
        """Verdicts, one text at a time."""
        values: Iterable[str] = texts.to_pylist() if hasattr(texts, "to_pylist") else texts
        rows, verdicts = [], []
        count = 0
        for text in values:
            v = self._classifier.check(text, self._settings)
            verdict = RowVerdict(
                v.severity,
                v.label,
                v.p_misleading,
                v.flagged,
                v.action,
                v.codes,
                v.stance,
                v.signals,
                v.evidence,
                tuple(dict.fromkeys(e.kind for e in v.evasions)),
                v.abstain,
                v.model_version,
            )
            if verdict != self.quiet:
                rows.append(count)
                verdicts.append(verdict)
            count += 1
        return Scored(count, rows, verdicts, self.quiet)


class CompiledScorer:
    """The compiled classifier as an engine: the same verdicts, many times faster."""

    def __init__(self, classifier: CompiledClassifier, settings: CheckSettings) -> None:
        from ..taxonomy import taxonomy

        self._classifier = classifier
        self._settings = settings
        self._ceilings = {code.id: code.upgrade or code.severity for code in taxonomy().codes.values()}
        self.model_version = classifier.version
        self.quiet = quiet_verdict(classifier.version)

    def score(self, texts: Sequence[str] | Any, *, columns: bool = False) -> Scored:
        """Verdicts on a batch at once."""
        found = self._classifier.score(texts, self._settings)
        scalars: Scalars | None = None
        told = (~found.gated) | found.abstain
        if columns:
            told = (found.severity > 0) | (found.signals != 0)
            told[found.evasions.text] = True
            scalars = Scalars(
                found.severity,
                found.probabilities[:, 1],
                found.flagged,
                found.abstain,
                found.action,
                found.stance,
                found.action_names,
                found.stance_names,
            )
        rows = told.nonzero()[0].tolist()
        return Scored(len(found), rows, self._verdicts(found, texts, told, rows), self.quiet, scalars)

    def _verdicts(self, columns: Columns, texts: Any, told: Any, rows: list[int]) -> list[RowVerdict]:
        evidence = self._evidence(columns, texts)
        kinds: dict[int, dict[str, None]] = {}
        for row, kind in zip(columns.evasions.text.tolist(), columns.evasions.kind.tolist(), strict=True):
            kinds.setdefault(row, {})[columns.evasion_kinds[kind]] = None
        chances = {row: k for k, row in enumerate(columns.scored.tolist())}
        signals: dict[int, tuple[str, ...]] = {0: ()}
        found = []
        for row, severity, p, flagged, action, codes, stance, signal, abstain in zip(
            rows,
            columns.severity[told].tolist(),
            columns.probabilities[told, 1].tolist(),
            columns.flagged[told].tolist(),
            columns.action[told].tolist(),
            columns.codes[told].tolist(),
            columns.stance[told].tolist(),
            columns.signals[told].tolist(),
            columns.abstain[told].tolist(),
            strict=True,
        ):
            if signal not in signals:
                signals[signal] = _named(signal, columns.signal_names)
            found.append(
                RowVerdict(
                    severity,
                    columns.severity_names[severity],
                    p,
                    flagged,
                    columns.action_names[action],
                    self._codes(codes, severity, columns, chances[row]) if codes else (),
                    columns.stance_names[stance],
                    signals[signal],
                    tuple(evidence.get(row, ())),
                    tuple(kinds.get(row, ())),
                    abstain,
                    columns.model_version,
                )
            )
        return found

    def _codes(self, mask: int, severity: int, columns: Columns, at: int) -> tuple[CodeScore, ...]:
        chances = columns.code_probabilities[at].tolist()
        found = [
            CodeScore(name, chances[k], min(severity, self._ceilings[name]))
            for k, name in enumerate(columns.code_names)
            if mask >> k & 1
        ]
        return tuple(sorted(found, key=lambda c: -c.p))

    def _evidence(self, columns: Columns, texts: Any) -> dict[int, list[Evidence]]:
        spans = columns.evidence
        found: dict[int, list[Evidence]] = {}
        last, text = -1, ""
        for row, start, end, code, weight, canonical in zip(
            spans.text.tolist(),
            spans.start.tolist(),
            spans.end.tolist(),
            spans.code.tolist(),
            spans.weight.tolist(),
            spans.canonical,
            strict=True,
        ):
            if row != last:
                last, value = row, texts[row]
                text = value if isinstance(value, str) else value.as_py()
            name = columns.code_names[code] if code >= 0 else None
            found.setdefault(row, []).append(
                Evidence(start, end, text[start:end], canonical, name, round(weight, 4)),
            )
        return found


def _named(mask: int, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for k, name in enumerate(names) if mask >> k & 1)


def load_scorer(model: str | Path | None = None, settings: CheckSettings | None = None, engine: str = "auto") -> Scorer:
    """An engine for a model directory (the shipped one by default).

    ``engine`` ``compiled``, ``plain``, or ``auto``: compiled where numba is installed. Raises ``ModelError``, and
    ``UsageError`` for an engine that is not installed.
    """
    settings = settings or CheckSettings()
    if engine == "plain" or (engine == "auto" and not compiled_available()):
        return PlainScorer(load(model), settings)
    from ..compiled import load_compiled

    return CompiledScorer(load_compiled(model), settings)


def compiled_available() -> bool:
    """Whether the compiled engine can be loaded."""
    return find_spec("numba") is not None and find_spec("pipeline.compiled") is not None
