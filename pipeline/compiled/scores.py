"""Scores from the heads of a model, and what is decided on them; see ``pipeline.model.scorer`` and ``pipeline.classifier``."""

from __future__ import annotations

import math

import numpy as np

from ..errors import ModelError
from ..model.artefact import SEVERITY_HEADS, Artefact
from ..taxonomy import taxonomy
from ..text.concepts import concepts
from ..text.normalise import MOSTLY_TRADITIONAL
from . import fields as f
from .jit import kernel
from .lexemes import WHAT
from .memory import LANES, Book, add_rows, get1, get4, get8, get_double, put4, put_double

_GRID = 2.0**40
MOST_NAMES = 62  # codes or signals in a bit mask


def enter_model(book: Book, artefact: Artefact) -> None:
    """Put the heads into their fields. Raises ``ModelError`` if a head is missing that verdicts need."""
    known = taxonomy()
    column = {head: i for i, head in enumerate(artefact.heads)}
    codes = [f"code:{c}" for c in known.codes]
    stances = [f"stance:{s}" for s in known.stances]
    if missing := [head for head in (*SEVERITY_HEADS, *codes, *stances) if head not in column]:
        raise ModelError(
            f"{artefact.path}: the model has no head {missing[0]!r}. Train it again with `loanlint train`.",
            code="E_MODEL_MANIFEST",
        )
    weights = np.array(artefact.weights, dtype=np.float64).reshape(-1, len(artefact.heads))
    # Multiples of 2^-40 add up exactly in any order: windows with the same features get the same score to the last bit.
    padded = np.zeros((len(weights), -(-len(artefact.heads) // LANES) * LANES), dtype=np.float32)
    padded[:, : len(artefact.heads)] = np.round(weights * _GRID) / _GRID
    book.table(f.WEIGHTS, padded)
    book.number(f.WEIGHT_WIDTH, padded.shape[1])
    book.number(f.WEIGHT_ROWS, len(weights))
    book.number(f.HEADS, len(artefact.heads))
    book.table(f.BIAS, np.array(artefact.bias, dtype=np.float64))
    book.table(f.CALIBRATION, np.array(artefact.calibration, dtype=np.float64))
    book.table(f.MEAN, np.array([head.startswith("stance:") for head in artefact.heads], dtype=np.uint8))
    book.table(f.SEVERITY_HEADS_AT, np.array([column[head] for head in SEVERITY_HEADS], dtype=np.int32))
    book.number(f.CODES, len(codes))
    book.table(f.CODE_HEADS, np.array([column[head] for head in codes], dtype=np.int32))
    book.table(f.CODE_THRESHOLDS, np.array([artefact.code_thresholds[c] for c in known.codes], dtype=np.float64))
    book.number(f.STANCES, len(stances))
    book.table(f.STANCE_HEADS, np.array([column[head] for head in stances], dtype=np.int32))


def enter_signals(book: Book) -> None:
    """Put signals and other rules of the verdict into their fields."""
    names = concepts().names
    known = taxonomy()
    signals = list(known.signals.values())
    if max(len(signals), len(known.codes)) > MOST_NAMES:
        raise ModelError("data/taxonomy.toml: more codes or signals than the compiled scorer can number.")
    book.number(f.SIGNALS, len(signals))
    any_of = [sum(1 << k for k, s in enumerate(signals) if n in s.any) for n in names]
    none_of = [sum(1 << k for k, s in enumerate(signals) if n in s.none) for n in names]
    book.table(f.SIGNAL_ANY, np.array(any_of, dtype=np.int64))
    book.table(f.SIGNAL_NONE, np.array(none_of, dtype=np.int64))
    book.table(f.SIGNAL_SEVERITY, np.array([s.min_severity for s in signals], dtype=np.int32))
    book.table(f.SIGNAL_LENGTH, np.array([s.min_length for s in signals], dtype=np.int32))
    book.table(f.SIGNAL_OBFUSCATION, np.array([s.id == "obfuscation" for s in signals], dtype=np.uint8))
    book.number(f.CONTACT, names.index("contact") if "contact" in names else -1)
    book.number(f.OUT_OF_SCOPE, list(known.stances).index("out_of_scope"))
    book.table(f.MOSTLY_TRADITIONAL, np.array([MOSTLY_TRADITIONAL], dtype=np.float64))


@kernel
def calibrated(score: float, slope: float, intercept: float) -> float:
    """Probability of a raw score."""
    x = slope * score + intercept
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@kernel
def add_window(book: int, rows: int, count: int, totals: int, values: int, number: int) -> float:
    """Add the scores of window ``number`` to ``values`` (double); returns that of severity ≥ 2 without its bias.

    Severity and code heads keep the largest over the windows, stance heads the sum.
    """
    heads = get8(book, f.HEADS)
    weights = get8(book, f.WEIGHTS)
    width = get8(book, f.WEIGHT_WIDTH)
    for lane in range(0, width, LANES):
        add_rows(totals + 8 * lane, weights + 4 * lane, width, rows, count)
    bias = get8(book, f.BIAS)
    mean = get8(book, f.MEAN)
    for head in range(heads):
        value = get_double(totals, head) + get_double(bias, head)
        if number > 0:
            before = get_double(values, head)
            value = before + value if get1(mean, head) else max(before, value)
        put_double(values, head, value)
    return get_double(totals, get4(get8(book, f.SEVERITY_HEADS_AT), 1))


@kernel
def average(book: int, values: int, windows: int) -> None:
    """Turn sums over windows into means."""
    mean = get8(book, f.MEAN)
    for head in range(get8(book, f.HEADS)):
        if get1(mean, head):
            put_double(values, head, get_double(values, head) / windows)


@kernel
def probability_of(book: int, head: int, values: int) -> float:
    """Calibrated probability of a head."""
    calibration = get8(book, f.CALIBRATION)
    return calibrated(
        get_double(values, head), get_double(calibration, 2 * head), get_double(calibration, 2 * head + 1)
    )


@kernel
def find_codes(book: int, values: int, order: int, chances: int) -> int:
    """Codes above their thresholds into ``order``, most probable first; returns how many. ``chances`` (double) is scratch."""
    count = 0
    heads = get8(book, f.CODE_HEADS)
    for code in range(get8(book, f.CODES)):
        chance = probability_of(book, get4(heads, code), values)
        if chance >= get_double(get8(book, f.CODE_THRESHOLDS), code):
            place = count
            while place > 0 and get_double(chances, place - 1) < chance:
                put_double(chances, place, get_double(chances, place - 1))
                put4(order, place, get4(order, place - 1))
                place -= 1
            put_double(chances, place, chance)
            put4(order, place, code)
            count += 1
    return count


@kernel
def stance_of(book: int, values: int) -> int:
    """The stance with the largest score."""
    heads = get8(book, f.STANCE_HEADS)
    best = 0
    for stance in range(1, get8(book, f.STANCES)):
        if get_double(values, get4(heads, stance)) > get_double(values, get4(heads, best)):
            best = stance
    return best


@kernel
def signals_of(book: int, found: int, count: int, severity: int, length: int, obfuscated: bool) -> int:
    """Bit mask of the signals, from the concepts found."""
    any_of = 0
    none_of = 0
    for i in range(count):
        concept = get4(found, 4 * i + WHAT)
        any_of |= get8(get8(book, f.SIGNAL_ANY), concept)
        none_of |= get8(get8(book, f.SIGNAL_NONE), concept)
    mask = any_of & ~none_of
    for signal in range(get8(book, f.SIGNALS)):
        bit = 1 << signal
        if get1(get8(book, f.SIGNAL_OBFUSCATION), signal):
            mask &= ~bit
            if obfuscated and severity > 0:
                mask |= bit
        elif severity < get4(get8(book, f.SIGNAL_SEVERITY), signal) or length < get4(
            get8(book, f.SIGNAL_LENGTH), signal
        ):
            mask &= ~bit
    return mask
