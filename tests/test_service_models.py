"""Models changed under load, and a candidate in the shadow."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import threading
from array import array
from pathlib import Path

import httpx
import pytest
from serving import AD, CLEAN, ILLEGAL, loanlint, metric, running, wait

from pipeline import load
from pipeline.model.scorer import PlainScorer
from pipeline.resources import default_model_path


def variant(path: Path, shift: float) -> str:
    """A model like the shipped one whose severity ≥ 2 is moved by ``shift`` log-odds; returns its version."""
    shutil.copytree(default_model_path(), path)
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    column = manifest["heads"].index("severity>=2")
    slope, intercept = manifest["calibration"][column]
    manifest["calibration"][column] = [slope, intercept + shift]
    manifest["model_version"] = f"test-{shift:g}"
    (path / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")
    return manifest["model_version"]


def broken(path: Path) -> None:
    """A model whose weights were changed, with digests that fit: only its golden texts tell."""
    shutil.copytree(default_model_path(), path)
    body = bytearray((path / "weights.npy").read_bytes())
    size = 10 + int.from_bytes(body[8:10], "little")
    values = array("f")
    values.frombytes(bytes(body[size:]))
    changed = array("f", (v * 0.5 for v in values)).tobytes()
    (path / "weights.npy").write_bytes(bytes(body[:size]) + changed)
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"]["weights.npy"] = hashlib.sha256((path / "weights.npy").read_bytes()).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def version(service) -> str:
    return service.post("/v1/check", {"text": CLEAN}).json()["model"]


class Hammer:
    """Asks without pause in threads; remembers statuses and model versions."""

    def __init__(self, url: str) -> None:
        self.statuses: set[int] = set()
        self.versions: list[str] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._url = url
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]
        for t in self._threads:
            t.start()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=20) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post("/v1/check", json={"texts": [AD, CLEAN]})
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                    return
                self.statuses.add(answer.status_code)
                body = answer.json()
                self.versions.append(body["model"])
                # One request is answered by one model.
                if {r["verdict"]["model_version"] for r in body["results"]} != {body["model"]}:
                    self.failures.append("mixed models")

    def stop(self) -> None:
        self._stop.set()
        for t in self._threads:
            t.join()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_model_is_activated_under_load_without_a_failed_request(tmp_path, workers: str) -> None:
    wanted = variant(tmp_path / "candidate", 0.01)
    with running(tmp_path, "--workers", workers) as service:
        before = version(service)
        hammer = Hammer(service.local)
        done = loanlint("model", "activate", str(tmp_path / "candidate"), "--db", service.database)
        assert done.returncode == 0, done.stderr
        service.signal(signal.SIGHUP)
        wait(lambda: hammer.versions[-50:] and set(hammer.versions[-50:]) == {wanted}, "the new model everywhere")
        loanlint("model", "activate", "--db", service.database)
        wait(lambda: set(hammer.versions[-50:]) == {before}, "the shipped model, by polling")
        hammer.stop()
        assert hammer.failures == []
        assert hammer.statuses == {200}
        assert metric(service, "loanlint_models_loaded_total") >= 2
    with running(tmp_path, database=service.database) as again:
        assert version(again) == before


def test_activation_outlives_a_restart_and_a_model_given_goes_first(tmp_path) -> None:
    a, b = variant(tmp_path / "a", 0.01), variant(tmp_path / "b", 0.02)
    database = str(tmp_path / "service.db")
    assert loanlint("model", "activate", str(tmp_path / "a"), "--db", database).returncode == 0
    with running(tmp_path, database=database) as service:
        assert version(service) == a
    with running(tmp_path, "--model", str(tmp_path / "b"), database=database) as service:
        assert version(service) == b
        # A file changed in place is taken up on SIGHUP.
        manifest = tmp_path / "b" / "manifest.json"
        manifest.write_text(manifest.read_text(encoding="utf-8").replace(b, "test-new"), encoding="utf-8")
        service.signal(signal.SIGHUP)
        wait(lambda: version(service) == "test-new", "the changed model")


def test_a_broken_model_is_refused_and_the_one_in_use_stays(tmp_path) -> None:
    broken(tmp_path / "broken")
    good = variant(tmp_path / "good", 0.01)
    with running(tmp_path) as service:
        before = version(service)
        done = loanlint("model", "activate", str(tmp_path / "broken"), "--db", service.database)
        assert done.returncode == 2
        assert b"E_MODEL_GOLDEN" in done.stderr
        # Broken after it was activated: the service refuses it too.
        loanlint("model", "activate", str(tmp_path / "good"), "--db", service.database)
        wait(lambda: version(service) == good, "the good model")
        (tmp_path / "good" / "weights.npy").write_bytes(b"")
        service.signal(signal.SIGHUP)
        wait(lambda: metric(service, "loanlint_models_refused_total") == 1, "the refusal")
        assert version(service) == good
        assert service.client.get("/readyz").status_code == 200
        assert before != good
        codes = [line.get("code") for line in service.log if line["event"] == "model refused"]
    assert codes == ["E_MODEL_DIGEST"]


def test_serving_a_model_that_is_missing_says_so(tmp_path) -> None:
    for workers in ("1", "2"):
        done = loanlint(
            "serve",
            "--port",
            "0",
            "--model",
            str(tmp_path / "no"),
            "--db",
            str(tmp_path / "x.db"),
            "--workers",
            workers,
        )
        assert done.returncode == 2
        assert b"E_MODEL_MISSING" in done.stderr
        assert b"Traceback" not in done.stderr


# Misleading, but less plainly so than the text every model must flag.
MILD = "有手机就能借到钱,审核宽松"


def test_shadow_scores_beside_and_reports_where_it_differs(tmp_path, classifier) -> None:
    candidate = variant(tmp_path / "timid", -30.0)
    # Such a model flags nothing and is refused; one that is merely timid is not.
    assert loanlint("model", "shadow", str(tmp_path / "timid"), "--db", str(tmp_path / "x.db")).returncode == 2
    shutil.rmtree(tmp_path / "timid")
    p_mild, p_probe = (
        classifier.check(MILD).p_misleading,
        classifier.check("不看征信不审核,黑户也能百分百下款的口子,秒到账").p_misleading,
    )
    assert p_probe > p_mild
    candidate = variant(tmp_path / "timid", _between(classifier))
    with running(tmp_path, "--sample", "0") as service:
        before = version(service)
        done = loanlint("model", "shadow", str(tmp_path / "timid"), "--fraction", "1", "--db", service.database)
        assert done.returncode == 0, done.stderr
        service.signal(signal.SIGHUP)
        wait(
            lambda: any(line["event"] == "model loaded" and line["role"] == "shadow" for line in service.log),
            "the shadow",
        )
        for i in range(30):
            answer = service.post("/v1/check", {"texts": [MILD, CLEAN, f"{CLEAN}{i}"]}).json()
            assert answer["model"] == classifier.version
            assert answer["results"][0]["verdict"]["severity"] == 2
        wait(lambda: metric(service, "loanlint_shadow_texts_total") == 90, "the comparisons")
        (pair,) = service.client.get("/v1/shadow").json()["pairs"]
        assert (pair["active"], pair["candidate"], pair["texts"]) == (before, candidate, 90)
        assert (pair["no_longer_flagged"], pair["newly_flagged"]) == (30, 0)
        assert pair["same_severity"] == pytest.approx(60 / 90, abs=1e-5)
        assert pair["examples"] == []  # texts are not shown over HTTP
        report = loanlint("model", "compare", "--db", service.database).stdout.decode()
        assert "no longer flagged 30" in report
        assert MILD in report
        assert loanlint("model", "shadow", "--stop", "--db", service.database).returncode == 0
        service.signal(signal.SIGHUP)
        wait(lambda: any(line["event"] == "shadow scoring ended" for line in service.log), "the end of the shadow")
        service.post("/v1/check", {"text": MILD})
        assert metric(service, "loanlint_shadow_texts_total") == 90


def _between(classifier) -> float:
    """A shift that takes the flag from ``MILD`` and leaves it to the text every model must flag."""
    from pipeline.service.engine import PROBE

    def odds(text: str) -> float:
        from math import log

        p = classifier.check(text).p_misleading
        return log(p / (1 - p))

    from math import log

    threshold = classifier.artefact.operating_points["balanced"].thresholds[1]
    return log(threshold / (1 - threshold)) - (odds(MILD) + odds(PROBE)) / 2


def test_shadow_wants_a_model_or_stop(tmp_path) -> None:
    database = str(tmp_path / "x.db")
    assert loanlint("model", "shadow", "--db", database).returncode == 2
    assert loanlint("model", "compare", "--db", database).returncode == 0


def test_golden_texts_guard_the_shipped_model() -> None:
    from pipeline.model.golden import verify

    artefact = load().artefact
    assert verify(artefact) > 5
    assert PlainScorer(artefact).score(ILLEGAL)[2].values


def test_the_collector_does_not_walk_through_the_model_and_old_ones_go(tmp_path) -> None:
    """A model that was replaced is freed; what is in use is frozen, so that no answer waits for the collector."""
    import gc
    import weakref

    from pipeline.service.metrics import Metrics
    from pipeline.service.models import ModelSlot
    from pipeline.service.registry import ACTIVE, Activation
    from pipeline.service.service import make_board
    from pipeline.service.store import Store

    variant(tmp_path / "candidate", 0.01)
    store = Store(str(tmp_path / "x.db"))
    slot = ModelSlot(store, Metrics(make_board(1), lambda: ""), None, 0.1, "plain")
    try:
        assert gc.get_freeze_count() > 50_000
        old = weakref.ref(slot.engine)
        store.registry.activate(Activation(ACTIVE, str(tmp_path / "candidate"), None, 1.0))
        slot.refresh()
        assert slot.engine.version == "test-0.01"
        slot.refresh()
        assert old() is None
        assert gc.get_freeze_count() > 50_000
    finally:
        slot.close()
        store.close()
        gc.unfreeze()
