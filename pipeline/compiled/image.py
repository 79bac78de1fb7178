"""The tables of a model as one file beside the compiled functions: the first process on a machine builds them, later ones read them.

The name of such an *image* is a digest of everything that its tables come from: where any of that changes, another file is looked
for. The file is read rather than mapped into memory, because what lies in a file gets no huge pages, without which scoring is slower.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import secrets
import struct
import sys
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numba
import numpy as np

from ..model.artefact import Artefact
from ..resources import data_path
from .memory import CACHE_LINE, Book, room
from .segmentation import _path as dictionary_path

MOST = 4  # images that are left in a folder
_MAGIC = b"loanlint tables\n"
# Checksum of what follows it, magic, digest, bytes of the description; a cache line.
_HEAD = struct.Struct("<Q16s16sQ16x")
_CHECKSUM = 8  # bytes of it
_PACKAGES = ("ahocorasick-rs", "jieba", "rjieba")

Golden = list[tuple[float, ...] | None]


@dataclass(frozen=True, slots=True)
class Image:
    """What is kept of a model.

    ``terms`` that evasions stand for; ``golden`` what the plain scorer gives the golden texts of the model, a score a head, and
    ``None`` for a text that is gated.
    """

    book: Book
    terms: tuple[str, ...]
    golden: Golden


def image_path(folder: Path, artefact: Artefact) -> Path:
    """Where the image of a model as it lies on disk belongs, whether it is there or not."""
    # The manifest holds digests of the other files, which were checked when the model was read.
    manifest = json.dumps(artefact.manifest, sort_keys=True)
    digest = hashlib.sha256(f"{_surroundings()}\n{manifest}".encode())
    return folder / f"{digest.hexdigest()[:32]}.tables"


@cache
def _surroundings() -> str:
    """Digest of what tables come from besides the model. As the tables do, it stays as it is while a process runs."""
    digest = hashlib.sha256(json.dumps(_versions()).encode())
    for path in _files():
        body = path.read_bytes()
        digest.update(f"{path.parent.name}/{path.name}\0{len(body)}\0".encode() + body)
    return digest.hexdigest()


def _versions() -> list[str]:
    return [
        sys.version,
        sys.byteorder,
        sys.platform,
        platform.machine(),
        unicodedata.unidata_version,
        np.__version__,
        numba.__version__,
        *map(_version, _PACKAGES),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a module that lies there by itself
        return ""


def _files() -> Iterator[Path]:
    """Sources and data that tables are made of."""
    package = Path(__file__).parent.parent
    for folder in (package, package / "compiled", package / "model", package / "text"):
        yield from sorted(folder.glob("*.py"))
    yield from (data_path("legal.toml"), data_path("taxonomy.toml"))
    for name in ("lexicon", "text"):
        yield from sorted(data_path(name).glob("*.tsv"))
    yield dictionary_path()


def read_image(path: Path) -> Image | None:
    """The image, if it is there and whole."""
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            body = room(size)
            whole = size >= _HEAD.size and file.readinto(body.data) == size
    except OSError:
        return None
    if not whole:
        return None
    checksum, magic, digest, described = _HEAD.unpack_from(body.data)
    if (magic, digest.hex()) != (_MAGIC, path.stem) or checksum != zlib.crc32(body.data[_CHECKSUM:]):
        return None
    first = _HEAD.size + described
    description: dict[str, Any] = json.loads(body[_HEAD.size : first].tobytes())
    book = Book(len(description["numbers"]))
    for field, number in enumerate(description["numbers"]):
        book.number(field, number)
    for field, kind, shape, offset in description["tables"]:
        book.keep(field, np.ndarray(shape, kind, body, first + offset))
    golden = [None if scores is None else tuple(scores) for scores in description["golden"]]
    return Image(book, tuple(description["terms"]), golden)


def write_image(path: Path, image: Image) -> None:
    """Keep an image for other processes, and the newest of the others. Where it cannot be written, nothing happens."""
    numbers, tables = image.book.content()
    places = []
    offset = 0
    for field, table in tables.items():
        places.append((field, table.dtype.str, table.shape, offset))
        offset += table.nbytes + _gap(table.nbytes)
    description = json.dumps(
        {"numbers": numbers, "tables": places, "terms": image.terms, "golden": image.golden}
    ).encode()
    description += b" " * _gap(len(description))
    head = _HEAD.pack(0, _MAGIC, bytes.fromhex(path.stem), len(description))
    parts: list[Any] = [head[_CHECKSUM:], description]
    for table in tables.values():
        parts += [table, bytes(_gap(table.nbytes))]
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with suppress(OSError):
        try:
            with temporary.open("xb") as file:
                for part in (checksum.to_bytes(_CHECKSUM, "little"), *parts):
                    file.write(part)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        # What a process that was killed left half written is among the old ones some day.
        images = sorted(path.parent.glob("*.tables*"), key=lambda file: file.stat().st_mtime)
        for old in images[:-MOST]:
            old.unlink(missing_ok=True)


def _gap(size: int) -> int:
    """Bytes from there to the next cache line."""
    return -size % CACHE_LINE
