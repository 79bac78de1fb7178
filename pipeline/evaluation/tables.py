"""An evaluation as text tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..taxonomy import SEVERITY_LABELS


def number(value: Any, digits: int = 3) -> str:
    """A figure for a table; a dash where there is none."""
    return "–" if value is None or (isinstance(value, float) and math.isnan(value)) else f"{value:.{digits}f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" for _ in head) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(r) + " |" for r in rows)])


def render(name: str, summary: Mapping[str, Any]) -> str:
    """All tables of one file."""
    counts = ", ".join(f"{n} {label}" for label, n in summary["by_severity"].items())
    parts = [f"## {name}: {summary['rows']} rows ({counts})"]
    if "average_precision" in summary:
        low, high = summary["average_precision_interval"]
        r_low, r_high = summary["recall_interval"]
        parts.append(
            table(
                ["severity ≥ 2 against 0", "value", "95 % interval"],
                [
                    ["average precision (AP)", number(summary["average_precision"]), f"{low:.3f}–{high:.3f}"],
                    ["best F1", number(summary["best_f1"]), ""],
                    [
                        "recall at 1 % false positives",
                        number(summary["recall_at_1pct_fpr"]),
                        f"{r_low:.3f}–{r_high:.3f}",
                    ],
                    ["expected calibration error", number(summary["calibration_error"]), ""],
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
