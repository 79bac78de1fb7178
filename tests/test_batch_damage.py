"""Damaged members of compressed files: no row of theirs is passed on as a good one, and all rows of the others come out."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import zstandard
from batch_support import judge, read_jsonl, read_rejects, read_rows
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_batch_sources import RECORDS, warc_record

from pipeline.batch import delimited, members, sources, streams
from pipeline.batch.report import render
from pipeline.batch.run import Progress
from pipeline.batch.summary import Summary

WHOLE = members.HELD
ROWS = 120  # of a member


def pack(data: bytes, packing: str) -> bytes:
    if packing == "gz":
        return gzip.compress(data, mtime=0)
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def row(i: int) -> dict[str, Any]:
    rng = random.Random(i)
    return {"id": f"r{i}", "text": "".join(rng.choices("贷款周末公园划船火锅利率下款口子征信", k=rng.randint(5, 40)))}


def member(number: int, packing: str, kind: str = "jsonl") -> bytes:
    rows = [row(i) for i in range(number * ROWS, (number + 1) * ROWS)]
    if kind == "jsonl":
        return pack("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode(), packing)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [*([("id", "text")] if number == 0 else []), *map(dict.values, rows)]
    )
    return pack(text.getvalue().encode(), packing)


def flip(data: bytes, places: list[int]) -> bytes:
    out = bytearray(data)
    for place in places:
        out[place // 8 % len(out)] ^= 1 << place % 8
    return bytes(out)


def wrong_checksum(data: bytes, packing: str) -> bytes:
    at = len(data) - (6 if packing == "gz" else 2)
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lowers what is held back of a member, and with it the steps in which a file is read."""

    def lower(size: int) -> None:
        monkeypatch.setattr(members, "HELD", size)
        monkeypatch.setattr(members, "STEP", 64)
        monkeypatch.setattr(members, "_PIECE", 200)

    return lower


def check(out: Path, summary: Any, count: int, damaged: set[int]) -> None:
    """What must hold of a run over ``count`` members of which some are damaged."""
    assert summary.read == summary.judged + summary.rejected
    rejects = read_jsonl(p) if (p := out.with_name(out.name + ".rejects.jsonl")).exists() else []
    assert summary.rejected == sum(r.get("rows", 1) for r in rejects)
    found = [{"id": r["id"], "text": r["text"]} for r in read_jsonl(out)]
    good = [row(i) for n in range(count) if n not in damaged for i in range(n * ROWS, (n + 1) * ROWS)]
    ids = {r["id"] for r in good}
    assert [r for r in found if r["id"] in ids and r == row(int(r["id"][1:]))] == good
    # Every line is a row of the output or is rejected, so the rows that came out have the lines that are left.
    lost = {r["line"] + k for r in rejects for k in range(r.get("rows", 1))}
    lines = [n for n in range(1, summary.read + 1) if n not in lost]
    assert len(lines) == len(found)
    suspect = {n for r in rejects if "suspect" in r for n in range(r["suspect"][0], r["suspect"][1] + 1)}
    assert summary.suspect == len(suspect)
    known = {i: row(i) for i in range(count * ROWS)}
    for line, r in zip(lines, found, strict=True):
        if r not in known.values() or int(r["id"][1:]) // ROWS in damaged:
            assert line in suspect, r


# ---------------------------------------------------------------- whole runs


