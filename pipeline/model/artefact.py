"""The model artefact: plain data in a directory, checked before anything is used.

``manifest.json`` (settings, heads, calibration, operating points, metrics, digests), ``vocabulary.txt`` (one key a line),
``weights.npy`` (float32, one row a key, one column a head), ``gate.txt`` (trigger terms), ``golden.jsonl`` (texts with
the scores they must give), ``profile.json`` (score and term profile of the training set), ``MODEL_CARD.md``.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..resources import data_path
from ..text.tokens import TOKENIZER
from ..text.windows import WindowSettings
from .features import FeatureSettings

SCHEMA_VERSION = 1
FILES = ("vocabulary.txt", "weights.npy", "gate.txt", "golden.jsonl", "profile.json")
SEVERITY_HEADS = ("severity>=1", "severity>=2", "severity>=3")


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Thresholds on the calibrated probabilities of severity ≥ 1, ≥ 2 and ≥ 3, and what they reached."""

    name: str
    thresholds: tuple[float, float, float]
    precision: float
    recall: float
    measured_on: str


@dataclass(frozen=True, slots=True)
class Artefact:
    """A model as loaded. ``weights`` is row-major, ``len(vocabulary) × len(heads)``."""

    path: Path
    manifest: Mapping[str, Any]
    settings: FeatureSettings
    heads: tuple[str, ...]
    bias: tuple[float, ...]
    calibration: tuple[tuple[float, float], ...]
    code_thresholds: Mapping[str, float]
    operating_points: Mapping[str, OperatingPoint]
    vocabulary: Mapping[str, int]
    weights: array[float]
    gate: tuple[str, ...]

    @property
    def version(self) -> str:
        """Model version, which names the digest of its weights."""
        return str(self.manifest["model_version"])


@cache
def text_digest() -> str:
    """Digest of the tables that fix the canonical text and the lexicon; a model is bound to them."""
    digest = hashlib.sha256()
    for folder in ("lexicon", "text"):
        for path in sorted(data_path(folder).glob("*.tsv")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def save(
    path: Path,
    *,
    manifest: dict[str, Any],
    vocabulary: Sequence[str],
    weights_npy: bytes,
    gate: Sequence[str],
    golden: Sequence[Mapping[str, Any]],
    profile: Mapping[str, Any],
) -> str:
    """Write an artefact and return its model version."""
    path.mkdir(parents=True, exist_ok=True)
    contents = {
        "vocabulary.txt": "".join(f"{key}\n" for key in vocabulary).encode(),
        "weights.npy": weights_npy,
        "gate.txt": "".join(f"{term}\n" for term in gate).encode(),
        "golden.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in golden).encode(),
        "profile.json": (json.dumps(profile, ensure_ascii=False, indent=1) + "\n").encode(),
    }
    digests = {name: hashlib.sha256(body).hexdigest() for name, body in contents.items()}
    version = f"{manifest['taxonomy_version']}-{digests['weights.npy'][:10]}"
    document = {
        "schema_version": SCHEMA_VERSION,
        "model_version": version,
        **manifest,
        "tokenizer": TOKENIZER,
        "text_digest": text_digest(),
        "files": digests,
    }
    for name, body in contents.items():
        (path / name).write_bytes(body)
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    (path / "manifest.json").write_text(text, encoding="utf-8")
    return version


def load_artefact(path: Path) -> Artefact:
    """Read and check an artefact; raises ``ModelError`` with what is wrong and what to do."""
    manifest = _manifest(path)
    bodies = {name: _body(path, name, manifest) for name in FILES}
    if manifest.get("tokenizer") != TOKENIZER:
        raise ModelError(
            f"{path}: trained with tokenizer {manifest.get('tokenizer')!r}, this loanlint has {TOKENIZER!r}. "
            "Train it again with `loanlint train`.",
            code="E_MODEL_TOKENIZER",
        )
    if manifest.get("text_digest") != text_digest():
        raise ModelError(
            f"{path}: trained with other normaliser or lexicon tables than this loanlint has. "
            "Train it again with `loanlint train`, or install the loanlint version it came with.",
            code="E_MODEL_TABLES",
        )
    try:
        heads = tuple(manifest["heads"])
        keys = bodies["vocabulary.txt"].decode("utf-8").split("\n")[:-1]
        weights = read_npy(bodies["weights.npy"], (len(keys), len(heads)))
        feature = dict(manifest["features"])
        feature["window"] = WindowSettings(**feature["window"])
        feature["frames"] = tuple(feature["frames"])
        return Artefact(
            path=path,
            manifest=manifest,
            settings=FeatureSettings(**feature),
            heads=heads,
            bias=tuple(manifest["bias"]),
            calibration=tuple((a, b) for a, b in manifest["calibration"]),
            code_thresholds=manifest["code_thresholds"],
            operating_points={
                name: OperatingPoint(name, (t[0], t[1], t[2]), row["precision"], row["recall"], row["measured_on"])
                for name, row in manifest["operating_points"].items()
                for t in [row["thresholds"]]
            },
            vocabulary={key: i for i, key in enumerate(keys)},
            weights=weights,
            gate=tuple(bodies["gate.txt"].decode("utf-8").split("\n")[:-1]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path}: manifest.json is incomplete or contradicts the files ({type(error).__name__}: {error}). "
            "Copy the model again, or train it with `loanlint train`.",
            code="E_MODEL_MANIFEST",
        ) from error


def settings_dict(settings: FeatureSettings) -> dict[str, Any]:
    """Settings as the manifest stores them."""
    return asdict(settings)


def read_npy(body: bytes, shape: tuple[int, int]) -> array[float]:
    """Values of a little-endian float32 ``.npy`` file of a known shape, without importing numpy."""
    if body[:6] != b"\x93NUMPY" or body[6] != 1:
        raise ValueError("weights.npy is not a version 1 npy file")
    size = int.from_bytes(body[8:10], "little")
    header = body[10 : 10 + size].decode("latin-1")
    wanted = f"'descr': '<f4', 'fortran_order': False, 'shape': ({shape[0]}, {shape[1]})"
    if wanted not in header:
        raise ValueError(f"weights.npy has header {header.strip()}, expected {wanted}")
    values = array("f")
    values.frombytes(body[10 + size :])
    if len(values) != shape[0] * shape[1]:
        raise ValueError("weights.npy is cut short")
    return values


def _manifest(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise ModelError(f"{path}: no such model directory. Check --model.", code="E_MODEL_MISSING")
    file = path / "manifest.json"
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(
            f"{path}: manifest.json is missing, so this is no loanlint model. Check --model.",
            code="E_MODEL_MISSING",
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: cannot be read ({error}). Copy the model again.", code="E_MODEL_MANIFEST") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("schema_version"), int):
        raise ModelError(f"{file}: not a loanlint manifest. Check --model.", code="E_MODEL_MANIFEST")
    if manifest["schema_version"] > SCHEMA_VERSION:
        raise ModelError(
            f"{path}: schema {manifest['schema_version']} is newer than this loanlint reads ({SCHEMA_VERSION}). "
            "Upgrade loanlint.",
            code="E_MODEL_SCHEMA",
        )
    return manifest


def _body(path: Path, name: str, manifest: Mapping[str, Any]) -> bytes:
    try:
        body = (path / name).read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {name} is missing. Copy the model again.", code="E_MODEL_MISSING") from error
    if hashlib.sha256(body).hexdigest() != manifest.get("files", {}).get(name):
        raise ModelError(
            f"{path}: {name} does not have the digest that manifest.json gives. Copy the model again.",
            code="E_MODEL_DIGEST",
        )
    return body
