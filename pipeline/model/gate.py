"""The gate: a text that holds no trigger term is ``none`` by definition, in every scorer.

Most scraped text has nothing to do with loans. The triggers are chosen in training so that every positive training text holds
one; what the gate costs on real text is measured by ``loanlint evaluate``.
"""

from __future__ import annotations

from collections.abc import Sequence

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind


class Gate:
    """Compiled trigger terms."""

    def __init__(self, triggers: Sequence[str]) -> None:
        self.triggers = tuple(triggers)
        self._automaton = AhoCorasick(
            list(self.triggers), matchkind=MatchKind.LeftmostFirst, implementation=Implementation.ContiguousNFA
        )

    def passes(self, canonical: str) -> bool:
        """Whether a canonical text holds a trigger."""
        return bool(self._automaton.find_matches_as_indexes(canonical))
