"""`groundglass serve`: from a settings file to a node that stops when it is told."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from child_environment import child_environment
from groundglass.node.settings import example_settings, load_settings

Invoke = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path, bundle: Path) -> Path:
    """Settings of a node that takes little and keeps its results in a folder."""
    (tmp_path / "results").mkdir()
    path = tmp_path / "groundglass.toml"
    path.write_text(
        f"""
        data = "data"
        [spool]
        free_floor_mb = 0
        [analysis]
        bundle = "{bundle}/"
        [http]
        port = {_free_port()}
        [listener]
        port = {_free_port()}
        [[destinations]]
        kind = "folder"
        name = "results"
        path = "results"
        """
    )
    return path


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_the_example_is_printed_without_anything_else(invoke: Invoke) -> None:
    done = invoke("serve", "--example")
    assert done.exit_code == 0
    assert done.stdout == example_settings()


def test_check_says_what_works(invoke: Invoke, config: Path) -> None:
    done = invoke("serve", "--config", config, "--check")
    assert done.exit_code == 0
    for what in ("data folder", "database", "weights", "destination results"):
        assert f"works  {what}: " in done.stdout
    (config.parent / "results").rmdir()
    done = invoke("serve", "--config", config, "--check")
    assert done.exit_code == 1
    assert "FAILS  destination results: " in done.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[jobs]\nquiet = 3", "unknown key 'quiet' in [jobs]"),
        ("[[rules]]\nname = 'x'\ndestinations = ['nowhere']", "'nowhere'"),
    ],
)
def test_settings_that_make_no_sense_are_wrong_use(
    invoke: Invoke, tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "groundglass.toml"
    path.write_text(f"data = 'data'\n{text}")
    done = invoke("serve", "--config", path)
    assert done.exit_code == 2
    assert words in done.output


def test_without_settings_nothing_starts(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("serve").exit_code == 2
    assert invoke("serve", "--config", tmp_path / "none.toml").exit_code == 2


def test_it_serves_until_it_is_told_to_stop_and_logs_lines_of_json(config: Path) -> None:
    port = load_settings(config).http.port
    node = subprocess.Popen(
        [sys.executable, "-m", "groundglass", "serve"],
        env=child_environment(GROUNDGLASS_CONFIG=str(config)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 120
        while not _ready(port):
            assert node.poll() is None, node.communicate()[1].decode()
            assert time.monotonic() < deadline
            time.sleep(0.1)  # an outside process is awaited
        node.send_signal(signal.SIGTERM)
        out, log = node.communicate(timeout=120)
    finally:
        node.kill()
    assert node.returncode == 0
    assert not out
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events[-2:] == ["node stopping", "node stopped"]
    assert "node started" in events or "listening" in events


_BREAKING = """
import logging, threading, warnings
from groundglass.cli.environment import hush
from groundglass.cli.commands.serve import _log_to_standard_error

hush()
_log_to_standard_error("info")
thread = threading.Thread(target=int, args=("Doe^John",))
thread.start()
thread.join()
logging.getLogger("pynetdicom").error("Doe^John")
warnings.warn("Doe^John")
"""


def test_what_breaks_in_a_thread_is_logged_without_its_text() -> None:
    """Nor does any other library's line reach the log, which may quote a header."""
    done = subprocess.run(
        [sys.executable, "-c", _BREAKING],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stderr.splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["error"]) == ("error", "ValueError")
    assert "Doe" not in line
