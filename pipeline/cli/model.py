"""``loanlint model``: look at, verify and export a model."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..errors import ModelError

_MODEL = click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[MODEL]")
GOLDEN_TOLERANCE = 1e-5


@click.group(name="model")
def command() -> None:
    """查看、校验、导出模型。Look at, verify and export a model."""


@command.command()
@_MODEL
@click.option(
    "--format",
    "output",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="输出格式。Output format.",
)
def info(path: Path | None, output: str) -> int:
    """显示模型的来源、设置与指标。Show where a model comes from, its settings and figures."""
    from ..model.artefact import load_artefact
    from ..resources import default_model_path
    from .output import write

    artefact = load_artefact(path or default_model_path())
    if output == "json":
        write(json.dumps(dict(artefact.manifest), ensure_ascii=False, indent=2))
        return 0
    training = artefact.manifest["training"]
    write(f"model {artefact.version} (taxonomy {artefact.manifest['taxonomy_version']}) at {artefact.path}")
    write(f"  {len(artefact.vocabulary):,} features, {len(artefact.heads)} heads, {len(artefact.gate)} gate terms")
    write(f"  tokenizer {artefact.manifest['tokenizer']}")
    write(
        f"  trained on {training['rows']:,} texts of {training['families']:,} families, corpus {training['corpus_digest'][:12]}"
    )
    for name, values in artefact.manifest["metrics"].items():
        write(f"  {name}: " + ", ".join(f"{k} {v}" for k, v in values.items()))
    for point in artefact.operating_points.values():
        write(
            f"  {point.name}: p ≥ {point.thresholds[1]}, precision {point.precision}, recall {point.recall} ({point.measured_on})"
        )
    return 0


@command.command()
@_MODEL
def verify(path: Path | None) -> int:
    """校验摘要,并重新计算内置样例的分数。Check digests and score the golden texts again."""
    from ..model.artefact import SEVERITY_HEADS, load_artefact
    from ..model.scorer import PlainScorer
    from ..resources import default_model_path
    from .output import write

    artefact = load_artefact(path or default_model_path())
    scorer = PlainScorer(artefact)
    lines = (artefact.path / "golden.jsonl").read_text(encoding="utf-8").split("\n")
    golden = [json.loads(line) for line in lines if line]
    for number, row in enumerate(golden, 1):
        values = dict(zip(artefact.heads, scorer.score(row["text"])[2].values, strict=False))
        for head in SEVERITY_HEADS:
            given, wanted = values.get(head), row["scores"].get(head)
            if (given is None) != (wanted is None) or (given is not None and abs(given - wanted) > GOLDEN_TOLERANCE):
                raise ModelError(
                    f"{artefact.path}: golden text {number}: {head} is {given}, should be {wanted}. "
                    "This loanlint does not compute what the model was trained for; install the version it came with.",
                    code="E_MODEL_GOLDEN",
                )
    write(f"{artefact.path}: 校验通过 ok ({len(golden)} golden texts, model {artefact.version})")
    return 0


@command.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--model",
    "path",
    type=click.Path(path_type=Path),
    help="模型目录,默认内置模型。Model directory; the shipped one by default.",
)
def export(out: Path, path: Path | None) -> int:
    """导出为 scikit-learn 线性模型(joblib 文件)。Export the heads as a scikit-learn linear model in a joblib file.

    For people who work on in scikit-learn; loanlint itself never reads such a file.
    """
    from . import require

    require("train", "sklearn")
    import joblib

    from ..model.artefact import load_artefact
    from ..resources import default_model_path
    from ..training.export import to_sklearn
    from .output import write

    artefact = load_artefact(path or default_model_path())
    if out.is_dir():
        raise ModelError(f"{out}: is a directory. Name a file, such as model.joblib.", code="E_MODEL_EXPORT")
    try:
        joblib.dump(to_sklearn(artefact), out)
    except OSError as error:
        raise ModelError(f"{out}: cannot be written ({error.strerror}).", code="E_MODEL_EXPORT") from error
    write(f"{out}: DictVectorizer + linear heads of model {artefact.version}")
    return 0
