"""Health, readiness and metrics over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from groundglass.errors import SettingsError
from groundglass.node.health import Checks, HealthServer, HttpSettings, Remembered
from groundglass.node.inbound.spool import Spool
from groundglass.node.metrics import Metrics
from groundglass.node.queue.jobs import JobStore
from node.job_twins import FROM_CT, SetClock, on_disk

wrong: dict[str, str] = {}


@pytest.fixture
def metrics(quick_jobs: JobStore, spool: Spool) -> Metrics:
    return Metrics(quick_jobs, spool.free)


@pytest.fixture
def server(metrics: Metrics) -> Iterator[HealthServer]:
    wrong.clear()
    checks = Checks(
        alive={"threads": lambda: wrong.get("threads", "")},
        ready={"disk": lambda: wrong.get("disk", "")},
    )
    serving = HealthServer(HttpSettings(port=0), checks, metrics)
    serving.start()
    yield serving
    serving.stop()


def get(server: HealthServer, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_and_readiness_say_what_is_wrong(server: HealthServer) -> None:
    assert get(server, "/healthz") == (200, '{"threads": "ok"}\n')
    assert get(server, "/readyz")[0] == 200
    wrong["disk"] = "full"
    assert get(server, "/healthz")[0] == 200
    code, body = get(server, "/readyz")
    assert code == 503
    assert json.loads(body) == {"threads": "ok", "disk": "full"}
    wrong["threads"] = "ended: worker"
    assert get(server, "/healthz")[0] == 503


def test_metrics_tell_the_table_as_it_is_now(
    server: HealthServer, metrics: Metrics, quick_jobs: JobStore, clock: SetClock
) -> None:
    quick_jobs.arrivals.enter(on_disk("1.2", "1.2.1"), FROM_CT)
    clock.go(42)
    metrics.instance("new", 1000)
    code, text = get(server, "/metrics")
    assert code == 200
    for line in (
        'groundglass_jobs{state="received"} 1.0',
        'groundglass_oldest_job_seconds{state="received"} 42.0',
        'groundglass_instances_total{fate="new"} 1.0',
        "groundglass_instance_bytes_total 1000.0",
    ):
        assert line in text
    assert "groundglass_spool_free_bytes" in text


def test_a_database_that_is_down_is_an_answer(
    server: HealthServer, quick_jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quick_jobs._table._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE jobs")
    assert get(server, "/metrics")[0] == 503


def test_nothing_else_is_there_and_nothing_can_be_sent(server: HealthServer) -> None:
    assert get(server, "/")[0] == 404
    assert get(server, "/metrics/../../etc/passwd")[0] == 404
    assert get(server, "/metrics", "POST")[0] == 501


def test_a_port_that_is_taken_is_a_reason(server: HealthServer, metrics: Metrics) -> None:
    with pytest.raises(SettingsError, match=str(server.port)):
        HealthServer(HttpSettings(port=server.port), Checks({}, {}), metrics)


def test_an_answer_counts_for_some_seconds(clock: SetClock) -> None:
    answers = iter(["", "dead", ""])
    asked = Remembered(lambda: next(answers), 5, clock.now)
    assert [asked(), asked()] == ["", ""]
    clock.go(5)
    assert [asked(), asked()] == ["dead", "dead"]
    clock.go(4.9)
    assert asked() == "dead"
    clock.go(0.1)
    assert asked() == ""
