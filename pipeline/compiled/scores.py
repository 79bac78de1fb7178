"""Scores of a text from the heads of a model, and what is decided on them; see ``pipeline.model.scorer`` and ``pipeline.classifier``."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import ModelError
from ..model.artefact import SEVERITY_HEADS, Artefact
from ..taxonomy import taxonomy
from ..text.concepts import concepts
from .features import Analysis, Sizes, Vocabulary, window_rows
from .jit import Array, kernel

_GRID = 2.0**40


class Model(NamedTuple):
    """The heads. ``weights[row, head]`` float32; ``mean[head]`` 1 where windows are averaged, 0 where the largest counts."""

    weights: Array
    bias: Array
    calibration: Array
    mean: Array
    severity_heads: Array
    code_heads: Array
    code_thresholds: Array
    stance_heads: Array


class Signals(NamedTuple):
    """When a signal is seen; see ``data/taxonomy.toml``."""

    any_of: Array  # [signal, concept]
    none_of: Array
    least_severity: Array
    least_length: Array
    obfuscation: Array  # 1 for the signal that undone disguises show


def build_model(artefact: Artefact) -> Model:
    """The heads of an artefact. Raises ``ModelError`` if a head is missing that verdicts need."""
    known = taxonomy()
    column = {head: i for i, head in enumerate(artefact.heads)}
    wanted = [*SEVERITY_HEADS, *(f"code:{c}" for c in known.codes), *(f"stance:{s}" for s in known.stances)]
    if missing := [head for head in wanted if head not in column]:
        raise ModelError(
            f"{artefact.path}: the model has no head {missing[0]!r}. Train it again with `loanlint train`.",
            code="E_MODEL_MANIFEST",
        )
    if len(known.codes) > 62 or len(known.signals) > 62:
        raise ModelError("data/taxonomy.toml: more codes or signals than the compiled scorer can number.")
    weights = np.array(artefact.weights, dtype=np.float64).reshape(-1, len(artefact.heads))
    # Multiples of 2^-40 add up exactly in any order: windows with the same features get the same score to the last bit.
    weights = np.round(weights * _GRID) / _GRID
    return Model(
        weights=np.ascontiguousarray(weights.astype(np.float32)),
        bias=np.array(artefact.bias, dtype=np.float64),
        calibration=np.array(artefact.calibration, dtype=np.float64).reshape(-1, 2),
        mean=np.array([head.startswith("stance:") for head in artefact.heads], dtype=np.uint8),
        severity_heads=np.array([column[head] for head in SEVERITY_HEADS], dtype=np.int32),
        code_heads=np.array([column[f"code:{c}"] for c in known.codes], dtype=np.int32),
        code_thresholds=np.array([artefact.code_thresholds[c] for c in known.codes], dtype=np.float64),
        stance_heads=np.array([column[f"stance:{s}"] for s in known.stances], dtype=np.int32),
    )


def build_signals() -> Signals:
    """The signals of the taxonomy."""
    names = concepts().names
    signals = list(taxonomy().signals.values())
    return Signals(
        any_of=np.array([[n in s.any for n in names] for s in signals], dtype=np.uint8).reshape(-1, len(names)),
        none_of=np.array([[n in s.none for n in names] for s in signals], dtype=np.uint8).reshape(-1, len(names)),
        least_severity=np.array([s.min_severity for s in signals], dtype=np.int32),
        least_length=np.array([s.min_length for s in signals], dtype=np.int32),
        obfuscation=np.array([s.id == "obfuscation" for s in signals], dtype=np.uint8),
    )


@kernel
def calibrated(score: float, slope: float, intercept: float) -> float:
    """Probability of a raw score."""
    x = slope * score + intercept
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@kernel
def score_windows(
    analysis: Analysis,
    model: Model,
    vocabulary: Vocabulary,
    sizes: Sizes,
    stamps: Array,
    first_stamp: int,
    rows: Array,
    values: Array,
) -> int:
    """Scores of the text into ``values``; returns the number of the window that decides severity ≥ 2."""
    heads = len(model.bias)
    totals = np.empty(heads, dtype=np.float64)
    deciding = 0
    highest = 0.0
    windows = analysis.windows
    for number in range(len(windows)):
        count = window_rows(
            analysis, windows[number, 0], windows[number, 1], vocabulary, sizes, stamps, first_stamp + number, rows
        )
        totals[:] = 0.0
        for i in range(count):
            weights = model.weights[rows[i]]
            for head in range(heads):
                totals[head] += weights[head]
        for head in range(heads):
            value = totals[head] + model.bias[head]
            if number == 0:
                values[head] = value
            elif model.mean[head]:
                values[head] += value
            else:
                values[head] = max(values[head], value)
        value = totals[model.severity_heads[1]]
        if number == 0 or value > highest:
            highest = value
            deciding = number
    if len(windows) > 1:
        for head in range(heads):
            if model.mean[head]:
                values[head] /= len(windows)
    return deciding


@kernel
def probability_of(head: int, values: Array, model: Model) -> float:
    """Calibrated probability of a head."""
    return calibrated(values[head], model.calibration[head, 0], model.calibration[head, 1])


@kernel
def severity_of(one: float, two: float, three: float, thresholds: Array) -> int:
    """Severity for made non-increasing probabilities."""
    if two >= thresholds[1]:
        return 3 if three >= thresholds[2] else 2
    return 1 if one >= thresholds[0] else 0


@kernel
def codes_of(values: Array, model: Model, order: Array) -> int:
    """Codes above their thresholds into ``order``, most probable first; returns how many."""
    count = 0
    chances = np.empty(len(order), dtype=np.float64)
    for code in range(len(model.code_heads)):
        chance = probability_of(model.code_heads[code], values, model)
        if chance >= model.code_thresholds[code]:
            place = count
            while place > 0 and chances[place - 1] < chance:
                chances[place] = chances[place - 1]
                order[place] = order[place - 1]
                place -= 1
            chances[place] = chance
            order[place] = code
            count += 1
    return count


@kernel
def stance_of(values: Array, model: Model) -> int:
    """The stance with the largest score."""
    best = 0
    for stance in range(1, len(model.stance_heads)):
        if values[model.stance_heads[stance]] > values[model.stance_heads[best]]:
            best = stance
    return best


@kernel
def signals_of(said: Array, severity: int, length: int, obfuscated: bool, signals: Signals) -> int:
    """Bit mask of the signals; ``said[concept]`` is 1 for concepts in the text."""
    mask = 0
    for signal in range(len(signals.obfuscation)):
        if signals.obfuscation[signal]:
            seen = obfuscated and severity > 0
        else:
            seen = False
            if severity >= signals.least_severity[signal] and length >= signals.least_length[signal]:
                for concept in range(len(said)):
                    if said[concept]:
                        if signals.none_of[signal, concept]:
                            seen = False
                            break
                        if signals.any_of[signal, concept]:
                            seen = True
        if seen:
            mask |= 1 << signal
    return mask
