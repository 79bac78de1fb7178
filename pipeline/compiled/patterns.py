"""All regular expressions of the plain scorer, compiled together so that they share their character classes."""

from __future__ import annotations

import re

from ..resources import read_table
from ..text import disguise, windows
from ..text.lexicon import lexicon
from .regex import Regex, compile_patterns

# Programs at the head of the compiled patterns.
CONTEXT, GLOSSES, URLISH, SENTENCE_END, CLAUSE_END, FIRST_CLASS_PATTERN = range(6)

_FIXED: dict[int, re.Pattern[str]] = {
    CONTEXT: disguise._CONTEXT,
    GLOSSES: disguise._GLOSS,
    URLISH: disguise._URLISH,
    SENTENCE_END: windows.SENTENCE_END,
    CLAUSE_END: windows._CLAUSE_END,
}


def build_patterns() -> Regex:
    """The patterns of the code, then those of ``data/lexicon/patterns.tsv`` in their order."""
    fixed = [("pipeline.text", _FIXED[number].pattern) for number in range(FIRST_CLASS_PATTERN)]
    names = [name for name, _ in read_table("lexicon", "patterns.tsv")]
    bodies = [pattern.pattern for _, pattern in lexicon().patterns]
    rows = [(f"data/lexicon/patterns.tsv: {name}", body) for name, body in zip(names, bodies, strict=True)]
    return compile_patterns([*fixed, *rows])
