"""What the decisions say of the model and of the reviewers."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...text.lexicon import lexicon
from ...text.normalise import normalise
from ..store import Event, Item, ItemFilter, Store
from .decisions import APPEAL, GOLD, GOLDEN, SECOND, agree, decisions, effective, label_of, outcome_of
from .export import all_events

_FEW = 0.0005  # stands for an empty bin, where a logarithm is taken
_TERMS = 10


@dataclass(frozen=True, slots=True)
class Share:
    """``right`` of ``total``, with the 95 % Wilson interval."""

    right: int
    total: int

    @property
    def value(self) -> float | None:
        """The share, ``None`` of nothing."""
        return self.right / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds of the share."""
        if not self.total:
            return 0.0, 1.0
        z, n, p = 1.96, self.total, self.right / self.total
        middle = p + z * z / (2 * n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        # The bounds are 0 and 1 exactly where the share is; rounding would miss them.
        low = 0.0 if self.right == 0 else (middle - half) / scale
        high = 1.0 if self.right == self.total else (middle + half) / scale
        return low, high

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        low, high = self.interval
        return {
            "right": self.right,
            "total": self.total,
            "share": self.value,
            "low": round(low, 4),
            "high": round(high, 4),
        }


def review_report(store: Store, profile: Mapping[str, Any], drift_texts: int = 20_000) -> dict[str, Any]:
    """All figures, as plain values. ``profile`` is that of the model's artefact; drift is measured on the ``drift_texts`` latest texts.

    The model is judged by what it said when the decision was made, and by the last decision in force of each item. Precision of
    a code: the share of texts it was given to for which the reviewer kept it.
    """
    events = all_events(store)
    golden = {id: label_of(made[-1]) for id, rows in events.items() if (made := [e for e in rows if e.kind == GOLDEN])}
    judged = {id: made for id, rows in events.items() if id not in golden and (made := decisions(rows))}
    codes: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    reasons: Counter[str] = Counter()
    flagged = [0, 0]
    missed = [0, 0]
    for made in judged.values():
        last = made[-1]
        label, model = label_of(last), last.body["model"]
        for code in model["codes"]:
            codes[code][0] += code in label.codes
            codes[code][1] += 1
        side = flagged if model["severity"] >= 2 else missed
        side[0] += label.misleading
        side[1] += 1
        if last.body["reason"]:
            reasons[last.body["reason"]] += 1
    return {
        "decisions": sum(len(made) for made in judged.values()),
        "items": len(judged),
        "states": dict(sorted(store.tally(purged=True).items())),
        "purged": sum(store.tally(purged=True).values()) - sum(store.tally().values()),
        "flagged_precision": Share(*flagged).plain(),
        "missed": Share(*missed).plain(),
        "codes": {code: Share(*found).plain() for code, found in sorted(codes.items())},
        "false_positive_reasons": dict(reasons.most_common()),
        "appeals": _appeals(events),
        "agreement": agreement(list(judged.values())),
        "reviewers": _reviewers(events, golden),
        "drift": drift(store.items(ItemFilter(state=None, except_state=GOLD, limit=drift_texts)), profile),
    }


def agreement(judged: Sequence[Sequence[Event]]) -> dict[str, Any]:
    """How often a second review comes to the same as the first, which it was not shown; kappa is over misleading or not."""
    pairs = [
        (label_of(first), label_of(second))
        for made in judged
        for first, second in itertools.pairwise(made)
        if second.body["before"] == SECOND
    ]
    total = len(pairs)
    same = sum(a.misleading == b.misleading for a, b in pairs)
    kappa = None
    if total:
        one, two = (sum(p[i].misleading for p in pairs) / total for i in (0, 1))
        chance = one * two + (1 - one) * (1 - two)
        kappa = (same / total - chance) / (1 - chance) if chance < 1 else None
    return {
        "pairs": total,
        "misleading": Share(same, total).plain(),
        "severity_and_codes": Share(sum(agree(a, b) for a, b in pairs), total).plain(),
        "kappa": None if kappa is None else round(kappa, 4),
    }


def _appeals(events: Mapping[str, Sequence[Event]]) -> dict[str, int]:
    total = upheld = changed = 0
    for rows in events.values():
        rest = effective(rows)
        for i, event in enumerate(rest):
            if event.kind != APPEAL:
                continue
            total += 1
            outcome = outcome_of(rest, i)
            if outcome is not None:
                upheld += outcome.upheld
                changed += not outcome.upheld
    return {"total": total, "upheld": upheld, "changed": changed}


def _reviewers(events: Mapping[str, Sequence[Event]], golden: Mapping[str, Any]) -> dict[str, Any]:
    made: Counter[str] = Counter()
    right: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    exact: Counter[str] = Counter()
    for id, rows in events.items():
        for event in decisions(rows):
            if id not in golden:
                made[event.actor] += 1
                continue
            label = label_of(event)
            right[event.actor][0] += label.misleading == golden[id].misleading
            right[event.actor][1] += 1
            exact[event.actor] += agree(label, golden[id])
    return {
        actor: {
            "decisions": made[actor],
            "golden": Share(*right[actor]).plain(),
            "golden_exact": Share(exact[actor], right[actor][1]).plain(),
        }
        for actor in sorted({*made, *right})
    }


def drift(items: Sequence[Item], profile: Mapping[str, Any]) -> dict[str, Any]:
    """How stored texts differ from those the model was trained on.

    ``psi``: population stability index of the scores, under 0.1 is steady, over 0.25 is another population. ``terms``: the
    classes of words whose share changed most.
    """
    counts = [int(c) for c in profile["p_misleading_histogram"]]
    found = [0] * len(counts)
    seen: Counter[str] = Counter()
    for item in items:
        found[min(int(item.p * len(counts)), len(counts) - 1)] += 1
        seen.update({hit.name for hit in lexicon().hits(normalise(item.text).text)})
    total = len(items)
    if not total:
        return {"texts": 0, "psi": None, "terms": []}
    psi = 0.0
    for before, after in zip(counts, found, strict=True):
        a, b = max(before / sum(counts), _FEW), max(after / total, _FEW)
        psi += (b - a) * math.log(b / a)
    shares = {name: (float(share), seen[name] / total) for name, share in profile["class_share"].items()}
    most = sorted(shares.items(), key=lambda pair: -abs(pair[1][1] - pair[1][0]))[:_TERMS]
    return {
        "texts": total,
        "psi": round(psi, 4),
        "terms": [{"term": name, "reference": a, "stored": round(b, 4)} for name, (a, b) in most],
    }
