"""What Prometheus scrapes: one registry per application, names that begin with `afterword_`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.domain.tally import COUNTERS, GAUGES
from service.stages.overview import Overview

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_TOLD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "afterword_callbacks_total": "Callbacks by what became of them",
        "afterword_callbacks_lost_total": "Transcripts that were done and nobody had called",
        "afterword_last_callback_timestamp_seconds": "When a genuine callback was last stored",
        "afterword_catalogue_heard_timestamp_seconds": "When the catalogue of models was last heard",
        "afterword_model_doubts": "What the catalogue says against the models of the pipelines file",
        "afterword_vendor_requests_total": "Requests to the vendor",
        "afterword_answers_total": "Answers to prompts",
        "afterword_events_published_total": "Events handed over",
        "afterword_drops_total": "Recordings that arrived",
        "afterword_tokens_total": "Tokens of language models",
        "afterword_pipeline_tokens_total": "Tokens of language models by pipeline and model",
        "afterword_pipeline_requests_total": "Answers of language models, usable or not",
        "afterword_pipeline_estimated_dollars_total": "What they cost by the catalogue's list prices, as far as known",
        "afterword_pipeline_audio_seconds_total": "Sound that was transcribed, each channel by itself",
        "afterword_paid_in_doubt_total": "Paid requests that may have been carried out twice",
    }
)


class Standing(Collector):
    """The table as it was last looked at; nothing but `store_up` while it does not answer."""

    def __init__(self) -> None:
        self.seen: Overview | None = None

    def collect(self) -> Iterable[GaugeMetricFamily]:
        seen = self.seen
        yield GaugeMetricFamily("afterword_store_up", "Whether the job store answers", value=seen is not None)
        if seen is None:
            return
        jobs = GaugeMetricFamily("afterword_jobs", "Jobs by status and lane", labels=("status", "lane"))
        for count in seen.counts:
            jobs.add_metric((count.status, count.lane), count.rows)
        yield jobs
        told = "Jobs that wait for the account's trouble to end"
        yield GaugeMetricFamily("afterword_parked_jobs", told, value=seen.parked)
        told = "Jobs that wait at the monthly limit of their pipeline"
        yield GaugeMetricFamily("afterword_limited_jobs", told, value=seen.limited)
        queued = GaugeMetricFamily("afterword_queued_jobs", "Jobs that wait for a model's allowance", labels=("model",))
        told = "Requests that those jobs could make now"
        requests = GaugeMetricFamily("afterword_queued_requests", told, labels=("model",))
        for each in seen.models:
            queued.add_metric((each.model,), each.queued)
            requests.add_metric((each.model,), each.requests)
        yield from (queued, requests)
        told = "For how long the oldest due job is due"
        yield GaugeMetricFamily("afterword_oldest_due_seconds", told, value=seen.oldest_due_seconds)
        if seen.backlog is not None:
            told = "Until what waits for us is done, at the present rate; absent while there is none"
            yield GaugeMetricFamily("afterword_backlog_seconds", told, value=seen.backlog)


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """A Tally that is scraped."""

    registry: CollectorRegistry
    counters: Mapping[str, Counter]
    gauges: Mapping[str, Gauge]
    standing: Standing

    @classmethod
    def create(cls) -> Self:
        """All metrics at zero."""
        registry = CollectorRegistry(auto_describe=True)
        standing = Standing()
        registry.register(standing)
        counters = {name: Counter(name, _TOLD[name], labels, registry=registry) for name, labels in COUNTERS.items()}
        gauges = {name: Gauge(name, _TOLD[name], registry=registry) for name in GAUGES}
        return cls(registry=registry, counters=counters, gauges=gauges, standing=standing)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        counter = self.counters[name]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def gauge(self, name: str, value: float) -> None:
        self.gauges[name].set(value)

    def total(self, name: str) -> float:
        """One of COUNTERS so far, over all its labels."""
        samples = [sample for family in self.counters[name].collect() for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == name)

    def page(self) -> bytes:
        """The exposition, of MEDIA_TYPE."""
        return generate_latest(self.registry)


class Scrapes:
    """Looks at the table for a scrape at most once per `lasts` seconds, and waits for it `within` seconds.

    `clock` is monotonic. A look that hangs is not joined by a second one.
    """

    def __init__(
        self,
        metrics: Metrics,
        look: Callable[[], Awaitable[Overview]],
        *,
        clock: Callable[[], float],
        lasts: float = 3.0,
        within: float = 3.0,
    ) -> None:
        self._metrics = metrics
        self._look = look
        self._clock = clock
        self._lasts = lasts
        self._within = within
        self._reading: asyncio.Task[Overview | None] | None = None
        self._known_until = float("-inf")

    async def page(self) -> bytes:
        """The exposition with figures that are at most `lasts` seconds old, or without any."""
        if self._clock() >= self._known_until:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
            done, _ = await asyncio.wait({self._reading}, timeout=self._within)
            if not done:
                self._metrics.standing.seen = None
        return self._metrics.page()

    async def _read(self) -> Overview | None:
        try:
            seen: Overview | None = await self._look()
        except Exception:  # noqa: BLE001  # a store in trouble must not hide the counters
            seen = None
        self._metrics.standing.seen = seen
        self._known_until = self._clock() + self._lasts
        self._reading = None
        return seen
