"""`groundglass serve`: from a settings file to a node that stops when it is told."""

from __future__ import annotations

import io
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from typer.testing import Result

from child_environment import child_environment
from groundglass.node.settings import example_settings, load_settings
from made_ct import as_bytes, ct_series

Invoke = Callable[..., Result]
ROOT = Path(__file__).resolve().parents[3]


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


@contextmanager
def _serving(
    command: list[str], config: Path, umask: int = -1
) -> Iterator[subprocess.Popen[bytes]]:
    """A node in a process of its own, within, from when it is ready."""
    port = load_settings(config).http.port
    node = subprocess.Popen(
        command,
        env=child_environment(GROUNDGLASS_CONFIG=str(config)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        umask=umask,
    )
    try:
        deadline = time.monotonic() + 120
        while not _ready(port):
            assert node.poll() is None, node.communicate()[1].decode()
            assert time.monotonic() < deadline
            time.sleep(0.1)  # an outside process is awaited
        yield node
    finally:
        node.kill()
        node.wait()


@pytest.fixture
def receiver(config: Path) -> Path:
    """Settings of a node that takes in and leaves the work to others: it starts at once."""
    with config.open("a") as file:
        file.write("[worker]\ncount = 0\n")
    return config


def _with_pacs_that_is_down(config: Path) -> None:
    with config.open("a") as file:
        file.write(
            '[[destinations]]\nkind = "pacs"\nname = "pacs"\nae_title = "PACS"\n'
            f'host = "127.0.0.1"\nport = {_free_port()}\n'
        )


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


def test_a_system_that_does_not_answer_is_no_fault_of_ours(invoke: Invoke, receiver: Path) -> None:
    _with_pacs_that_is_down(receiver)
    done = invoke("serve", "--config", receiver, "--check")
    assert done.exit_code == 0
    assert "NO ANSWER  destination pacs: " in done.stdout
    assert "A node starts all the same" in done.stdout


@pytest.mark.parametrize("what", ["listener", "http"])
def test_a_port_in_use_is_a_fault_of_ours(invoke: Invoke, receiver: Path, what: str) -> None:
    settings = load_settings(receiver)
    port = {"listener": settings.listener.port, "http": settings.http.port}[what]
    with socket.create_server(("127.0.0.1", port)):
        done = invoke("serve", "--config", receiver, "--check")
    assert done.exit_code == 1
    assert f"FAILS  {what}: Found 127.0.0.1 port {port} that cannot be listened at" in done.stdout


def test_a_check_beside_the_node_that_runs_finds_nothing_wrong(
    invoke: Invoke, receiver: Path
) -> None:
    with _serving([sys.executable, "-m", "groundglass", "serve"], receiver):
        done = invoke("serve", "--config", receiver, "--check")
    assert done.exit_code == 0
    assert done.stdout.count("in use by the node that runs") == 2


def test_the_unit_starts_a_node_while_a_destination_is_down(receiver: Path) -> None:
    """Each command of the unit, with the program where it is here."""
    _with_pacs_that_is_down(receiver)
    unit = ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "groundglass.service")
    program, service = "/opt/groundglass/bin/groundglass", unit["Service"]

    def here(command: str) -> list[str]:
        assert command.startswith(program)
        return [sys.executable, "-m", "groundglass", *command.removeprefix(program).split()]

    before = {name: words for name, words in service.items() if name.startswith("ExecStartPre")}
    for command in before.values():
        environment = child_environment(GROUNDGLASS_CONFIG=str(receiver))
        subprocess.run(here(command), env=environment, check=True, capture_output=True)
    with _serving(here(service["ExecStart"]), receiver):
        assert _ready(load_settings(receiver).http.port)


def test_nobody_else_may_read_what_it_keeps_whatever_the_umask(receiver: Path) -> None:
    data = receiver.parent / "data"
    settings = load_settings(receiver)
    with _serving([sys.executable, "-m", "groundglass", "serve"], receiver, umask=0):
        entity = AE("TEST")
        entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
        association = entity.associate("127.0.0.1", settings.listener.port, ae_title="GROUNDGLASS")
        image = dcmread(io.BytesIO(as_bytes(ct_series()[0])))
        assert association.send_c_store(image).Status == 0
        association.release()
        modes = {path: path.stat().st_mode & 0o777 for path in (data, *data.rglob("*"))}
    names = {path.name for path in modes}
    assert {"jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm", "site.key"} <= names
    assert any(name.endswith(".dcm") for name in names)
    wide = {str(p): oct(m) for p, m in modes.items() if m != (0o700 if p.is_dir() else 0o600)}
    assert not wide


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
    with _serving([sys.executable, "-m", "groundglass", "serve"], config) as node:
        node.send_signal(signal.SIGTERM)
        out, log = node.communicate(timeout=120)
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
