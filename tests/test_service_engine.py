"""How scoring is run: slices, threads, texts of several requests together, deadlines; and which engine is taken."""

from __future__ import annotations

import asyncio
import sys
import time
from types import ModuleType, SimpleNamespace

import pytest
from serving import AD, CLEAN, ILLEGAL

from pipeline import CheckSettings, Classifier, ModelError, UsageError
from pipeline.service.engine import COMPILED, Engine, Scoring, load_engine
from pipeline.service.problems import ApiError
from pipeline.taxonomy import taxonomy

TEXTS = [AD, CLEAN, "", ILLEGAL, f"{CLEAN}。{AD}" * 3, "花呗逾期一天会上征信吗"]
SETTINGS = CheckSettings()


@pytest.fixture
def scoring():
    found = Scoring()
    yield found
    found.close()


def later(seconds: float = 60) -> float:
    return time.monotonic() + seconds


@pytest.mark.parametrize("kind", ["plain", COMPILED])
@pytest.mark.parametrize("size", [1, 50, 300, 100_000])
def test_slices_give_what_one_call_gives(classifier: Classifier, scoring: Scoring, kind: str, size: int) -> None:
    engine = Engine(classifier, kind)
    engine.slice = size
    channels = [None, "ugc_question"] * 3
    found = asyncio.run(scoring.judge(engine, TEXTS, channels, SETTINGS, later()))
    assert found == [
        classifier.check(t, SETTINGS, id=str(i), channel=c)
        for i, (t, c) in enumerate(zip(TEXTS, channels, strict=True))
    ]


class Counting(Classifier):
    """A classifier that notes the sizes of its calls, and fails on demand."""

    def __init__(self, artefact) -> None:
        super().__init__(artefact)
        self.calls: list[int] = []
        self.fail = False

    def check_many(self, texts, settings=SETTINGS, *, channel=None):
        if self.fail:
            raise RuntimeError("broken")
        texts = list(texts)
        self.calls.append(len(texts))
        return super().check_many(texts, settings, channel=channel)


def test_single_texts_of_many_requests_are_scored_together(classifier: Classifier, scoring: Scoring) -> None:
    counting = Counting(classifier.artefact)
    engine = Engine(counting, COMPILED)
    wanted = [AD, ILLEGAL, CLEAN, AD] * 10

    async def go():
        return await asyncio.gather(*(scoring.judge(engine, [t], [None], SETTINGS, later()) for t in wanted))

    found = asyncio.run(go())
    assert [v for (v,) in found] == [classifier.check(t, SETTINGS, id="0") for t in wanted]
    # Texts without a trigger never get to the compiled engine; the others go in few calls.
    assert sum(counting.calls) == 30
    assert len(counting.calls) <= 3


def test_what_is_scored_together_is_bounded_and_settings_are_kept_apart(
    classifier: Classifier, scoring: Scoring
) -> None:
    counting = Counting(classifier.artefact)
    engine = Engine(counting, COMPILED)
    engine.slice = 3 * len(AD)
    strict = CheckSettings(fail_on="illegal")

    async def go():
        jobs = [scoring.judge(engine, [AD], [None], s, later()) for s in [SETTINGS, strict] * 6]
        return await asyncio.gather(*jobs)

    found = asyncio.run(go())
    assert [v.flagged for (v,) in found] == [True, False] * 6
    assert max(counting.calls) == 3


def test_a_failure_reaches_every_request_it_concerns(classifier: Classifier, scoring: Scoring) -> None:
    counting = Counting(classifier.artefact)
    engine = Engine(counting, COMPILED)
    counting.fail = True

    async def go():
        return await asyncio.gather(
            *(scoring.judge(engine, [AD], [None], SETTINGS, later()) for _ in range(3)), return_exceptions=True
        )

    assert [str(e) for e in asyncio.run(go())] == ["broken"] * 3
    counting.fail = False
    (verdict,) = asyncio.run(scoring.judge(engine, [AD], [None], SETTINGS, later()))
    assert verdict.flagged


def test_a_deadline_ends_work_between_slices(classifier: Classifier, scoring: Scoring) -> None:
    engine = Engine(classifier, "plain")
    with pytest.raises(ApiError) as caught:
        asyncio.run(scoring.judge(engine, [AD * 3] * 200, [None] * 200, SETTINGS, later(0.1)))
    assert (caught.value.status, caught.value.code) == (503, "E_TIME_LIMIT")


def test_a_large_text_leaves_the_loop_free(classifier: Classifier, scoring: Scoring) -> None:
    engine = Engine(classifier, "plain")

    async def go() -> int:
        job = asyncio.create_task(scoring.judge(engine, [AD * 60], [None], SETTINGS, later()))
        turns = 0
        while not job.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert job.result()[0].flagged
        return turns

    assert asyncio.run(go()) > 3


@pytest.mark.parametrize("kind", ["plain", COMPILED])
def test_moderation_scores_are_those_of_the_classifier(classifier: Classifier, kind: str) -> None:
    class Columnar(Classifier):
        """Gives columns as the compiled engine does."""

        def score(self, texts, settings):
            judged = [self.judge(t) for t in texts]
            scored = [i for i, j in enumerate(judged) if not j.scores.gated]
            rows = [[judged[i].code_probability(c) for c in taxonomy().codes] for i in scored]
            return SimpleNamespace(scored=_List(scored), code_probabilities=_List(rows))

    engine = Engine(Columnar(classifier.artefact) if kind == COMPILED else classifier, kind)
    found = engine.moderate(TEXTS, SETTINGS)
    for text, (verdict, scores) in zip(TEXTS, found, strict=True):
        assert (verdict.text, verdict.severity) == (text, classifier.check(text).severity)
        judged = classifier.judge(text)
        assert scores == {code: judged.code_probability(code) for code in taxonomy().codes}


class _List(list):
    def tolist(self) -> list:
        return list(self)


def test_the_compiled_engine_is_taken_where_it_is_installed(classifier: Classifier, monkeypatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    module = ModuleType("pipeline.compiled")
    asked: list[object] = []
    module.load_compiled = lambda path: asked.append(path) or classifier  # type: ignore[attr-defined]

    def installed(*names: str):
        return lambda name: (
            object() if name in names else None if name in ("numba", "pipeline.compiled") else real(name)
        )

    monkeypatch.setitem(sys.modules, "pipeline.compiled", module)
    monkeypatch.setattr("pipeline.service.engine.find_spec", installed("numba", "pipeline.compiled"))
    assert load_engine(None).kind == COMPILED
    assert asked == [None]
    monkeypatch.setattr("pipeline.service.engine.find_spec", installed("pipeline.compiled"))
    assert load_engine(None).kind == "plain"
    with pytest.raises(UsageError) as caught:
        load_engine(None, COMPILED)
    assert caught.value.code == "E_USAGE_EXTRA"
    monkeypatch.setattr("pipeline.service.engine.find_spec", installed("numba", "pipeline.compiled"))
    assert load_engine(None, "plain").kind == "plain"


def test_a_model_that_flags_nothing_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("pipeline.service.engine.PROBE", CLEAN)
    with pytest.raises(ModelError) as caught:
        load_engine(None)
    assert caught.value.code == "E_MODEL_PROBE"
