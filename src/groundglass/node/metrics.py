"""Figures for Prometheus. No label ever holds anything of a patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import ENDED, State

#: What became of an instance that was offered.
InstanceFate = Literal["new", "again", "no-room"]

#: Bounds in s: from a small study on a fast machine to a delivery that waits for a commitment.
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600)
#: Bounds in s of the whole way, waiting included.
_WAITING = (5, 15, 30, 45, 60, 90, 120, 300, 600, 1800, 3600, 14400, 86400)


class Metrics:
    """What a node counts and times since it started, and the state of its table and disk.

    The table is asked at each scrape: it is right for all machines that share it.
    """

    def __init__(self, jobs: JobStore, free: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._jobs = jobs
        self._ask_at_scrape(self._jobs_now)
        room = Gauge(
            "groundglass_spool_free_bytes", "Room on the disk of the spool.", registry=None
        )
        room.set_function(free)
        self._registry.register(room)
        self._instances = self._counter(
            "instances", "Instances offered to this node, by what became of them.", "fate"
        )
        self._bytes = self._counter("instance_bytes", "Bytes of the instances taken.")
        self._stages = self._histogram(
            "stage_seconds", "Duration of each stage of the work on a study.", _SECONDS, "stage"
        )
        self._way = self._histogram(
            "study_seconds", "From a study's last instance to its confirmed delivery.", _WAITING
        )
        self._outcomes = self._counter("outcomes", "How analyses ended.", "outcome")
        self._failures = self._counter(
            "failures", "Tries that failed, by the state they failed in.", "state"
        )
        self._files = self._counter(
            "delivered_files",
            "Files given to destinations, by what the destination said.",
            "destination",
            "status",
        )

    def instance(self, fate: InstanceFate, size: int = 0) -> None:
        """Count an instance and its bytes."""
        self._instances.labels(fate).inc()
        self._bytes.inc(size)

    def stages(self, seconds: Mapping[str, float]) -> None:
        """Enter durations in s by stage."""
        for stage, duration in seconds.items():
            self._stages.labels(stage).observe(duration)

    def outcome(self, outcome: str) -> None:
        """Count how an analysis ended."""
        self._outcomes.labels(outcome).inc()

    def failure(self, state: State) -> None:
        """Count a try that failed."""
        self._failures.labels(state.value).inc()

    def delivered(self, destination: str, status: str, files: int) -> None:
        """Count files by what a destination said of them."""
        self._files.labels(destination, status).inc(files)

    def ended(self, seconds: float) -> None:
        """Enter a study's whole way in s."""
        self._way.observe(seconds)

    def follow(self, counts: Callable[[], Mapping[str, int]]) -> None:
        """Tell the listener's own counts too, at each scrape."""

        def listening() -> Iterator[Metric]:
            family = CounterMetricFamily(
                "groundglass_listener", "What happened at the listener.", labels=["what"]
            )
            for what, count in sorted(counts().items()):
                family.add_metric([what], count)
            yield family

        self._ask_at_scrape(listening)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"groundglass_{name}", words, labels, registry=self._registry)

    def _histogram(
        self, name: str, words: str, bounds: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"groundglass_{name}", words, labels, buckets=bounds, registry=self._registry
        )

    def _ask_at_scrape(self, ask: Callable[[], Iterator[Metric]]) -> None:
        self._registry.register(_AskedAtScrape(ask))

    def _jobs_now(self) -> Iterator[Metric]:
        """Jobs by state, and the age of the oldest that waits."""
        counts = GaugeMetricFamily("groundglass_jobs", "Jobs by state.", labels=["state"])
        ages = GaugeMetricFamily(
            "groundglass_oldest_job_seconds",
            "Age of the job that has been in its state for longest.",
            labels=["state"],
        )
        oldest = self._jobs.records.oldest()
        for state, count in self._jobs.records.counts().items():
            counts.add_metric([state.value], count)
            if state not in ENDED:
                ages.add_metric([state.value], oldest.get(state, 0.0))
        yield from (counts, ages)


class _AskedAtScrape(Collector):
    def __init__(self, ask: Callable[[], Iterator[Metric]]) -> None:
        self._ask = ask

    def describe(self) -> Iterator[Metric]:
        """Nothing in advance: the database is not asked before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """What is so now."""
        return self._ask()