@pytest.mark.parametrize("packing", ["gz", "zst"])
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("part", ["checksum", "early", "late"])
def test_a_damaged_member_is_rejected_as_a_whole(tmp_path: Path, packing: str, at: int, part: str) -> None:
    parts = [member(n, packing) for n in range(3)]
    size = len(parts[at])
    if part == "checksum":
        parts[at] = wrong_checksum(parts[at], packing)
    else:
        place = size // 5 if part == "early" else size - size // 5
        parts[at] = parts[at][:place] + bytes(20) + parts[at][place + 20 :]
    source = tmp_path / f"in.jsonl.{packing}"
    source.write_bytes(b"".join(parts))
    summary = judge(tmp_path / "out.jsonl", source)
    check(tmp_path / "out.jsonl", summary, 3, {at})
    (reject,) = read_jsonl(tmp_path / "out.jsonl.rejects.jsonl")
    assert reject["reason"] == "corrupt"
    assert reject["line"] == at * ROWS + 1
    assert f"member at byte {sum(map(len, parts[:at])):,} " in reject["message"]
    assert "suspect" not in reject
    if part == "checksum":
        assert reject["rows"] == ROWS
        assert summary.read == 3 * ROWS


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_of_a_large_member_the_end_is_rejected_and_the_beginning_named(
    tmp_path: Path, packing: str, held: Callable[[int], None]
) -> None:
    held(2000)
    big = b"".join((json.dumps(row(i), ensure_ascii=False) + "\n").encode() for i in range(ROWS, 2 * ROWS))
    if packing == "gz":
        packed = wrong_checksum(gzip.compress(big, mtime=0), packing)
    else:  # in blocks that are smaller than what is held
        writer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
        packed = b"".join(
            writer.compress(big[k : k + 500]) + writer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
            for k in range(0, len(big), 500)
        )
        packed = wrong_checksum(packed + writer.flush(), packing)
    source = tmp_path / f"in.jsonl.{packing}"
    source.write_bytes(member(0, packing) + packed + member(2, packing))
    summary = judge(tmp_path / "out.jsonl", source, shard_bytes=3000)
    check(tmp_path / "out.jsonl", summary, 3, {1})
    (reject,) = read_jsonl(tmp_path / "out.jsonl.rejects.jsonl")
    passed = summary.judged - 2 * ROWS
    # The first member is larger than what is held, too, but undamaged.
    assert reject["suspect"] == [ROWS + 1, ROWS + passed]
    assert reject["line"] == ROWS + passed + 1
    assert 1500 < len(b"".join(big.splitlines(keepends=True)[passed:])) < 2500
    assert passed + reject["rows"] >= ROWS - 3


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_rows_before_a_cut_are_passed_on_and_named(tmp_path: Path, packing: str) -> None:
    last = member(1, packing)
    source = tmp_path / f"in.jsonl.{packing}"
    source.write_bytes(member(0, packing) + last[:-2])
    summary = judge(tmp_path / "out.jsonl", source)
    check(tmp_path / "out.jsonl", summary, 2, {1})
    (reject,) = read_jsonl(tmp_path / "out.jsonl.rejects.jsonl")
    assert reject["reason"] == "truncated"
    assert reject["suspect"] == [ROWS + 1, 2 * ROWS]
    assert summary.suspect == ROWS


@pytest.mark.parametrize("packing", ["gz", "zst"])
@pytest.mark.parametrize("keep", [0.2, 0.6, 0.99])
def test_a_cut_member_in_the_middle(tmp_path: Path, packing: str, keep: float) -> None:
    middle = member(1, packing)
    source = tmp_path / f"in.jsonl.{packing}"
    source.write_bytes(member(0, packing) + middle[: int(len(middle) * keep)] + member(2, packing))
    summary = judge(tmp_path / "out.jsonl", source)
    check(tmp_path / "out.jsonl", summary, 3, {1})
    assert len(read_rejects(tmp_path / "out.jsonl")) == 1
    assert not summary.suspect


def test_each_damaged_member_is_told_of(tmp_path: Path) -> None:
    parts = [member(n, "gz") for n in range(5)]
    for n in (1, 3):
        parts[n] = wrong_checksum(parts[n], "gz")
    source = tmp_path / "in.jsonl.gz"
    source.write_bytes(b"".join(parts))
    check(tmp_path / "out.jsonl", judge(tmp_path / "out.jsonl", source), 5, {1, 3})
    assert read_rejects(tmp_path / "out.jsonl") == [(ROWS + 1, "corrupt"), (3 * ROWS + 1, "corrupt")]


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_damaged_members_next_to_each_other_are_all_told_of(tmp_path: Path, packing: str) -> None:
    parts = [member(n, packing) for n in range(5)]
    for n in (1, 2, 3):
        parts[n] = wrong_checksum(parts[n], packing)
    source = tmp_path / f"in.jsonl.{packing}"
    source.write_bytes(b"".join(parts))
    summary = judge(tmp_path / "out.jsonl", source)
    check(tmp_path / "out.jsonl", summary, 5, {1, 2, 3})
    assert read_rejects(tmp_path / "out.jsonl") == [(n * ROWS + 1, "corrupt") for n in (1, 2, 3)]
    assert summary.read == 5 * ROWS


