"""The real OpenAI client, sync and async, pointed at the service."""

from __future__ import annotations

import asyncio

import httpx
import openai
import pytest
from serving import AD, CLEAN, ILLEGAL, Running, loanlint, running

from pipeline import Classifier
from pipeline.taxonomy import taxonomy

CATEGORIES = ["loan", *(f"loan/{code}" for code in taxonomy().codes)]


@pytest.fixture
def client(service: Running):
    with openai.OpenAI(
        base_url=f"{service.local}/v1", api_key="any", max_retries=0, http_client=httpx.Client(trust_env=False)
    ) as found:
        yield found


def raw(result, name: str) -> dict:
    """Categories of ours are extra fields of the client's own type."""
    return getattr(result, name).model_extra


def test_one_text(client: openai.OpenAI, classifier: Classifier) -> None:
    answer = client.moderations.create(input=AD, model="omni-moderation-latest")
    verdict = classifier.check(AD)
    (result,) = answer.results
    assert result.flagged
    assert answer.id.startswith("modr-")
    assert answer.model == f"loanlint-{classifier.version}"
    categories, scores = raw(result, "categories"), raw(result, "category_scores")
    assert list(categories) == list(scores) == CATEGORIES
    assert {name for name, on in categories.items() if on} == {"loan", *(f"loan/{c.code}" for c in verdict.codes)}
    assert scores["loan"] == verdict.p_misleading
    judged = classifier.judge(AD)
    assert all(scores[f"loan/{code}"] == judged.code_probability(code) for code in taxonomy().codes)
    assert raw(result, "category_applied_input_types")["loan"] == ["text"]
    assert result.model_extra["loanlint"]["suggestion"] == "Block"
    assert answer._request_id


def test_many_texts(client: openai.OpenAI) -> None:
    answer = client.moderations.create(input=[CLEAN, AD, ILLEGAL])
    assert [r.flagged for r in answer.results] == [False, True, True]
    assert not any(raw(answer.results[0], "categories").values())
    assert answer.results[0].model_extra["loanlint"]["suggestion"] == "Pass"


def test_parts_are_one_input(client: openai.OpenAI, classifier: Classifier) -> None:
    parts = [{"type": "text", "text": CLEAN}, {"type": "text", "text": AD}, {"type": "text", "text": ILLEGAL}]
    answer = client.moderations.create(input=parts)  # type: ignore[arg-type]
    (result,) = answer.results
    assert result.flagged
    singles = [raw(client.moderations.create(input=t).results[0], "category_scores") for t in (CLEAN, AD, ILLEGAL)]
    assert raw(result, "category_scores") == {name: max(s[name] for s in singles) for name in CATEGORIES}


def test_async_client(service: Running) -> None:
    async def go() -> list[bool]:
        async with openai.AsyncOpenAI(
            base_url=f"{service.local}/v1", api_key="any", max_retries=0, http_client=httpx.AsyncClient(trust_env=False)
        ) as client:
            answers = await asyncio.gather(*(client.moderations.create(input=t) for t in [AD, CLEAN] * 20))
        return [a.results[0].flagged for a in answers]

    assert asyncio.run(go()) == [True, False] * 20


@pytest.mark.parametrize(
    ("given", "code", "param"),
    [
        ([], "E_INPUT_EMPTY", "input"),
        ([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}], "E_INPUT_IMAGE", "input[0]"),
        ([CLEAN, {"type": "text", "text": AD}], "E_REQUEST", "input"),
        (5, "E_REQUEST", "input"),
        ([5], "E_REQUEST", "input[0]"),
    ],
)
def test_bad_input_is_the_clients_own_exception(client: openai.OpenAI, given, code: str, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.moderations.create(input=given)
    assert (caught.value.code, caught.value.param, caught.value.type) == (code, param, "invalid_request_error")
    assert caught.value.request_id


def test_statuses_are_the_clients_own_exceptions(tmp_path) -> None:
    database = str(tmp_path / "service.db")
    key = loanlint("keys", "add", "shop", "--rate", "3", "--db", database).stdout.decode().strip()
    with running(tmp_path, database=database) as service:

        def client(token: str) -> openai.OpenAI:
            return openai.OpenAI(
                base_url=f"{service.local}/v1", api_key=token, max_retries=0, http_client=httpx.Client(trust_env=False)
            )

        with client("wrong") as stranger, pytest.raises(openai.AuthenticationError) as caught:
            stranger.moderations.create(input=AD)
        assert caught.value.code == "E_KEY"
        with client(key) as friend:
            assert friend.moderations.create(input=AD).results[0].flagged
            with pytest.raises(openai.APIStatusError) as size:
                friend.moderations.create(input="长" * 20_001)
            assert (size.value.status_code, size.value.code) == (413, "E_INPUT_SIZE")
            with pytest.raises(openai.NotFoundError):
                friend.models.list()
            with pytest.raises(openai.RateLimitError) as limited:
                _ = [friend.moderations.create(input=CLEAN) for _ in range(20)]
            assert limited.value.code == "E_RATE_LIMIT"
            assert int(limited.value.response.headers["retry-after"]) >= 1
        # With its own retries the client waits and gets through.
        patient = openai.OpenAI(
            base_url=f"{service.local}/v1", api_key=key, max_retries=5, http_client=httpx.Client(trust_env=False)
        )
        with patient:
            assert len([patient.moderations.create(input=CLEAN) for _ in range(6)]) == 6
