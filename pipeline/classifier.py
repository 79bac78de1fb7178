"""The classifier: texts in, verdicts out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date as Date
from functools import cache
from pathlib import Path

from .errors import UsageError
from .model.artefact import SEVERITY_HEADS, Artefact, OperatingPoint, load_artefact
from .model.evidence import explain
from .model.features import Document
from .model.scorer import PlainScorer, Scores, probability
from .resources import default_model_path, read_table
from .taxonomy import SEVERITY_LABELS, taxonomy
from .text.normalise import Normalised
from .verdict import CodeScore, EvasionNote, Evidence, LegalNote, Segment, Verdict

OPERATING_POINTS = ("high_precision", "balanced", "high_recall")
FAIL_ON = ("borderline", "misleading", "illegal")
QUESTION_CHANNEL = "ugc_question"
ROUTED_STANCES = ("user_question", "complaint", "warning", "news_case", "legal_qa", "meta_list")


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """How to decide.

    ``operating_point`` one of ``OPERATING_POINTS``; ``fail_on`` severity from which a verdict is *flagged*;
    ``date`` the day whose law is cited (default today); ``explain`` whether to work out the evidence.
    """

    operating_point: str = "balanced"
    fail_on: str = "misleading"
    date: Date | None = None
    explain: bool = True

    def __post_init__(self) -> None:
        for value, known, name in (
            (self.operating_point, OPERATING_POINTS, "operating point"),
            (self.fail_on, FAIL_ON, "fail-on level"),
        ):
            if value not in known:
                raise UsageError(f"unknown {name} {value!r}; choose one of {', '.join(known)}")


DEFAULT_SETTINGS = CheckSettings()


@dataclass(frozen=True, slots=True)
class Judged:
    """A text scored once; :meth:`verdict` decides on it."""

    classifier: Classifier
    normalised: Normalised
    document: Document | None
    scores: Scores

    @property
    def probabilities(self) -> tuple[float, float, float]:
        """Calibrated probabilities of severity ≥ 1, ≥ 2, ≥ 3, made non-increasing."""
        one, two, three = (self.classifier.probability(head, self.scores) for head in SEVERITY_HEADS)
        return max(one, two), two, min(two, three)

    def code_probability(self, code: str) -> float:
        """Calibrated probability of a claim code."""
        return self.classifier.probability(f"code:{code}", self.scores)

    def verdict(
        self,
        settings: CheckSettings = DEFAULT_SETTINGS,
        *,
        id: str = "",
        channel: str | None = None,
        segment: Segment | None = None,
    ) -> Verdict:
        """The verdict under ``settings``."""
        return self.classifier.decide(self, settings, id, channel, segment)


class Classifier:
    """A loaded model. Safe to share between threads: nothing is changed after construction."""

    def __init__(self, artefact: Artefact) -> None:
        self.artefact = artefact
        self._scorer = PlainScorer(artefact)
        self._taxonomy = taxonomy()
        self._column = {head: i for i, head in enumerate(artefact.heads)}

    @property
    def version(self) -> str:
        """Version of the model."""
        return self.artefact.version

    def check(
        self,
        text: str,
        settings: CheckSettings = DEFAULT_SETTINGS,
        *,
        id: str = "",
        channel: str | None = None,
        segment: Segment | None = None,
    ) -> Verdict:
        """Verdict on one text (a segment: a title, a paragraph, a message).

        ``channel="ugc_question"`` says that a person asked this; such a text is ``none`` unless it holds a contact.
        """
        return self.judge(text).verdict(settings, id=id, channel=channel, segment=segment)

    def judge(self, text: str) -> Judged:
        """``text`` scored, to be decided under one or more settings."""
        normalised, document, scores = self._scorer.score(text)
        return Judged(self, normalised, document, scores)

    def check_many(
        self, texts: Iterable[str], settings: CheckSettings = DEFAULT_SETTINGS, *, channel: str | None = None
    ) -> list[Verdict]:
        """Verdicts in the order of ``texts``; ids are their positions."""
        return [self.check(text, settings, id=str(i), channel=channel) for i, text in enumerate(texts)]

    def probability(self, head: str, scores: Scores) -> float:
        """Calibrated probability of a head."""
        if scores.gated:
            return 0.0
        column = self._column[head]
        return probability(scores.values[column], self.artefact.calibration[column])

    def decide(
        self, judged: Judged, settings: CheckSettings, id: str, channel: str | None, segment: Segment | None
    ) -> Verdict:
        """The verdict on a scored text."""
        normalised, document, scores = judged.normalised, judged.document, judged.scores
        point = self.artefact.operating_points[settings.operating_point]
        p = judged.probabilities
        severity = _severity(p, point)
        concepts = {f.name for f in document.found} if document else set()
        if channel == QUESTION_CHANNEL and "contact" not in concepts:
            severity = 0
        codes = self._codes(scores, severity)
        stance = self._stance(scores)
        jurisdiction = _jurisdiction(normalised)
        evidence: tuple[Evidence, ...] = ()
        if severity and document is not None and settings.explain:
            evidence = self._evidence(document, scores, codes)
        evasions = normalised.evasions if document is not None else ()
        obfuscated = any(e.kind not in ("traditional", "pinyin_gloss") for e in evasions)
        legal: tuple[LegalNote, ...] = ()
        if severity >= 2 and jurisdiction == "CN":
            legal = self._legal(codes, settings.date or Date.today())
        return Verdict(
            id=id,
            text=normalised.raw,
            severity=severity,
            label=SEVERITY_LABELS[severity],
            score=round(100 * p[1]),
            p_misleading=p[1],
            flagged=severity >= 1 + FAIL_ON.index(settings.fail_on),
            action=self._action(severity, p[1], stance),
            codes=tuple(codes),
            signals=self._signals(concepts, severity, len(normalised.text), obfuscated),
            stance=stance,
            evidence=evidence,
            evasions=tuple(EvasionNote(e.kind, e.start, e.end, e.raw, e.canonical) for e in evasions),
            legal_refs=legal,
            jurisdiction_hint=jurisdiction,
            segment=segment,
            model_version=self.artefact.version,
            taxonomy_version=self._taxonomy.version,
            abstain=_too_short(normalised.text),
        )

    def _codes(self, scores: Scores, severity: int) -> list[CodeScore]:
        if severity == 0:
            return []
        found = []
        for code in self._taxonomy.codes.values():
            p = self.probability(f"code:{code.id}", scores)
            if p >= self.artefact.code_thresholds[code.id]:
                found.append(CodeScore(code.id, p, min(severity, code.upgrade or code.severity)))
        return sorted(found, key=lambda c: -c.p)

    def _stance(self, scores: Scores) -> str:
        if scores.gated:
            return "out_of_scope"
        return max(self._taxonomy.stances, key=lambda s: scores.values[self._column[f"stance:{s}"]])

    def _evidence(self, document: Document, scores: Scores, codes: Sequence[CodeScore]) -> tuple[Evidence, ...]:
        normalised = document.normalised
        found = []
        for span in explain(document, scores.window, self.artefact, [c.code for c in codes]):
            start, end = normalised.raw_span(span.start, span.end)
            found.append(
                Evidence(
                    start=start,
                    end=end,
                    raw=normalised.raw[start:end],
                    canonical=normalised.text[span.start : span.end],
                    code=span.code,
                    weight=round(span.weight, 4),
                )
            )
        return tuple(found)

    def _signals(self, concepts: set[str], severity: int, length: int, obfuscated: bool) -> tuple[str, ...]:
        found = []
        for signal in self._taxonomy.signals.values():
            if signal.id == "obfuscation":
                seen = obfuscated and severity > 0
            else:
                seen = (
                    severity >= signal.min_severity
                    and length >= signal.min_length
                    and not concepts.isdisjoint(signal.any)
                    and concepts.isdisjoint(signal.none)
                )
            if seen:
                found.append(signal.id)
        return tuple(found)

    def _legal(self, codes: Sequence[CodeScore], on: Date) -> tuple[LegalNote, ...]:
        return tuple(
            LegalNote(
                id=ref.id,
                title=ref.title_zh,
                article=ref.article,
                effective_from=ref.effective_from.isoformat(),
                verified=ref.verified,
            )
            for ref in self._taxonomy.legal([c.code for c in codes], on)
        )

    def _action(self, severity: int, p: float, stance: str) -> str:
        action = self._taxonomy.severities[severity].action
        if severity < 2:
            return action
        sure = p >= self.artefact.operating_points["high_precision"].thresholds[1]
        return action if sure and stance not in ROUTED_STANCES else "human_review"


def _severity(p: tuple[float, float, float], point: OperatingPoint) -> int:
    one, two, three = point.thresholds
    if p[1] >= two:
        return 3 if p[2] >= three else 2
    return 1 if p[0] >= one else 0


def _too_short(canonical: str) -> bool:
    """Fewer than two Han characters carry no claim that could be judged."""
    return sum("\u4e00" <= c <= "\u9fff" for c in canonical[:2000]) < 2


@cache
def _local_words() -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((row[0], tuple(row[1].split())) for row in read_table("lexicon", "jurisdiction.tsv"))


def _jurisdiction(normalised: Normalised) -> str:
    """``HK`` or ``TW`` for text in traditional script with words of the place, else ``CN``."""
    if normalised.traditional:
        for place, local in _local_words():
            if any(word in normalised.text for word in local):
                return place
    return "CN"


def load(model: str | Path | None = None) -> Classifier:
    """The classifier of a model directory; the shipped one by default. Raises ``ModelError``."""
    return Classifier(load_artefact(Path(model) if model is not None else default_model_path()))
