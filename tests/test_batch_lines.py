"""The compiled scan of JSON lines says what msgspec says, or nothing; and lines are put together as Python would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from batch_support import AD, CLEAN, DISGUISED, judge, read_jsonl, read_rejects, rows_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.batch import BatchSettings
from pipeline.batch.kernels import kernels
from pipeline.batch.lines import Frame, LineDecoder, Lines
from pipeline.batch.table import verdict_names

SETTINGS = BatchSettings(inputs=("x.jsonl",))
PLAIN = LineDecoder(SETTINGS, verdict_names(False))
COMPILED = LineDecoder(SETTINGS, verdict_names(False), compiled=True)


def said(found: Lines) -> tuple[Any, ...]:
    texts, urls = (v.to_pylist() if isinstance(v, pa.Array) else v for v in (found.texts, found.urls))
    # Only a string is a URL; no URL in any line is as good as none at all.
    urls = [u if isinstance(u, str) else None for u in urls or []]
    urls = urls if any(u is not None for u in urls) else []
    rejects = [(r.line, r.reason, r.message) for r in found.rejects]
    return list(found.heads), texts, list(found.ids), urls, rejects, found.read, found.lines


def alike(block: bytes) -> bool:
    """Whether both take a block apart alike; returns whether the scan took it."""
    found = COMPILED.lines(block, None)
    assert said(found) == said(PLAIN.lines(block, None))
    return isinstance(found.heads, Frame)


USUAL = [
    '{"text":"a"}',
    '{"id": 7, "text" :\t"贷款\\n\\"\\/\\u4e2d\\ud83d\\ude00\\u00e9\\u0041\\b\\f\\r\\t\\\\", "url":"http://a.example/\\u4e2d"}',
    '{"a":{"text":5,"severity":[{},[],{"x":[1,-0.5,1e400,2E-3,true,false,null,"}"]}]},"text":"}"}',
    '{"url":null,"text":"x","id":null}',
    '{"url":"","text":"","id":"\\u6587"}',
    '{"n":123456789012345678901234567890,"text":"x","url":0.25}',
    '{"text":"\u007f\u0080\uffff\U0010ffff"}',
]
UNUSUAL = [
    '{}',
    '{"text":null}',
    '{"text":1}',
    '{"text":["a"]}',
    '{"text":"a","text":"b"}',
    '{"text":"a","url":"u","url":null}',
    '{"text":"a","id":1,"id":2}',
    '{"te\\u0078t":"a"}',
    '{"text":"a","severity":0}',
    '{"text":"a","label":null}',
    '{"text":"a","id":1e5}',
    '{"text":"a","id":12345678901234567890}',
    '{"text":"a","id":{"b":1}}',
    '{"text":"\\ud800"}',
    '{"text":"\\ud800\\u0041"}',
    '{"text":"\\udc00"}',
    '{"text":"a","b":"\\ud800"}',
    '{"text":"a","b":"\\x"}',
    '{"text":"a","b":"\\u12g4"}',
    '{"text":"a\tb"}',
    '{"text":"a","b":01}',
    '{"text":"a","b":-}',
    '{"text":"a","b":1.}',
    '{"text":"a","b":.5}',
    '{"text":"a","b":1e}',
    '{"text":"a","b":+1}',
    '{"text":"a","b":NaN}',
    '{"text":"a","b":tru}',
    '{"text":"a","b":nulll}',
    '{"text":"a",}',
    '{"text":"a","b":[1,]}',
    '{"text":"a","b":[1}',
    '{"text":"a","b":[1]]}',
    '{"text":"a","b":{]}',
    '{"text":"a" "b":1}',
    '{"text" "a"}',
    '{,"text":"a"}',
    '{"text":"a"}}',
    '{"text":"a"} ',
    '{"text":"a"}{"text":"b"}',
    ' {"text":"a"}',
    '\ufeff{"text":"a"}',
    '{"text":"a"}\r',
    '{"text":"a',
    '"text"',
    '[]',
    '',
    '{"text":"a","b":' + "[" * 40 + "]" * 40 + "}",
    '{"text":"a","b":' + "[" * 5000 + "]" * 5000 + "}",
]  # fmt: skip


@pytest.mark.parametrize("line", USUAL)
@pytest.mark.parametrize("end", ["\n", ""])
def test_usual_lines_are_scanned(line: str, end: str) -> None:
    assert alike((line + end).encode())
    assert alike(f'{{"text":"before"}}\n{line}\n{{"text":"after","url":"u"}}{end}'.encode())


@pytest.mark.parametrize("line", UNUSUAL)
def test_unusual_lines_are_left_to_msgspec(line: str) -> None:
    assert not alike(f"{line}\n".encode())
    assert not alike(f'{{"text":"before"}}\n{line}\n{{"text":"after"}}\n'.encode())


@pytest.mark.parametrize(
    "bad", [b'{"text":"\xff"}', b'{"text":"\xed\xa0\x80"}', b'{"text":"a","\xc0\x80":1}', b'{"a":"\xe4\xb8"}']
)
def test_bytes_that_are_not_utf8_are_left_to_msgspec(bad: bytes) -> None:
    assert not alike(b'{"text":"a"}\n' + bad + b"\n")


def test_a_text_that_is_too_long_is_left_to_msgspec() -> None:
    assert alike(b'{"text":"%s"}\n' % (b"x" * 2_000_000))
    assert not alike(b'{"text":"%s"}\n' % (b"x" * 2_000_001))


def test_names_of_columns() -> None:
    """The columns that are looked at, and those that may not occur, are those of the settings."""
    chosen = BatchSettings(inputs=("x.jsonl",), text_column="正文", id_column="n", url_column="页", prefix="ll_")
    decoders = [LineDecoder(chosen, verdict_names(False, "ll_"), compiled=c) for c in (False, True)]
    block = '{"正文":"a","label":1,"text":3,"n":4,"页":"http://b"}\n'.encode()
    plain, compiled = (d.lines(block, None) for d in decoders)
    assert said(plain) == said(compiled)
    assert isinstance(compiled.heads, Frame)
    assert compiled.texts.to_pylist() == ["a"]
    assert compiled.urls.to_pylist() == ["http://b"]
    taken = b'{"\xe6\xad\xa3\xe6\x96\x87":"a","ll_label":1}\n'
    assert [r.reason for r in decoders[1].lines(taken, None).rejects] == ["field_exists"]
    same = BatchSettings(inputs=("x.jsonl",), text_column="url")
    twice = [LineDecoder(same, verdict_names(False), compiled=c).lines(b'{"url":"a"}\n', None) for c in (False, True)]
    assert said(twice[0]) == said(twice[1])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from(["text", "id", "url", "a", "label", "字段"]), values, max_size=5)
lines = st.tuples(objects, st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\t: ")])).map(
    lambda drawn: json.dumps(drawn[0], ensure_ascii=drawn[1], separators=drawn[2])
)


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(lines, min_size=1, max_size=4))
def test_any_object(rows: list[str]) -> None:
    alike("".join(row + "\n" for row in rows).encode("utf-8", "surrogatepass"))


@settings(max_examples=600, deadline=None)
@given(
    row=st.sampled_from([*USUAL, '{"id":1,"text":"a","b":[{"c":"d"}]}']),
    at=st.integers(0, 200),
    cut=st.integers(0, 3),
    put=st.sampled_from([*list('{}[],:"\\ \t\n0123456789.eE+-utfn/'), "", "中", "\x00"]),
)
@example(row=USUAL[0], at=1, cut=0, put="\n")
def test_any_damage(row: str, at: int, cut: int, put: str) -> None:
    at %= len(row)
    alike(f"{row[:at]}{put}{row[at + cut :]}\n{USUAL[0]}\n".encode("utf-8", "surrogatepass"))


@settings(max_examples=100, deadline=None)
@given(
    heads=st.lists(st.binary(max_size=8), min_size=1, max_size=6),
    special=st.dictionaries(st.integers(0, 5), st.binary(max_size=8)),
    quiet=st.binary(min_size=1, max_size=8),
)
def test_assembled_lines(heads: list[bytes], special: dict[int, bytes], quiet: bytes) -> None:
    block = b"".join(head + b"}\n" for head in heads)
    ends = np.cumsum([len(head) + 2 for head in heads])
    assert list(Frame(block, ends)) == heads
    rows = sorted(k for k in special if k < len(heads))
    tails = [quiet, *(special[k] for k in rows)]
    out = np.empty(200, dtype=np.uint8)
    written = kernels().assemble(
        np.frombuffer(block, np.uint8), ends, np.array(rows, dtype=np.int64), np.frombuffer(b"".join(tails), np.uint8),
        np.cumsum([len(tail) for tail in tails]), out,
    )  # fmt: skip
    expected = b"".join(head + special.get(k, quiet) for k, head in enumerate(heads))
    assert out[:written].tobytes() == expected


def test_files_are_the_same_however_they_are_read(tmp_path: Path) -> None:
    """A file of usual lines, and one in which every block has an unusual one, apart from that one."""
    rows = [json.dumps(row, ensure_ascii=k % 2 == 0) for k, row in enumerate(rows_of(300))]
    rows += [json.dumps({"text": t, "url": "http://a.example/x"}) for t in (AD, CLEAN, DISGUISED, "贷款", "")]
    usual = "".join(row + "\n" for row in rows).encode()
    (tmp_path / "usual.jsonl").write_bytes(usual)
    (tmp_path / "unusual.jsonl").write_bytes(b'{"text":5}\n' + usual)
    summaries = [
        judge(tmp_path / f"{n}.out.jsonl", tmp_path / f"{n}.jsonl", engine="compiled") for n in ("usual", "unusual")
    ]
    assert (tmp_path / "usual.out.jsonl").read_bytes() == (tmp_path / "unusual.out.jsonl").read_bytes()
    assert read_rejects(tmp_path / "unusual.out.jsonl") == [(1, "wrong_type")]
    for name in summaries[0].__struct_fields__:
        if name not in ("read", "rejected", "by_reason"):
            assert getattr(summaries[0], name) == getattr(summaries[1], name), name
    assert [row["text"] for row in read_jsonl(tmp_path / "usual.out.jsonl")] == [
        json.loads(row)["text"] for row in rows
    ]
