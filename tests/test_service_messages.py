"""What the service says when it refuses: in two languages, from one table."""

from __future__ import annotations

import re
import string

import openai
import pytest
from serving import ROOT, Running

from pipeline.errors import InputError
from pipeline.service.database import StoreError
from pipeline.service.problems import ApiError, api_error, in_chinese, messages

SOURCES = [*ROOT.glob("pipeline/service/**/*.py")]

HAN = re.compile("[一-鿿]")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_message_is_there_in_both_languages_and_is_used() -> None:
    source = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES)
    assert len(messages()) > 50
    for name, message in messages().items():
        assert HAN.search(message.zh) or name == "field", name
        assert not HAN.search(message.en), name
        assert fields(message.zh) <= fields(message.en) | {"detail_zh"}, name
        assert 400 <= message.status < 600
        assert f'"{name}"' in source or name.startswith("E_"), f"{name} is never said"


def test_what_is_raised_is_in_the_table() -> None:
    raised = [
        (file.name, name)
        for file in SOURCES
        for name in re.findall(r'ApiError\(\s*"(\w+)"', file.read_text(encoding="utf-8"))
    ]
    assert len(raised) > 50
    assert [(file, name) for file, name in raised if name not in messages()] == []


@pytest.mark.parametrize(
    ("detail", "wanted"),
    [
        ("Expected `str`, got `int`", "应为 `str`,实际是 `int`"),
        ("Expected `str | null` of length <= 128", "`str | null` 的长度应 <= 128"),
        ("Object missing required field `input`", "缺少字段 `input`"),
        ("Object contains unknown field `colour`", "没有字段 `colour`"),
        ("Invalid enum value 'best'", "没有取值 'best'"),
        ("Something new", "字段不对:Something new"),
    ],
)
def test_what_the_reader_says_is_translated(detail: str, wanted: str) -> None:
    assert in_chinese(detail) == wanted


def test_field_errors_of_a_service_are_translated(service: Running) -> None:
    wrong = [
        ({"text": 5}, "应为 `str | null`"), ({"texts": ["x"], "fail_on": "x"}, "没有取值 'x'"), ({"colour": 1}, "没有字段 `colour`"),
        ({"text": "x", "dataId": "i" * 129}, "长度应 <= 128"), ({"text": "x", "channel": "a\0"}, "含有不允许的字符"),
    ]  # fmt: skip
    for body, said in wrong:
        error = service.post("/v1/check", body).json()["error"]
        assert said in error["message_zh"], error
        assert not HAN.search(error["message"])
    assert "没有这个查询参数" in service.client.post("/v1/stream?x=1", content=b"", headers={"content-type": "application/x-ndjson"}).json()["error"]["message_zh"]  # fmt: skip


def test_errors_of_the_library_and_the_store() -> None:
    found = api_error(InputError("body: neither UTF-8 nor", code="E_INPUT_ENCODING"))
    assert (found.status, found.code, found.args[0]) == (400, "E_INPUT_ENCODING", "body: neither UTF-8 nor")
    assert "UTF-8" in found.zh
    lost = api_error(StoreError("postgresql://secret"))
    assert (lost.status, lost.code, lost.headers) == (503, "E_STORE", {"retry-after": "1"})
    assert "secret" not in lost.body.decode()
    assert api_error(InputError("odd", code="E_INPUT_NEW")).code == "E_INPUT_NEW"
    assert ApiError("rate", rate=2.0, headers={"retry-after": "3"}).said("zh") == "这个密钥每秒的请求超过了 2 次"


def test_the_openai_client_keeps_both(service: Running) -> None:
    import httpx

    with (
        openai.OpenAI(
            base_url=f"{service.local}/v1", api_key="x", max_retries=0, http_client=httpx.Client(trust_env=False)
        ) as client,
        pytest.raises(openai.BadRequestError) as caught,
    ):
        client.moderations.create(input=[])
    assert caught.value.body["message"] == "input is empty; give at least one text"
    assert caught.value.body["message_zh"] == "input 是空的,请至少给一条文本"
    assert caught.value.code == "E_INPUT_EMPTY"
