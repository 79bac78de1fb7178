"""The quality gate: bounds hold, breaches are named, floors are never loosened by accident."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import DataError
from pipeline.evaluation import gate

FLOORS = {
    "set": {"digest": "d", "bounds": {"average_precision": {"min": 0.9}, "balanced.mention_fpr": {"max": 0.01}}},
}
GOOD = {"average_precision": 0.91, "balanced.mention_fpr": 0.005}


def test_figures_within_their_bounds_pass() -> None:
    assert gate.check(FLOORS, "set", "d", GOOD) == []


@pytest.mark.parametrize(
    ("measured", "digest", "word"),
    [
        ({**GOOD, "average_precision": 0.89}, "d", "below its floor"),
        ({**GOOD, "balanced.mention_fpr": 0.02}, "d", "above its ceiling"),
        ({"average_precision": 0.95}, "d", "was not measured"),
        (GOOD, "other", "content"),
    ],
)
def test_every_breach_is_named(measured: dict[str, float], digest: str, word: str) -> None:
    breaches = gate.check(FLOORS, "set", digest, measured)
    assert len(breaches) == 1
    assert word in breaches[0].message


def test_update_tightens_and_never_loosens() -> None:
    better = gate.update(FLOORS, "set", "d2", {"average_precision": 0.97, "balanced.mention_fpr": 0.001})
    assert better["set"]["digest"] == "d2"
    assert better["set"]["bounds"]["average_precision"]["min"] == pytest.approx(0.965)
    assert better["set"]["bounds"]["balanced.mention_fpr"]["max"] == pytest.approx(0.003)
    # Measured barely above the floor: the margin does not pull the floor down.
    same = gate.update(FLOORS, "set", "d", {"average_precision": 0.901, "balanced.mention_fpr": 0.01})
    assert same["set"]["bounds"] == FLOORS["set"]["bounds"]


@pytest.mark.parametrize("measured", [{**GOOD, "average_precision": 0.85}, {"average_precision": 0.95}])
def test_lowering_a_floor_needs_the_flag(measured: dict[str, float]) -> None:
    with pytest.raises(DataError, match="E_DATA_FLOORS"):
        gate.update(FLOORS, "set", "d", measured)
    lowered = gate.update(FLOORS, "set", "d", measured, lower=True)
    assert lowered["set"]["bounds"].keys() == measured.keys()


@pytest.mark.parametrize("body", ["", "[]", '{"x": {}}', '{"x": {"digest": "d", "bounds": {"a": {"least": 1}}}}'])
def test_a_broken_floors_file_is_refused(tmp_path: Path, body: str) -> None:
    path = tmp_path / "floors.json"
    path.write_text(body, encoding="utf-8")
    with pytest.raises(DataError, match="E_DATA_FLOORS"):
        gate.read_floors(path)


def test_floors_survive_writing(tmp_path: Path) -> None:
    path = tmp_path / "floors.json"
    gate.write_floors(FLOORS, path)
    assert gate.read_floors(path) == FLOORS


def test_the_shipped_model_holds_its_floors(run) -> None:
    result = run("gate")
    assert result.status == 0, result.out
    assert "cross-validation" in result.out


def test_pinned_figures_are_known() -> None:
    for entry in gate.read_floors().values():
        for name, bound in entry["bounds"].items():
            assert list(bound) == [gate.FIGURES[name][0]]


def test_lower_alone_is_refused(run) -> None:
    result = run("gate", "--lower")
    assert result.status == 2
    assert "E_USAGE" in result.err


def test_figures_skip_what_is_not_there() -> None:
    summary = json.loads('{"average_precision": 0.5, "operating_points": {"balanced": {"mention_fpr": NaN}}}')
    assert gate.figures(summary) == {"average_precision": 0.5}
