"""What Prometheus is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from .. import __version__
from ..taxonomy import SEVERITY_LABELS, taxonomy
from ..verdict import Verdict
from .board import Board

ROUTES = (
    "/v1/moderations",
    "/v1/check",
    "/v1/scan",
    "/v1/stream",
    "/v1/appeals",
    "/v1/taxonomy",
    "/v1/shadow",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "pages",
    "other",
)
STATUSES = (
    200,
    303,
    304,
    400,
    401,
    403,
    404,
    405,
    406,
    408,
    409,
    411,
    413,
    415,
    421,
    422,
    429,
    431,
    500,
    503,
    0,
)
_LATENCY = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_SCORES = tuple(range(5, 100, 5))
# Name on the board → help. All are counters without labels.
_PLAIN = {
    "items_written": "texts written into the store",
    "items_dropped": "sampled texts not kept because the store was behind",
    "store_failures": "batches that the store did not take",
    "webhooks_delivered": "webhook messages confirmed by their receiver",
    "webhooks_failed": "attempts to deliver a webhook message that failed",
    "models_loaded": "models taken up while running",
    "models_refused": "models that could not be taken up",
    "shadow_texts": "texts scored by the shadow model too",
    "shadow_dropped": "texts not scored by the shadow model because it was behind",
}
_GAUGES = {"items_pending": "texts waiting to be written into the store", "requests_busy": "requests being worked on"}


def counter_names() -> list[Hashable]:
    """Names of everything that is counted."""
    names: list[Hashable] = [("request", route, status) for route in ROUTES for status in STATUSES]
    names += [("seconds", route, i) for route in ROUTES for i in range(len(_LATENCY) + 1)]
    names += [("seconds_sum", route) for route in ROUTES]
    names += [("severity", value) for value in range(len(SEVERITY_LABELS))]
    names += [("code", code) for code in taxonomy().codes]
    names += [("score", i) for i in range(len(_SCORES) + 1)]
    names += ["score_sum", *_PLAIN, *_GAUGES]
    return names


class Metrics:
    """Counts requests and verdicts on a board, and writes them out."""

    def __init__(self, board: Board, model_version: Callable[[], str]) -> None:
        self.board = board
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(board, model_version))

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        board = self.board
        board.add(("request", route, status if status in STATUSES else 0))
        board.add(("seconds", route, _slot(_LATENCY, seconds)))
        board.add(("seconds_sum", route), seconds)

    def verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Count verdicts."""
        add = self.board.add
        severities: Counter[int] = Counter()
        slots: Counter[int] = Counter()
        total = 0
        for verdict in verdicts:
            severities[verdict.severity] += 1
            slots[min((verdict.score + 4) // 5 - 1, len(_SCORES)) if verdict.score else 0] += 1
            total += verdict.score
            for code in verdict.codes:
                add(("code", code.code))
        for severity, count in severities.items():
            add(("severity", severity), count)
        for slot, count in slots.items():
            add(("score", slot), count)
        add("score_sum", total)

    def exposition(self) -> tuple[bytes, str]:
        """Body and content type of ``/metrics``."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


def _slot(bounds: Sequence[float], value: float) -> int:
    for i, bound in enumerate(bounds):
        if value <= bound:
            return i
    return len(bounds)


class _Collector(Collector):
    def __init__(self, board: Board, model_version: Callable[[], str]) -> None:
        self._board = board
        self._version = model_version

    def collect(self) -> Iterable[Metric]:
        total = self._board.total
        requests = CounterMetricFamily("loanlint_requests", "requests", labels=["route", "status"])
        for route in ROUTES:
            for status in STATUSES:
                count = total(("request", route, status))
                if count:
                    requests.add_metric([route, str(status or "other")], count)
        yield requests
        seconds = HistogramMetricFamily("loanlint_request_seconds", "time of a request", labels=["route"])
        for route in ROUTES:
            buckets, count = self._histogram(_LATENCY, ("seconds", route))
            if count:
                seconds.add_metric([route], buckets, sum_value=total(("seconds_sum", route)))
        yield seconds
        verdicts = CounterMetricFamily("loanlint_verdicts", "verdicts by severity", labels=["severity"])
        for value, label in enumerate(SEVERITY_LABELS):
            verdicts.add_metric([label], total(("severity", value)))
        yield verdicts
        codes = CounterMetricFamily("loanlint_codes", "claim codes in verdicts", labels=["code"])
        for code in taxonomy().codes:
            codes.add_metric([code], total(("code", code)))
        yield codes
        buckets, _ = self._histogram(_SCORES, ("score",))
        yield HistogramMetricFamily("loanlint_score", "scores, 0–100", buckets=buckets, sum_value=total("score_sum"))
        for name, text in _PLAIN.items():
            yield CounterMetricFamily(f"loanlint_{name}", text, value=total(name))
        for name, text in _GAUGES.items():
            yield GaugeMetricFamily(f"loanlint_{name}", text, value=total(name))
        info = GaugeMetricFamily("loanlint_model", "the active model", labels=["model", "version"])
        info.add_metric([self._version(), __version__], 1)
        yield info

    def _histogram(self, bounds: Sequence[float], name: tuple[str, ...]) -> tuple[list[tuple[str, float]], float]:
        buckets = []
        running = 0.0
        for i in range(len(bounds) + 1):
            running += self._board.total((*name, i))
            buckets.append((str(float(bounds[i])) if i < len(bounds) else "+Inf", running))
        return buckets, running
