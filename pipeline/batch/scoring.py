"""The scoring step: many texts in, what is to be said of them out. One small interface for every engine.

Most scraped text passes without a word: :class:`Scored` therefore holds only the rows of which something is to be said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec
import numpy as np

from ..classifier import CheckSettings, Classifier, load
from ..taxonomy import SEVERITY_LABELS
from ..verdict import CodeScore, Evidence
from .details import Deferred, Details, Flat, details

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
    these columns at most; ``details`` then say as columns what ``verdicts`` say.
    """

    count: int
    rows: list[int]
    verdicts: Sequence[RowVerdict]
    quiet: RowVerdict
    scalars: Scalars | None = None
    details: Details | None = None


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

        ``columns`` whether the caller knows what to do with ``Scored.scalars`` and ``details``, which are cheaper to make.
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
        # In the order in which the compiled classifier numbers the codes.
        self._ceilings = np.array([code.upgrade or code.severity for code in taxonomy().codes.values()])
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
                np.ascontiguousarray(found.probabilities[:, 1]),
                found.flagged,
                found.abstain,
                found.action,
                found.stance,
                found.action_names,
                found.stance_names,
            )
        said = details(found, told, self._ceilings)
        verdicts = Deferred(len(said.rows), lambda: _verdicts(found, said))
        if not columns:
            return Scored(len(found), said.rows.tolist(), list(verdicts), self.quiet)
        return Scored(len(found), said.rows.tolist(), verdicts, self.quiet, scalars, said)


def _verdicts(columns: Columns, said: Details) -> list[RowVerdict]:
    """The texts told of, as objects."""
    rows = said.rows
    codes: list[list[CodeScore]] = [[] for _ in range(len(rows))]
    for row, number, p, severity in zip(
        said.codes.row.tolist(),
        said.codes.number.tolist(),
        said.code_p.tolist(),
        said.code_severity.tolist(),
        strict=True,
    ):
        codes[row].append(CodeScore(said.code_names[number], p, severity))
    evidence: list[list[Evidence]] = [[] for _ in range(len(rows))]
    names = (*said.code_names, None)  # -1 is the last
    for row, number, start, end, raw, canonical, weight in zip(
        said.spans.row.tolist(),
        said.spans.number.tolist(),
        said.start.tolist(),
        said.end.tolist(),
        said.raw.values,
        said.canonical.values,
        said.weight.tolist(),
        strict=True,
    ):
        evidence[row].append(Evidence(start, end, raw, canonical, names[number], weight))
    signals = _named(said.signals, said.signal_names, len(rows))
    kinds = _named(said.kinds, said.kind_names, len(rows))
    version = columns.model_version
    return [
        RowVerdict(
            severity,
            columns.severity_names[severity],
            p,
            flagged,
            columns.action_names[action],
            tuple(codes[k]),
            columns.stance_names[stance],
            tuple(signals[k]),
            tuple(evidence[k]),
            tuple(kinds[k]),
            abstain,
            version,
        )
        for k, (severity, p, flagged, action, stance, abstain) in enumerate(
            zip(
                said.severity.tolist(),
                said.p_misleading.tolist(),
                columns.flagged[rows].tolist(),
                columns.action[rows].tolist(),
                columns.stance[rows].tolist(),
                columns.abstain[rows].tolist(),
                strict=True,
            )
        )
    ]


def _named(flat: Flat, names: Sequence[str], count: int) -> list[list[str]]:
    found: list[list[str]] = [[] for _ in range(count)]
    for row, number in zip(flat.row.tolist(), flat.number.tolist(), strict=True):
        found[row].append(names[number])
    return found


def load_scorer(model: str | Path | None = None, settings: CheckSettings | None = None, engine: str = "auto") -> Scorer:
    """An engine for a model directory (the shipped one by default).

    ``engine`` ``compiled``, ``plain``, or ``auto``: compiled where numba is installed. Raises ``ModelError``, and
    ``UsageError`` for an engine that is not installed.
    """
    settings = settings or CheckSettings()
    if not compiled_chosen(engine):
        return PlainScorer(load(model), settings)
    from ..compiled import load_compiled

    return CompiledScorer(load_compiled(model), settings)


def compiled_chosen(engine: str) -> bool:
    """Whether an engine of ``ENGINES`` is the compiled one on this machine."""
    return engine == "compiled" or (engine == "auto" and compiled_available())


def compiled_available() -> bool:
    """Whether the compiled engine can be loaded."""
    return find_spec("numba") is not None and find_spec("pipeline.compiled") is not None
