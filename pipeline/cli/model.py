"""``loanlint model``: look at, verify and export a model."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..errors import ModelError, UsageError
from .options import model_option
from .service_options import database, opened

_MODEL = click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[MODEL]")


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
    from ..model.artefact import load_artefact
    from ..model.golden import verify as check
    from ..resources import default_model_path
    from .output import write

    artefact = load_artefact(path or default_model_path())
    count = check(artefact)
    write(f"{artefact.path}: 校验通过 ok ({count} golden texts, model {artefact.version})")
    return 0


@command.command()
@click.argument("out", type=click.Path(path_type=Path))
@model_option
def export(out: Path, model_path: Path | None) -> int:
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

    artefact = load_artefact(model_path or default_model_path())
    if out.is_dir():
        raise ModelError(f"{out}: is a directory. Name a file, such as model.joblib.", code="E_MODEL_EXPORT")
    try:
        joblib.dump(to_sklearn(artefact), out)
    except OSError as error:
        raise ModelError(f"{out}: cannot be written ({error.strerror}).", code="E_MODEL_EXPORT") from error
    write(f"{out}: DictVectorizer + linear heads of model {artefact.version}")
    return 0


@command.command()
@_MODEL
@database
def activate(path: Path | None, database: str) -> int:
    """让服务改用该模型(默认内置模型),不中断请求。Have the service use this model; no request fails.

    Running services take it up within seconds, or at once on SIGHUP.
    """
    version = _checked(path)
    with opened(database) as store:
        import time

        from ..service.registry import ACTIVE, Activation
        from .output import write

        store.registry.activate(Activation(ACTIVE, str(path.resolve()) if path else None, version, time.time()))
        write(f"model {version} activated")
    return 0


@command.command()
@_MODEL
@click.option(
    "--fraction",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.1,
    show_default=True,
    help="试算文本的比例。Share of the texts that the candidate scores too.",
)
@click.option("--stop", is_flag=True, help="结束试算。End shadow scoring.")
@database
def shadow(path: Path | None, fraction: float, stop: bool, database: str) -> int:
    """让候选模型在服务中并行试算,不影响结果。Run a candidate beside the active model; answers stay the active model's."""
    if (path is None) != stop:
        raise UsageError("give either the candidate MODEL or --stop")
    version = None if path is None else _checked(path)
    with opened(database) as store:
        import time

        from ..service.registry import SHADOW, Activation
        from .output import write

        where = str(path.resolve()) if path else None
        store.registry.activate(Activation(SHADOW, where, version, time.time(), fraction))
        write(f"model {version} runs in the shadow of the active one" if path else "shadow scoring ended")
    return 0


@command.command()
@click.option(
    "--examples", type=click.IntRange(0, 200), default=10, show_default=True, help="示例条数。How many texts."
)
@click.option(
    "--format",
    "output",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="输出格式。Output format.",
)
@database
def compare(examples: int, output: str, database: str) -> int:
    """报告候选模型与现用模型的差异。Report where shadow candidates and active models differ."""
    with opened(database) as store:
        from ..service.shadow_report import shadow_report
        from ..taxonomy import SEVERITY_LABELS
        from .output import visible, write

        pairs = shadow_report(store.registry, examples=examples)
        if output == "json":
            write(json.dumps(pairs, ensure_ascii=False, indent=2))
            return 0
        if not pairs:
            write("尚无试算结果 no shadow results yet")
        for pair in pairs:
            write(
                f"{pair['active']} → {pair['candidate']}: {pair['texts']:,} texts, same severity "
                f"{pair['same_severity']:.2%}, newly flagged {pair['newly_flagged']}, no longer flagged "
                f"{pair['no_longer_flagged']}, mean difference of p {pair['mean_difference']:.4f}"
            )
            for row in pair["table"]:
                write(f"  {row['active']:>10} → {row['candidate']:<10} {row['texts']}")
            for row in pair["examples"]:
                labels = f"{SEVERITY_LABELS[row['active_severity']]} → {SEVERITY_LABELS[row['candidate_severity']]}"
                write(f"  {row['active_p']:.2f} → {row['candidate_p']:.2f} {labels}: {visible(row['text'][:120])}")
    return 0


def _checked(path: Path | None) -> str:
    """Version of a model after the checks a service would make."""
    from . import require

    require("service", "msgspec")
    from ..service.engine import load_engine

    return load_engine(path, "plain").version
