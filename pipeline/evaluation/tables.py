"""An evaluation as text tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..taxonomy import SEVERITY_LABELS
from .attacks import AttackResult
from .peers import PeerResult


def number(value: Any, digits: int = 3) -> str:
    """A figure for a table; a dash where there is none."""
    return "–" if value is None or (isinstance(value, float) and math.isnan(value)) else f"{value:.{digits}f}"


def around(interval: tuple[float, float] | None, digits: int = 3) -> str:
    """An interval for a table."""
    if interval is None or any(math.isnan(v) for v in interval):
        return "–"
    return f"{interval[0]:.{digits}f}–{interval[1]:.{digits}f}"


def reached(result: AttackResult) -> str:
    """Whether an attack's goal is reached: ``yes``, ``no``, or a dash where there is none."""
    if result.goal is None or math.isnan(result.kept):
        return "–"
    return "yes" if result.kept >= result.goal else "no"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" for _ in head) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(r) + " |" for r in rows)])


def render(name: str, summary: Mapping[str, Any]) -> str:
    """All tables of one file."""
    counts = ", ".join(f"{n} {label}" for label, n in summary["by_severity"].items())
    parts = [f"## {name}: {summary['rows']} rows ({counts})"]
    if "average_precision" in summary:
        parts.append(
            table(
                ["severity ≥ 2 against 0", "value", "95 % interval"],
                [
                    [
                        "average precision (AP)",
                        number(summary["average_precision"]),
                        around(summary.get("average_precision_interval")),
                    ],
                    ["best F1", number(summary["best_f1"]), around(summary.get("best_f1_interval"))],
                    [
                        "recall at 1 % false positives",
                        number(summary["recall_at_1pct_fpr"]),
                        around(summary.get("recall_interval")),
                    ],
                    [
                        "expected calibration error",
                        number(summary["calibration_error"]),
                        around(summary.get("calibration_error_interval")),
                    ],
                    ["borderline against none, AP", number(summary.get("borderline_average_precision")), ""],
                    ["code F1, macro (codes with ≥ 20 rows)", number(summary["code_macro_f1"]), ""],
                ],
            )
        )
    parts.append(
        table(
            [
                "operating point",
                "threshold",
                "precision",
                "recall",
                "FPR",
                "illegal recall",
                "FPR mentions",
                "FPR lawful ads",
                "precision at 1:100",
                "1:1,000",
                "1:10,000",
            ],
            [
                [
                    point,
                    number(v["threshold"]),
                    number(v["precision"]),
                    number(v["recall"]),
                    number(v["false_positive_rate"], 4),
                    number(v["illegal_recall"]),
                    number(v["mention_fpr"], 4),
                    number(v["regulated_ad_fpr"], 4),
                    *(number(x) for x in v["precision_at_base_rate"].values()),
                ]
                for point, v in summary["operating_points"].items()
            ],
        )
    )
    for title, key in (("stance", "by_stance"), ("channel", "by_channel")):
        parts.append(
            table(
                [title, "rows", "misleading", "recall", "none", "FPR"],
                [
                    [
                        k,
                        str(v["rows"]),
                        str(v["misleading"]),
                        number(v["recall"]),
                        str(v["none"]),
                        number(v["false_positive_rate"], 4),
                    ]
                    for k, v in summary[key].items()
                ],
            )
        )
    parts.append(
        table(
            ["labelled \\ given", *SEVERITY_LABELS],
            [[SEVERITY_LABELS[i], *map(str, row)] for i, row in enumerate(summary["confusion"])],
        )
    )
    if summary["codes"]:
        parts.append(
            table(
                ["code", "rows", "precision", "recall", "F1", "AP"],
                [
                    [
                        c,
                        str(v["rows"]),
                        number(v["precision"]),
                        number(v["recall"]),
                        number(v["f1"]),
                        number(v["average_precision"]),
                    ]
                    for c, v in sorted(summary["codes"].items(), key=lambda kv: -kv[1]["rows"])
                ],
            )
        )
    return "\n\n".join(parts)


def render_peers(results: Sequence[PeerResult]) -> str:
    """Table of methods, the model first."""
    if not results:
        return "peers: the file needs rows of severity 0 and of 2 or more"
    return table(
        ["method", "trained on", "AP", "95 % interval", "best F1", "recall at 1 % FPR", ""],
        [
            [
                r.name,
                r.trained_on,
                number(r.average_precision),
                around(r.interval),
                number(r.best_f1),
                number(r.recall_at_1pct_fpr),
                r.note,
            ]
            for r in results
        ],
    )


def render_attacks(results: Sequence[AttackResult]) -> str:
    """Table of attacks at the balanced operating point, the clean text first."""
    if not results:
        return "attacks: the file has no rows of severity 2 or more"
    return table(
        ["attack", "texts changed", "recall", "share kept", "goal", "reached", "FPR"],
        [
            [
                r.name,
                number(r.changed),
                number(r.recall),
                number(r.kept),
                number(r.goal, 2),
                reached(r),
                number(r.false_positive_rate, 4),
            ]
            for r in results
        ],
    )
