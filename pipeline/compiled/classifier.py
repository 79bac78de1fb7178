"""The compiled classifier: as ``pipeline.Classifier``, and batches as columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..classifier import (
    DEFAULT_SETTINGS,
    FAIL_ON,
    QUESTION_CHANNEL,
    ROUTED_STANCES,
    CheckSettings,
    Classifier,
)
from ..errors import ModelError, UsageError
from ..model.artefact import Artefact, load_artefact
from ..resources import default_model_path, read_table
from ..taxonomy import SEVERITY_LABELS, taxonomy
from ..verdict import Segment, Verdict
from . import fields as f
from .batches import batches
from .canonical import enter_gate
from .columns import CodeScores, Columns, Evasions, EvidenceSpans, Strings, stretches
from .disguise_tables import KINDS, enter_disguises
from .engine import (
    CHARS,
    CHARS_END,
    CODE,
    EVASION_KIND,
    EVASION_TERM,
    OF_TEXT,
    RAW_END,
    RAW_START,
    Output,
)
from .entries import cache_folder, entries
from .features import enter_features
from .folding import Folding, build_folding, build_marks, build_screen
from .image import Image, image_path, read_image, write_image
from .jit import Array
from .lexemes import enter_lexemes
from .memory import Book
from .objects import Objects
from .patterns import build_patterns
from .scores import enter_model, enter_signals
from .screening import GATED, TOO_SHORT
from .segmentation import Dictionary, load_dictionary
from .trie import Builder

_TOLERANCE = 1e-6


class CompiledClassifier(Classifier):
    """A loaded model behind compiled functions. Safe to share between threads, which then run side by side.

    ``check`` and ``check_many`` give what those of ``Classifier`` give; ``judge`` is the plain one. :meth:`score` gives
    columns, and is what a batch should use.
    """

    def __init__(self, artefact: Artefact, kept: Path | None = None) -> None:
        """``kept``: where the image of this very artefact belongs, to be read, or to be written where it is of no use."""
        super().__init__(artefact)
        self._judge = entries().judge
        known = taxonomy()
        self._codes_known = tuple(known.codes.values())
        self._actions = tuple(known.actions)
        self._stances = tuple(known.stances)
        self._signals_known = tuple(known.signals)
        self._places = ("CN", *(row[0] for row in read_table("lexicon", "jurisdiction.tsv")))
        image = self._image(kept)
        self._book, self._terms = image.book, image.terms

    def score(
        self,
        texts: Sequence[str] | Any,
        settings: CheckSettings = DEFAULT_SETTINGS,
        *,
        channel: str | Sequence[str | None] | None = None,
    ) -> Columns:
        """Verdicts on a batch as columns.

        ``texts``: a list of strings, or a pyarrow array or chunked array of strings (null counts as empty); ``channel`` one for
        all, or one a text.
        """
        questions = _questions(channel, len(texts))
        point = self.artefact.operating_points[settings.operating_point]
        parts: list[Output] = []
        raws = [np.empty(0, dtype=np.int32)]
        at = 0
        for chars, offsets in batches(texts):
            count = len(offsets) - 1
            part = self._run(chars, offsets, questions[at : at + count], point.thresholds, settings.explain)
            if len(part.evidence):
                starts = offsets[part.evidence[:, OF_TEXT]] + part.evidence[:, RAW_START]
                raws.append(stretches(chars, starts, part.evidence[:, RAW_END] - part.evidence[:, RAW_START]))
            parts.append(part)
            at += count
        return self._columns(parts, np.concatenate(raws), settings)

    def verdicts(
        self,
        texts: Sequence[str],
        settings: CheckSettings = DEFAULT_SETTINGS,
        *,
        channel: str | Sequence[str | None] | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[Verdict]:
        """Verdicts on a batch as objects; ids are their positions unless given."""
        columns = self.score(texts, settings, channel=channel)
        return Objects(columns, settings, self._legal).verdicts(texts, ids)

    def check(
        self,
        text: str,
        settings: CheckSettings = DEFAULT_SETTINGS,
        *,
        id: str = "",
        channel: str | None = None,
        segment: Segment | None = None,
    ) -> Verdict:
        """Verdict on one text; see ``Classifier.check``."""
        columns = self.score([text], settings, channel=channel)
        return Objects(columns, settings, self._legal).verdicts([text], [id], segment)[0]

    def check_many(
        self, texts: Iterable[str], settings: CheckSettings = DEFAULT_SETTINGS, *, channel: str | None = None
    ) -> list[Verdict]:
        """Verdicts in the order of ``texts``; ids are their positions."""
        return self.verdicts(list(texts), settings, channel=channel)

    def _run(
        self, chars: Array, offsets: Array, questions: Array, thresholds: tuple[float, float, float], explain: bool
    ) -> Output:
        return self._judge(chars, offsets, questions, self._book.address, thresholds, explain)

    def _columns(self, parts: list[Output], raws: Array, settings: CheckSettings) -> Columns:
        out = _joined(parts) if parts else self._run(*_NOTHING, _NO_THRESHOLDS, False)
        return Columns(
            severity=out.severity,
            probabilities=out.probabilities,
            flagged=out.severity >= 1 + FAIL_ON.index(settings.fail_on),
            abstain=(out.flags & TOO_SHORT) != 0,
            gated=(out.flags & GATED) != 0,
            stance=out.stance,
            action=self._action_numbers(out),
            jurisdiction=out.jurisdiction,
            codes=out.codes,
            signals=out.signals,
            scored=out.scored,
            code_scores=CodeScores(out.scores, *self._code_heads),
            evidence=EvidenceSpans(
                text=out.evidence[:, OF_TEXT],
                start=out.evidence[:, RAW_START],
                end=out.evidence[:, RAW_END],
                code=out.evidence[:, CODE],
                weight=out.evidence_weights,
                raw_strings=Strings(raws, out.evidence[:, RAW_END] - out.evidence[:, RAW_START]),
                canonical_strings=Strings(out.evidence_chars, out.evidence[:, CHARS_END] - out.evidence[:, CHARS]),
            ),
            evasions=Evasions(
                text=out.evasions[:, OF_TEXT],
                start=out.evasions[:, RAW_START],
                end=out.evasions[:, RAW_END],
                kind=out.evasions[:, EVASION_KIND],
                term=out.evasions[:, EVASION_TERM],
            ),
            severity_names=SEVERITY_LABELS,
            stance_names=self._stances,
            action_names=self._actions,
            jurisdiction_names=self._places,
            code_names=tuple(code.id for code in self._codes_known),
            signal_names=self._signals_known,
            evasion_kinds=KINDS,
            evasion_terms=self._terms,
            model_version=self.version,
            taxonomy_version=self._taxonomy.version,
        )

    @cached_property
    def _code_heads(self) -> tuple[Array, Array]:
        """Head and calibration of each code."""
        heads = np.array([self._column[f"code:{code.id}"] for code in self._codes_known])
        return heads, np.array([self.artefact.calibration[head] for head in heads])

    def _action_numbers(self, out: Output) -> Array:
        """As ``Classifier._action`` decides."""
        number = {name: i for i, name in enumerate(self._actions)}
        by_severity = np.array([number[s.action] for s in self._taxonomy.severities], dtype=np.int8)
        routed = np.array([stance in ROUTED_STANCES for stance in self._stances])
        serious = (out.severity >= 2).nonzero()[0]
        least = self.artefact.operating_points["high_precision"].thresholds[1]
        by_hand = (out.probabilities[serious, 1] < least) | routed[out.stance[serious]]
        found: Array = by_severity[out.severity]
        found[serious[by_hand]] = number["human_review"]
        return found

    def _image(self, kept: Path | None) -> Image:
        """The tables, read or built; refuses to work where the compiled functions do not give the scores of the plain scorer."""
        lines = (self.artefact.path / "golden.jsonl").read_text(encoding="utf-8").splitlines()
        texts = [json.loads(line)["text"] for line in lines]
        found = read_image(kept) if kept else None
        if found and self._is_right(found, texts):
            return found
        book, terms = _build(self.artefact)
        plain = (self._scorer.score(text)[2] for text in texts)
        made = Image(book, terms, [None if scores.gated else scores.values for scores in plain])
        if not self._is_right(made, texts):
            raise ModelError(
                f"{self.artefact.path}: the compiled scorer does not give the scores of the plain one on this machine. "
                "Use the plain scorer, and report this with the versions of numba, jieba and rjieba.",
                code="E_MODEL_COMPILED",
            )
        if kept:
            write_image(kept, made)
        return made

    def _is_right(self, image: Image, texts: Sequence[str]) -> bool:
        """Whether the compiled functions give the golden texts what the plain scorer gives them."""
        if len(image.golden) != len(texts):
            return False
        for text, expected in zip(texts, image.golden, strict=True):
            (part,) = batches([text])
            given = self._judge(*part, np.zeros(1, dtype=np.uint8), image.book.address, _NO_THRESHOLDS, True)
            if (len(given.scored) == 0) != (expected is None):
                return False
            if expected is not None and not np.allclose(given.scores[0], expected, rtol=0, atol=_TOLERANCE):
                return False
        return True


_NO_THRESHOLDS = (0.0, 0.0, 0.0)
_NOTHING = (np.empty(0, dtype=np.int32), np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.uint8))


def _joined(parts: list[Output]) -> Output:
    """The stretches of a batch as one."""
    if len(parts) == 1:
        return parts[0]
    first = np.cumsum([0, *(len(part.severity) for part in parts)])
    out = Output(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    _shift(out.scored, [len(p.scored) for p in parts], first)
    _shift(out.evidence[:, OF_TEXT], [len(p.evidence) for p in parts], first)
    _shift(out.evasions[:, OF_TEXT], [len(p.evasions) for p in parts], first)
    return out


def _shift(column: Array, counts: list[int], first: Array) -> None:
    """Add to the entries of each part where the part begins."""
    column += np.repeat(first[: len(counts)], counts).astype(column.dtype)


def _questions(channel: str | Sequence[str | None] | None, count: int) -> Array:
    if channel is None or isinstance(channel, str):
        return np.full(count, channel == QUESTION_CHANNEL, dtype=np.uint8)
    if len(channel) != count:
        raise UsageError(f"{len(channel)} channels for {count} texts; give one for all, or one a text.")
    return np.array([c == QUESTION_CHANNEL for c in channel], dtype=np.uint8)


@cache
def _folding() -> Folding:
    return build_folding()


@cache
def _dictionary() -> Dictionary:
    return load_dictionary(_builder())


def _builder() -> Builder:
    made = entries()
    return Builder(made.insert, made.rehash)


def _build(artefact: Artefact) -> tuple[Book, tuple[str, ...]]:
    """Tables of a model, and the terms that evasions stand for."""
    builder = _builder()
    book = Book(f.FIELDS)
    marks = build_marks()
    screen = build_screen()
    terms = enter_disguises(book, builder, marks, screen)
    enter_lexemes(book, builder, marks)
    enter_gate(book, builder, artefact.gate, marks, screen)
    book.table(f.SCREEN, screen)
    _folding().enter(book, marks)
    build_patterns().enter(book)
    _dictionary().enter(book)
    enter_features(book, builder, artefact)
    enter_model(book, artefact)
    enter_signals(book)
    return book, terms


def load_compiled(model: str | Path | None = None) -> CompiledClassifier:
    """The compiled classifier of a model directory; the shipped one by default.

    The first call on a machine compiles for some seconds, and keeps the tables that it builds for later ones. Raises
    ``ModelError``, ``DataError`` for patterns it cannot take, and ``UsageError`` if the extra ``fast`` is not installed.
    """
    artefact = load_artefact(Path(model) if model is not None else default_model_path())
    folder = cache_folder(entries().judge)
    return CompiledClassifier(artefact, image_path(Path(folder), artefact) if folder else None)
