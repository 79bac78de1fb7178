"""The tables of the compiled scorer, kept on disk: the same verdicts, and never anything but the tables of this very model."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline import ModelError
from pipeline.compiled import CompiledClassifier, load_compiled
from pipeline.compiled import classifier as module
from pipeline.compiled import fields as f
from pipeline.compiled import image as images
from pipeline.compiled.image import MOST, Image, image_path, read_image, write_image
from pipeline.compiled.memory import CACHE_LINE, Book
from pipeline.model.artefact import load_artefact
from pipeline.model.scorer import PlainScorer
from pipeline.resources import default_model_path

TEXTS = [
    json.loads(line)["text"]
    for path in sorted((REPOSITORY / "data" / "corpus").glob("*.jsonl"))
    for line in path.read_text(encoding="utf-8").splitlines()[::5]
]
NAME = "0123456789abcdef" * 2 + ".tables"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the one beside the package."""
    monkeypatch.setattr(module, "cache_folder", lambda _: str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[CompiledClassifier, Path]:
    """What was built, and the image that was made of it."""
    artefact = load_artefact(default_model_path())
    path = image_path(tmp_path_factory.mktemp("made"), artefact)
    return CompiledClassifier(artefact, path), path


@pytest.fixture
def kept(made: tuple[CompiledClassifier, Path], folder: Path) -> Path:
    """A copy of the image where ``load_compiled`` looks for it."""
    return Path(shutil.copy(made[1], folder))


@pytest.fixture
def forbid_building(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        pytest.fail("neither tables nor plain scores should be worked out again")

    monkeypatch.setattr(module, "_build", never)
    monkeypatch.setattr(PlainScorer, "score", never)


def kept_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def assert_equal(one: object, other: object) -> None:
    if is_dataclass(one):
        for field in fields(one):
            assert_equal(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, np.ndarray):
        assert np.array_equal(one, other)
    else:
        assert one == other


# ---------------------------------------------------------------- made and used


def test_the_first_load_makes_an_image(folder: Path) -> None:
    load_compiled()
    (path,) = kept_in(folder)
    assert path.suffix == ".tables"
    assert read_image(path) is not None


@pytest.mark.usefixtures("kept", "forbid_building")
def test_an_image_gives_what_was_built(made: tuple[CompiledClassifier, Path]) -> None:
    built, _ = made
    loaded = load_compiled()
    assert_equal(loaded.score(TEXTS), built.score(TEXTS))
    assert loaded.check(TEXTS[0]) == built.check(TEXTS[0])


def test_the_plain_scorer_stays_within_reach(kept: Path, classifier) -> None:
    text = "不看征信的口子,有身份证就能下款"
    assert load_compiled().judge(text).verdict() == classifier.check(text)


def python(program: str, *args: str) -> str:
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# A process of its own, with the functions that were compiled for this one and images in a folder.
LOAD = """
import sys
from pipeline.compiled import classifier
classifier.cache_folder = lambda _: sys.argv[1]
loaded = classifier.load_compiled()
print(loaded.check("不看征信的口子").severity, *("rjieba" in sys.modules, "jieba" in sys.modules))
"""


def test_another_process_reads_it_and_imports_no_tokenizer(kept: Path) -> None:
    before = kept.stat()
    assert python(LOAD, str(kept.parent)) == "2 False False\n"
    assert kept_in(kept.parent) == [kept]
    assert kept.stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.usefixtures("kept", "forbid_building")
def test_a_model_that_was_moved_keeps_its_image(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = shutil.copytree(default_model_path(), tmp_path_factory.mktemp("moved") / "model")
    assert load_compiled(elsewhere).artefact.path == elsewhere


# ---------------------------------------------------------------- ignored and replaced


def cut(size: int) -> Callable[[bytes], bytes]:
    return lambda body: body[:size]


def changed(at: int) -> Callable[[bytes], bytes]:
    return lambda body: body[:at] + bytes([body[at] ^ 1]) + body[at:][1:]


DAMAGES = {
    "empty": cut(0),
    "cut within its head": cut(40),
    "cut within the tables": cut(20_000_000),
    "cut at its end": cut(-1),
    "longer": lambda body: body + b"\0",
    "text": lambda _: "贷款".encode() * 100,
    "checksum": changed(3),
    "magic": changed(9),
    "digest": changed(30),
    "size of the description": changed(40),
    "description": changed(100),
    "tables": changed(17_000_000),
    "last byte": changed(-1),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_seen(kept: Path, damage: Callable[[bytes], bytes]) -> None:
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert read_image(kept) is None


@pytest.mark.parametrize("name", ["cut within the tables", "description", "tables"])
def test_what_is_damaged_is_replaced(made: tuple[CompiledClassifier, Path], kept: Path, name: str) -> None:
    kept.write_bytes(DAMAGES[name](kept.read_bytes()))
    assert_equal(load_compiled().score(TEXTS[::10]), made[0].score(TEXTS[::10]))
    assert kept_in(kept.parent) == [kept]
    assert read_image(kept) is not None


def test_an_image_of_something_else_is_ignored(kept: Path) -> None:
    other = kept.with_name(NAME)
    shutil.copy(kept, other)
    assert read_image(other) is None
    assert read_image(kept.with_name("f" * 32 + ".tables")) is None  # and one that is not there


def test_a_folder_in_its_place_is_left_alone(kept: Path) -> None:
    kept.unlink()
    kept.mkdir()
    assert load_compiled().check("不看征信的口子").severity == 2
    assert kept_in(kept.parent) == [kept]


# ---------------------------------------------------------------- what is wrong although it is whole


def without_weights(image: Image) -> Image:
    numbers, tables = image.book.content()
    book = Book(len(numbers))
    for field, number in enumerate(numbers):
        book.number(field, number)
    for field, table in tables.items():
        book.table(field, np.zeros_like(table) if field == f.WEIGHTS else table)
    return replace(image, book=book)


WRONG = {
    "tables": without_weights,
    "scores": lambda image: replace(image, golden=[s and (s[0] + 1e-3, *s[1:]) for s in image.golden]),
    "all gated": lambda image: replace(image, golden=[None for _ in image.golden]),
    "fewer texts": lambda image: replace(image, golden=image.golden[:-1]),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_other_scores_than_the_plain_ones_are_not_used(
    made: tuple[CompiledClassifier, Path], kept: Path, change: Callable[[Image], Image]
) -> None:
    image = read_image(kept)
    assert image is not None
    write_image(kept, change(image))
    assert read_image(kept) is not None
    assert_equal(load_compiled().score(TEXTS[::10]), made[0].score(TEXTS[::10]))
    again = read_image(kept)
    assert again is not None
    assert again.golden == image.golden
    assert np.array_equal(again.book.content()[1][f.WEIGHTS], image.book.content()[1][f.WEIGHTS])


def test_where_what_is_built_is_wrong_too_nothing_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter = module.enter_model

    def lower(book: Book, artefact: object) -> None:
        enter(book, artefact)
        book.number(f.LONGEST_GRAM, 1)

    monkeypatch.setattr(module, "enter_model", lower)
    with pytest.raises(ModelError, match="E_MODEL_COMPILED"):
        load_compiled()
    assert kept_in(folder) == []


# ---------------------------------------------------------------- the digest


@pytest.mark.parametrize(
    "name",
    [
        "pipeline/taxonomy.py",
        "pipeline/resources.py",
        "compiled/trie.py",
        "text/characters.py",
        "model/features.py",
        "data/taxonomy.toml",
        "lexicon/classes.tsv",
        "text/keyterms.tsv",
        "jieba/dict.txt",
    ],
)
def test_changed_sources_and_data_change_the_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    read = Path.read_bytes
    before = images._surroundings.__wrapped__()
    assert images._surroundings.__wrapped__() == before
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"\n" * path.as_posix().endswith(name))
    assert images._surroundings.__wrapped__() != before


@pytest.mark.parametrize("number", range(len(images._versions())))
def test_other_versions_change_the_name(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    before = images._surroundings.__wrapped__()
    versions = images._versions()
    versions[number] += "1"
    monkeypatch.setattr(images, "_versions", lambda: versions)
    assert images._surroundings.__wrapped__() != before


def test_versions_are_those_of_all_that_tables_come_from() -> None:
    import jieba
    import numba

    assert {sys.version, sys.byteorder, np.__version__, numba.__version__, jieba.__version__} <= set(images._versions())
    assert images._version("no-such-package") == ""


# All that a process opens under data/ and imports from the package while it builds.
OPENED = """
import json, sys
opened = set()
sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)
from pipeline.compiled import classifier
classifier.cache_folder = lambda _: None
classifier.load_compiled()
opened.update(module.__file__ for name, module in list(sys.modules.items()) if name.partition(".")[0] == "pipeline")
print(json.dumps(sorted(opened)))
"""


def test_every_file_that_is_read_for_tables_counts() -> None:
    counted = {str(path) for path in images._files()}
    opened = set(json.loads(python(OPENED)))
    data = str(REPOSITORY / "data") + os.sep
    wanted = {path for path in opened if path.startswith(data) or path.endswith((".py", "dict.txt"))}
    assert {Path(path).name for path in wanted} >= {
        "classes.tsv",
        "homophones.tsv",
        "dict.txt",
        "taxonomy.toml",
        "trie.py",
    }
    package = str(REPOSITORY / "pipeline") + os.sep
    assert {path for path in wanted if path.startswith((data, package)) or path.endswith("dict.txt")} <= counted


def test_another_model_has_another_image(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    model = shutil.copytree(default_model_path(), tmp_path_factory.mktemp("other") / "model")
    gate = (model / "gate.txt").read_bytes() + "天气\n".encode()
    (model / "gate.txt").write_bytes(gate)
    manifest = json.loads((model / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"]["gate.txt"] = hashlib.sha256(gate).hexdigest()
    (model / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    for _ in range(2):  # built, then read
        assert not load_compiled(model).score(["今天天气很好"]).gated[0]
        assert load_compiled().score(["今天天气很好"]).gated[0]
    assert len(kept_in(kept.parent)) == 2


# ---------------------------------------------------------------- where it is kept


def test_without_a_folder_nothing_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "cache_folder", lambda _: None)
    assert load_compiled().check("不看征信的口子").severity == 2
    assert kept_in(folder) == []


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("not a directory")
    monkeypatch.setattr(module, "cache_folder", lambda _: str(blocked))
    assert load_compiled().check("不看征信的口子").severity == 2
    assert kept_in(tmp_path) == [blocked]


@pytest.fixture
def small() -> Image:
    book = Book(4)
    book.number(0, 7)
    book.table(1, np.arange(50, dtype=np.int32))
    book.table(3, np.array([[0.5], [-0.0]], dtype=np.float64))
    return Image(book, ("贷款", "口子"), [None, (0.1, -2.5)])


def test_an_image_that_cannot_be_finished_leaves_nothing(
    small: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", refuse)
    write_image(tmp_path / NAME, small)
    assert kept_in(tmp_path) == []


def test_old_images_go(small: Image, tmp_path: Path) -> None:
    other = tmp_path / "entries.judge.nbi"
    other.touch()
    names = [f"{number:032x}.tables" for number in range(MOST + 2)]
    names[1] += ".abc"  # left by a process that was killed
    for number, name in enumerate(names):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1e9 + number, 1e9 + number))
    write_image(tmp_path / NAME, small)
    assert {path.name for path in kept_in(tmp_path)} == {*names[-MOST + 1 :], NAME, other.name}


def test_processes_that_write_at_once_do_not_disturb_readers(small: Image, tmp_path: Path) -> None:
    path = tmp_path / NAME
    write_image(path, small)
    writers = [threading.Thread(target=lambda: [write_image(path, small) for _ in range(50)]) for _ in range(3)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert read_image(path) is not None
    assert kept_in(tmp_path) == [path]


# ---------------------------------------------------------------- the file

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TABLE = arrays.arrays(
    st.sampled_from([np.uint8, np.uint16, np.int32, np.int64, np.float32, np.float64]),
    arrays.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=40),
)


@QUICK
@given(
    numbers=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=9),
    tables=st.dictionaries(st.integers(0, 8), TABLE, max_size=9),
    terms=st.lists(st.text(), max_size=4).map(tuple),
    golden=st.lists(st.none() | st.lists(st.floats(allow_nan=False), max_size=5).map(tuple), max_size=5),
)
def test_what_is_written_is_what_is_read(tmp_path: Path, numbers, tables, terms, golden) -> None:
    book = Book(9)
    for field, number in enumerate(numbers):
        book.number(field, number)
    for field, table in tables.items():
        book.table(field, table)
    write_image(tmp_path / NAME, Image(book, terms, golden))
    found = read_image(tmp_path / NAME)
    assert found is not None
    assert (found.terms, found.golden) == (terms, golden)
    assert (
        found.book.content()[0]
        == book.content()[0]
        == [0 if field in tables else number for field, number in enumerate([*numbers, *[0] * 9][:9])]
    )
    row = np.ctypeslib.as_array((ctypes.c_int64 * 9).from_address(found.book.address))
    kept = found.book.content()[1]
    assert kept.keys() == tables.keys()
    for field, table in kept.items():
        assert table.dtype == tables[field].dtype
        assert table.shape == tables[field].shape
        assert table.tobytes() == tables[field].tobytes()
        assert row[field] == table.ctypes.data
        assert table.ctypes.data % CACHE_LINE == 0


@QUICK
@given(at=st.integers(0, 1 << 16), bit=st.integers(0, 7), size=st.integers(0, 1 << 16))
def test_no_bit_may_differ_and_no_byte_be_missing(small: Image, tmp_path: Path, at: int, bit: int, size: int) -> None:
    path = tmp_path / NAME
    write_image(path, small)
    body = bytearray(path.read_bytes())
    path.write_bytes(body[: size % len(body)])
    assert read_image(path) is None
    body[at % len(body)] ^= 1 << bit
    path.write_bytes(body)
    assert read_image(path) is None
