"""The model artefact: refused when wrong, the same bytes twice, golden scores kept."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import ModelError, load
from pipeline.model.artefact import FILES, load_artefact
from pipeline.resources import default_model_path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_model_path(), tmp_path / "model"))


def _manifest(path: Path, **changes: object) -> None:
    file = path / "manifest.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document.update(changes)
    file.write_text(json.dumps(document), encoding="utf-8")


def test_shipped_model_loads_and_verifies(run) -> None:
    assert load().version == load_artefact(default_model_path()).version
    assert run("model", "verify").status == 0


@pytest.mark.parametrize("name", FILES)
def test_changed_file_is_refused(model: Path, name: str) -> None:
    with (model / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(ModelError, match="E_MODEL_DIGEST"):
        load(model)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_missing_file_is_refused(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(ModelError, match="E_MODEL_MISSING"):
        load(model)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"schema_version": 999}, "E_MODEL_SCHEMA"),
        ({"schema_version": "1"}, "E_MODEL_MANIFEST"),
        ({"tokenizer": "other"}, "E_MODEL_TOKENIZER"),
        ({"text_digest": "0"}, "E_MODEL_TABLES"),
        ({"heads": ["severity>=2"]}, "E_MODEL_MANIFEST"),
        ({"bias": None}, "E_MODEL_MANIFEST"),
        ({"operating_points": {"balanced": {}}}, "E_MODEL_MANIFEST"),
    ],
)
def test_wrong_manifest_is_refused(model: Path, changes: dict[str, object], code: str) -> None:
    _manifest(model, **changes)
    with pytest.raises(ModelError, match=code):
        load(model)


@pytest.mark.parametrize("body", ["", "[]", "{", "null", "\x00"])
def test_broken_manifest_is_refused(model: Path, body: str) -> None:
    (model / "manifest.json").write_text(body, encoding="utf-8")
    with pytest.raises(ModelError, match="E_MODEL_MANIFEST"):
        load(model)


def test_command_line_reports_a_bad_model_in_one_line(run, model: Path) -> None:
    with (model / "weights.npy").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\0\0\0")
    result = run("check", "贷款", "--model", str(model))
    assert (result.status, len(result.err.strip().splitlines())) == (2, 1)
    assert "E_MODEL_DIGEST" in result.err


def test_golden_scores_notice_another_computation(run, model: Path) -> None:
    manifest = json.loads((model / "manifest.json").read_text(encoding="utf-8"))
    _manifest(model, bias=[b + 0.01 for b in manifest["bias"]])
    result = run("model", "verify", str(model))
    assert result.status == 2
    assert "E_MODEL_GOLDEN" in result.err


def test_scoring_imports_no_scikit_learn_and_no_numpy() -> None:
    code = (
        "import sys; from pipeline import load; load().check('不看征信的口子'); "
        "bad = {'sklearn', 'numpy', 'scipy', 'jieba'} & set(sys.modules); sys.exit(','.join(sorted(bad)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_model_info_shows_figures(run) -> None:
    assert "features" in run("model", "info").out
    manifest = json.loads(run("model", "info", "--format", "json").out)
    assert manifest["schema_version"] == 1


def test_export_scores_as_the_artefact_does(run, tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    from pipeline.model.features import analyse, feature_keys
    from pipeline.model.scorer import PlainScorer

    out = tmp_path / "model.joblib"
    assert run("model", "export", str(out)).status == 0
    exported = joblib.load(out)
    artefact = load_artefact(default_model_path())
    scorer = PlainScorer(artefact)
    for text in ("不看征信的口子,秒到账", "民警提醒:凡是不看征信的都是骗局"):
        document = analyse(text, artefact.settings)
        (window,) = document.windows
        row = exported["vectorizer"].transform([dict.fromkeys(feature_keys(document, window, artefact.settings), 1.0)])
        expected = scorer.window_scores(document, window)
        for column, head in enumerate(artefact.heads):
            given = exported["heads"][head].decision_function(row)[0]
            assert given == pytest.approx(expected[column], abs=1e-6)


@pytest.mark.slow
def test_training_twice_gives_the_shipped_bytes(run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run("train", "--out", str(tmp_path / name), timeout=1200).status == 0
    for file in (*FILES, "manifest.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