def test_a_file_whose_first_bytes_are_damaged_is_known_by_its_name(tmp_path: Path) -> None:
    for packing in ("gz", "zst"):
        source = tmp_path / f"in.jsonl.{packing}"
        source.write_bytes(b"\x00\x01" + member(0, packing)[2:] + member(1, packing))
        summary = judge(tmp_path / "out.jsonl", source)
        check(tmp_path / "out.jsonl", summary, 2, {0})
        assert read_rejects(tmp_path / "out.jsonl") == [(1, "corrupt")]


@pytest.mark.parametrize("size", [600, WHOLE])
@pytest.mark.parametrize(("kind", "suffix"), [("jsonl.gz", "jsonl"), ("jsonl.zst", "parquet"), ("csv.gz", "csv")])
def test_the_same_with_two_workers_and_after_an_interruption(
    tmp_path: Path, kind: str, suffix: str, size: int, held: Callable[[int], None]
) -> None:
    held(size)
    name, packing = kind.split(".")
    parts = [member(n, packing, name) for n in range(4)]
    parts[1] = flip(parts[1], [len(parts[1]) * 6])
    parts[3] = parts[3][:-200]
    source = tmp_path / f"in.{kind}"
    source.write_bytes(b"".join(parts))

    def result(out: Path) -> list[Any]:
        beside = [out.with_name(out.name + s) for s in (".rejects.jsonl", ".summary.json")]
        return [out.read_bytes(), *(p.read_bytes() for p in beside)]

    runs = []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}.{suffix}"
        summary = judge(out, source, workers=workers, shard_bytes=4000)
        assert summary.read == summary.judged + summary.rejected
        runs.append(result(out))
    assert runs[0] == runs[1]
    found = [reason for _, reason in read_rejects(tmp_path / f"out1.{suffix}") if reason in ("corrupt", "truncated")]
    assert found == ["corrupt", "truncated"]
    good = [f"r{i}" for n in (0, 2) for i in range(n * ROWS, (n + 1) * ROWS)]
    assert [r["id"] for r in read_rows(tmp_path / f"out1.{suffix}") if r["id"] in good] == good

    stops = range(1, 1 + sum(1 for _ in sources.plan([item(source, name)], ("id", "text"), 4000)))
    for stop in (stops[len(stops) // 3], stops[-3]):
        out = tmp_path / f"stopped{stop}.{suffix}"
        with pytest.raises(KeyboardInterrupt):
            judge_until(out, source, stop)
        judge(out, source, shard_bytes=4000, resume=True)
        assert result(out) == runs[0]


def judge_until(out: Path, source: Path, stop: int) -> None:
    from pipeline.batch import BatchSettings, run_batch

    seen: list[Progress] = []

    def progress(p: Progress) -> None:
        seen.append(p)
        if len(seen) == stop:
            raise KeyboardInterrupt

    run_batch(BatchSettings(inputs=(str(source),), out=str(out), engine="plain", shard_bytes=4000), progress)


def test_rows_of_csv_behind_a_gap(tmp_path: Path) -> None:
    """Members may be cut inside a row: what is left of one must not pass as a good one, nor swallow others."""
    data = b'id,text\n1,abc\n2,"de\nf' + b'g"\n3,hij\n4,kl' + b'm\n5,nop\n6,"q\nr"\n'
    parts = [data[:20], data[20:33], data[33:]]
    assert b"".join(parts) == data
    packed = [gzip.compress(p) for p in parts]
    packed[1] = wrong_checksum(packed[1], "gz")
    source = tmp_path / "in.csv.gz"
    source.write_bytes(b"".join(packed))
    summary = judge(tmp_path / "out.jsonl", source)
    (reject, *others) = read_jsonl(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["line"], reject["reason"], reject["rows"]) == (3, "corrupt", 4)
    assert reject["suspect"] == [7, 7]
    assert [r["reason"] for r in others] == ["wrong_columns"]
    assert [(r["id"], r["text"]) for r in read_jsonl(tmp_path / "out.jsonl")] == [
        ("1", "abc"),
        ("5", "nop"),
        ("6", "q\nr"),
    ]
    assert summary.read == summary.judged + summary.rejected


@pytest.mark.parametrize("behind", [b"", b"id,text\n9,xyz\n"])
def test_a_line_behind_a_gap_is_only_named_where_there_is_one(tmp_path: Path, behind: bytes) -> None:
    """``bgzip`` ends a file with an empty member."""
    lines = [b"%d,abcdefgh\n" % i for i in range(9)]
    parts = [gzip.compress(p) for p in (b"id,text\n", *(b"".join(lines[k : k + 3]) for k in (0, 3, 6)), behind)]
    for n in (2, 3):
        parts[n] = wrong_checksum(parts[n], "gz")
    source = tmp_path / "in.csv.gz"
    source.write_bytes(b"".join(parts))
    summary = judge(tmp_path / "out.jsonl", source)
    rejects = read_jsonl(tmp_path / "out.jsonl.rejects.jsonl")
    assert [(r["line"], r["rows"], r.get("suspect")) for r in rejects] == [
        (5, 3, None),
        (8, 3, [11, 11] if behind else None),
    ]
    assert summary.suspect == bool(behind)


def test_the_header_of_a_cut_file_is_no_suspect_row(tmp_path: Path) -> None:
    source = tmp_path / "in.csv.gz"
    source.write_bytes(gzip.compress(b"id,text\n1,abc\n2,def\n")[:-3])
    summary = judge(tmp_path / "out.jsonl", source)
    (reject,) = read_jsonl(tmp_path / "out.jsonl.rejects.jsonl")
    assert (reject["line"], reject["suspect"], summary.suspect) == (4, [2, 3], 2)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_wrong_bytes_further_down_do_not_change_the_header(tmp_path: Path, suffix: str) -> None:
    """How much of a file is seen with its header depends on how it is read, so that must not decide over its names."""
    rng = random.Random(1)
    rows = [f"{i},{rng.getrandbits(400)}\n".encode() for i in range(2000)]
    rows[700] = b"700,\xff\xff\n"
    data = "编号,text\n".encode() + b"".join(rows)
    source = tmp_path / f"in.csv{suffix}"
    source.write_bytes(pack(data, suffix[1:]) if suffix else data)
    summary = judge(tmp_path / "out.csv", source, engine="compiled")
    assert (summary.judged, read_rejects(tmp_path / "out.csv")) == (1999, [(702, "undecodable")])
    assert list(read_rows(tmp_path / "out.csv")[0])[:2] == ["编号", "text"]


def test_csv_whose_header_is_lost(tmp_path: Path) -> None:
    source = tmp_path / "in.csv.gz"
    source.write_bytes(wrong_checksum(member(0, "gz", "csv"), "gz") + member(1, "gz", "csv"))
    summary = judge(tmp_path / "out.jsonl", source)
    assert read_rejects(tmp_path / "out.jsonl") == [(1, "corrupt"), (0, "header")]
    assert summary.judged == 0


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_damaged_record_of_an_archive(tmp_path: Path, packing: str) -> None:
    packed = [pack(r, packing) for r in RECORDS]
    packed[2] = wrong_checksum(packed[2], packing)
    source = tmp_path / f"in.warc.{packing}"
    source.write_bytes(b"".join(packed))
    judge(tmp_path / "out.jsonl", source)
    urls = [r["url"] for r in read_jsonl(tmp_path / "out.jsonl")]
    assert urls == ["https://www.a.example/1", "https://b.example/", "https://b.example/moved"]
    assert read_rejects(tmp_path / "out.jsonl") == [(2, "corrupt"), (5, "not_text")]


@pytest.mark.parametrize("size", [500, WHOLE])
def test_an_archive_in_one_damaged_member(tmp_path: Path, size: int, held: Callable[[int], None]) -> None:
    held(size)
    source = tmp_path / "in.warc.gz"
    records = [warc_record(f"https://c.example/{i}", row(i)["text"].encode()) for i in range(4)]
    source.write_bytes(gzip.compress(RECORDS[2]) + wrong_checksum(gzip.compress(b"".join(records)), "gz"))
    summary = judge(tmp_path / "out.jsonl", source)
    (reject,) = read_jsonl(tmp_path / "out.jsonl.rejects.jsonl")
    urls = [r["url"] for r in read_jsonl(tmp_path / "out.jsonl")]
    assert urls[0] == "https://a.example/2"
    if size == 500:
        assert len(urls) > 1
        assert reject["suspect"] in ([1, len(urls)], [2, len(urls)])
        assert summary.suspect >= len(urls) - 1
    else:
        assert len(urls) == 1
        assert (reject["rows"], summary.suspect) == (4, 0)


def test_a_disk_that_fails_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in.jsonl.gz"
    source.write_bytes(member(0, "gz") + member(1, "gz"))
    take = members._Steps.take
    broken = len(member(0, "gz")) + 500

    def fail(self: Any) -> bytes:
        if broken < self.at < source.stat().st_size:
            raise OSError(5, "Input/output error")
        return take(self)

    monkeypatch.setattr(members, "STEP", 64)
    monkeypatch.setattr(members._Steps, "take", fail)
    summary = judge(tmp_path / "out.jsonl", source)
    check(tmp_path / "out.jsonl", summary, 2, {1})
    (reject,) = read_jsonl(tmp_path / "out.jsonl.rejects.jsonl")
    assert reject["reason"] == "unreadable"
    assert reject["suspect"][0] == ROWS + 1


def test_the_command_tells_of_suspect_rows(run: Any, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl.gz"
    source.write_bytes(member(0, "gz")[:-4])
    result = run("batch", str(source), "--out", str(tmp_path / "out.jsonl"), "--workers", "1")
    assert result.status == 2
    assert f"suspect: {ROWS}" in result.err
    assert json.loads((tmp_path / "out.jsonl.summary.json").read_text())["suspect"] == ROWS
    assert "存疑 suspect" in render(Summary(suspect=3), ["in"])
    assert "存疑 suspect" not in render(Summary(), ["in"])


# ---------------------------------------------------------------- properties of the reader


def item(path: Path, kind: str = "jsonl") -> sources.Input:
    return sources.Input(str(path), path.name, kind, path.stat().st_size)


def lines_of(path: Path) -> tuple[list[tuple[int, bytes]], set[int], int]:
    """Lines passed on, with their numbers; the suspect ones; and how many there were."""
    found: list[tuple[int, bytes]] = []
    suspect: set[int] = set()
    at = opened = 0
    for shard in sources.plan([item(path)], (), 2000):
        opened = at if shard.opens else opened
        if shard.passed:
            suspect |= set(range(opened + 1, at + 1))
        for line in (shard.payload or b"").splitlines():
            at += 1
            found.append((at, line))
        at += sum(r.rows for r in shard.rejects)
    return found, suspect, at


@pytest.mark.parametrize("size", [300, 4000, WHOLE])
@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_any_damage(tmp_path_factory: pytest.TempPathFactory, packing: str, size: int) -> None:
    texts = ["".join(json.dumps(row(n * ROWS + i)) + "\n" for i in range(ROWS)) for n in range(3)]
    plain = [text.encode() for text in texts]
    packed = [pack(text, packing) for text in plain]
    original = {line for text in plain for line in text.splitlines()}
    path = tmp_path_factory.mktemp("damage") / f"in.jsonl.{packing}"

    @settings(max_examples=300, deadline=None)
    @given(
        at=st.integers(0, 2),
        places=st.lists(st.integers(0, 8 * max(map(len, packed)) - 1), min_size=1, max_size=4),
        cut=st.one_of(st.none(), st.integers(1, min(map(len, packed)) - 1)),
    )
    def run(at: int, places: list[int], cut: int | None) -> None:
        damaged = flip(packed[at], places)[:cut]
        # A frame that says it has no checksum cannot be checked.
        assume(packing == "gz" or damaged[4:5] == b"" or damaged[4] & 4)
        path.write_bytes(b"".join([*packed[:at], damaged, *packed[at + 1 :]]))
        found, suspect, _ = lines_of(path)
        for number, line in found:
            assert line in original or number in suspect
        passed = [line for _, line in found]
        for n in {0, 1, 2} - {at}:
            lines = plain[n].splitlines()
            assert passed.count(lines[0]) == 1
            first = passed.index(lines[0])
            assert passed[first : first + ROWS] == lines
        if size == WHOLE and at < 2:
            assert not suspect
            # Damage in what is no text (a name, a time) harms nothing: then all rows are there.
            assert len(passed) in (2 * ROWS, 3 * ROWS)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "HELD", size)
        if size < members.READ:
            patch.setattr(members, "STEP", 64)
            patch.setattr(members, "_PIECE", 100)
        run()


fields = st.text(st.sampled_from('ab,"款 '), max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(st.tuples(fields, fields), min_size=3, max_size=30),
    cuts=st.lists(st.floats(0, 1), min_size=2, max_size=6),
    bad=st.integers(0, 5),
    held=st.sampled_from([0, 20, WHOLE]),
)
def test_csv_in_members_that_are_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], cuts: list[float], bad: int, held: int
) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [("id", "text"), *((f"{k}{a}", b) for k, (a, b) in enumerate(rows))]
    )
    data = text.getvalue().encode()
    begin = data.index(b"\n") + 1  # the header stays
    places = [0, *sorted(begin + int(cut * (len(data) - begin)) for cut in cuts), len(data)]
    packed = [gzip.compress(data[a:b]) for a, b in pairwise(places)]
    at = 1 + bad % (len(packed) - 1)
    packed[at] = wrong_checksum(packed[at], "gz")
    path = tmp_path_factory.mktemp("cut") / "in.csv.gz"
    path.write_bytes(b"".join(packed))
    expected = {tuple(fields) for fields in csv.reader(io.StringIO(text.getvalue()))}
    found: list[tuple[int, tuple[str, ...]]] = []
    suspect: set[int] = set()
    line = opened = lost = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "HELD", held)
        for shard in sources.plan([item(path, "csv")], ("id", "text"), 40):
            line += shard.lead
            opened = line if shard.opens else opened
            suspect |= set(range(opened + 1, line + 1)) if shard.passed else set()
            if shard.payload is not None:
                encoding, _, payload = shard.payload
                found += [(line + n, tuple(r)) for n, r in delimited.rows_of(payload, encoding, "csv")]
                line += payload.count(b"\n") + (not payload.endswith(b"\n"))
            lost += sum(r.reason == "corrupt" for r in shard.rejects)
            line += sum(r.rows for r in shard.rejects)
            suspect |= {line + 1} if shard.headless else set()
    assert lost == 1
    for n, r in found:
        assert r in expected or n in suspect or len(r) != 2
    before = data[: places[at]].rfind(b"\n") + 1
    kept = [tuple(fields) for fields in csv.reader(io.StringIO(data[begin:before].decode()))]
    assert [r for _, r in found][: len(kept)] == kept


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 400), max_size=6),
    packing=st.sampled_from(["gz", "zst"]),
    held=st.sampled_from([0, 50, 1000]),
    padding=st.integers(0, 3),
)
def test_undamaged_members_come_out_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], packing: str, held: int, padding: int
) -> None:
    """Cut anywhere, empty, with padding between them, larger and smaller than what is held."""
    data = [random.Random(k).randbytes(size) for k, size in enumerate(sizes)]
    path = tmp_path_factory.mktemp("whole") / "in"
    path.write_bytes(b"".join(pack(d, packing) + b"\x00" * padding for d in data))
    pieces = list(members.raw_chunks(path, held))
    assert b"".join(p for p in pieces if isinstance(p, bytes)) == b"".join(data)
    assert not [p for p in pieces if isinstance(p, members.Damage)]


def test_not_more_than_stated_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.gz"
    data = random.Random(1).randbytes(200_000)
    path.write_bytes(gzip.compress(data))
    monkeypatch.setattr(members, "STEP", 1000)
    most = 0
    add = members._Held.add

    def watched(self: Any, piece: bytes) -> None:
        nonlocal most
        add(self, piece)
        most = max(most, self.size)

    monkeypatch.setattr(members._Held, "add", watched)
    assert b"".join(p for p in members.raw_chunks(path, 30_000) if isinstance(p, bytes)) == data
    assert 30_000 < most < 32_000


def test_blocks_end_where_a_member_opens_or_is_damaged() -> None:
    damage = members.Damage("corrupt", "", b"lost\n", True)
    pieces: list[members.Piece] = [b"a\nb", members.Opened(), b"c\nd", damage, b"e\nf\n"]
    assert list(streams.blocks(iter(pieces), 100)) == [
        b"a\n",
        members.Opened(),
        b"bc\n",
        members.Damage("corrupt", "", b"dlost\n", True),
        b"e\nf\n",
    ]
