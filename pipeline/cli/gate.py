"""``loanlint gate``: the quality floors."""

from __future__ import annotations

from pathlib import Path

import click

from .options import model_option

BENCH_FILES = ("dev.jsonl", "ordinary.jsonl.gz")


@click.command(name="gate")
@click.option(
    "--bench",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="外部评测数据目录,另行检查。Folder with labelled files to check, too.",
)
@model_option
@click.option("--update", "renew", is_flag=True, help="把下限收紧到现值。Pin the bounds to what is measured now.")
@click.option("--lower", is_flag=True, help="与 --update 同用,允许放宽。With --update: bounds may be loosened.")
def command(bench: Path | None, model_path: Path | None, renew: bool, lower: bool) -> int:
    """检查质量下限:交叉验证与外部数据上的指标不得变差。

    Check that no pinned figure got worse: on grouped cross-validation over the corpus, and on labelled files where given.
    """
    from . import require

    require("train", "numpy")
    from ..classifier import load
    from ..errors import UsageError
    from ..evaluation import gate
    from ..evaluation.summary import measure
    from ..training.corpus import corpus_files, digest
    from .output import write

    if lower and not renew:
        raise UsageError("--lower goes with --update")
    if bench is not None and not bench.is_dir():
        raise UsageError(f"--bench {bench}: no such folder")
    classifier = load(model_path)
    manifest = classifier.artefact.manifest
    sets = [(gate.CROSS_VALIDATION, digest(corpus_files()), gate.figures(manifest["metrics"]["cross_validation"]))]
    if manifest["training"]["corpus_digest"] != sets[0][1]:
        raise UsageError(
            "the model was not trained on data/corpus as it is now; run `loanlint train`", code="E_MODEL_STALE"
        )
    for name in BENCH_FILES if bench is not None else ():
        assert bench is not None
        path = bench / name
        if path.exists():
            sets.append((name, gate.file_digest(path), gate.figures(measure(path, classifier))))
    floors = {} if renew and lower else gate.read_floors()
    breaches = []
    for name, content, measured in sets:
        if renew:
            floors = gate.update(floors, name, content, measured, lower=lower)
        breaches += gate.check(floors, name, content, measured)
        write(f"{name}: " + ", ".join(f"{k} {v:.4f}" for k, v in measured.items()))
    for breach in breaches:
        write(f"{breach.data}: {breach.message}")
    if renew:
        gate.write_floors(floors)
    write("未过 · below the floors" if breaches else "通过 · all floors hold")
    return 1 if breaches else 0
