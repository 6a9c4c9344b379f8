"""A real archive (Orthanc) and real senders (dcmtk), where they are installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from docs.blocks import ROOT, blocks_of

_ORTHANC = Path("/usr/sbin/Orthanc")
_PLUGINS = Path("/usr/share/orthanc/plugins")
#: pynetdicom puts scripts of the same names into the virtual environment.
_DCMTK = Path("/usr/bin")
#: What a package of Orthanc installs.
_INSTALLED = Path("/etc/orthanc")
#: The page for whoever runs the PACS; a test with an Orthanc of its own runs what it prints.
PAGE = ROOT / "docs" / "how-to" / "connect-a-pacs.md"
#: Everything that it prints between fences, from top to bottom.
BLOCKS = [block.text for block in blocks_of(PAGE)]


def dcmtk(name: str) -> str:
    """A program of dcmtk; the test is skipped where there is none."""
    program = _DCMTK / name
    if not program.is_file() or "python" in program.read_bytes()[:40].decode("latin-1"):
        pytest.skip(f"no dcmtk ({program}); apt-get install dcmtk")
    return str(program)


def run(
    *command: object, timeout: float = 120, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A program of dcmtk, to its end; Nagle's algorithm off, as it hides all else."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc."""

    http_port: int
    port: int
    ours: int
    """Where it believes our listener."""

    @property
    def http(self) -> str:
        """Where its REST interface is."""
        return f"http://127.0.0.1:{self.http_port}"

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.http}{path}", timeout=60)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: object) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = requests.post(f"{self.http}{path}", data=data, timeout=120)
        answer.raise_for_status()
        return answer.json()

    def delete(self, path: str) -> None:
        requests.delete(f"{self.http}{path}", timeout=60).raise_for_status()

    def file(self, name: str) -> bytes:
        """An instance's file, by Orthanc's own name."""
        answer = requests.get(f"{self.http}/instances/{name}/file", timeout=60)
        answer.raise_for_status()
        return answer.content

    def put_files(self, files: list[Path]) -> None:
        for path in files:
            self.post("/instances", path.read_bytes())

    def instances(self) -> dict[str, str]:
        """SOP Instance UID → Orthanc's own name, of all it holds."""
        found = self.get("/instances?expand")
        return {one["MainDicomTags"]["SOPInstanceUID"]: one["ID"] for one in found}

    def clear(self) -> None:
        for study in self.get("/studies"):
            self.delete(f"/studies/{study}")


@contextmanager
def orthanc(folder: Path) -> Iterator[Orthanc]:
    """Start one that is open to all; the test is skipped where it is not installed."""
    with _started(folder, _open_to_all) as running:
        yield running


@contextmanager
def documented_orthanc(folder: Path, stable_s: int = 1) -> Iterator[Orthanc]:
    """Start one as its package sets it up, changed by what our page prints and by nothing else.

    But for places, ports and the time until a series counts as quiet.
    """
    if not (_INSTALLED / "orthanc.json").is_file():
        pytest.skip(f"no configuration of Orthanc in {_INSTALLED}; apt-get install orthanc")

    def configured(folder: Path, running: Orthanc) -> Path:
        return _as_documented(folder, running, stable_s)

    with _started(folder, configured) as running:
        yield running


def _open_to_all(folder: Path, running: Orthanc) -> Path:
    """Write a configuration of our own, without what its package sets up."""
    modality = {"AET": "GROUNDGLASS", "Host": "127.0.0.1", "Port": running.ours}
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": running.http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": "ORTHANC",
        "DicomPort": running.port,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"groundglass": {**modality, "AllowStorageCommitment": True}},
        "StableAge": 1,
        "UnknownSopClassAccepted": True,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "Plugins": [str(path) for path in _plugins()],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    return folder / "orthanc.json"


def _as_documented(folder: Path, running: Orthanc, stable_s: int) -> Path:
    """Copy what the package installs and do to it what the page says; the folder of it."""
    place = folder / "etc"
    place.mkdir()
    for path in _INSTALLED.glob("*.json"):
        shutil.copyfile(path, place / path.name)
    installed = place / "orthanc.json"
    text = installed.read_text("utf-8")
    for name, value in {
        "StorageDirectory": folder / "storage",
        "IndexDirectory": folder / "index",
        "HttpPort": running.http_port,
        "DicomPort": running.port,
        "JobsHistorySize": 1000,
    }.items():
        ours = json.dumps(value if isinstance(value, int) else str(value))
        text, count = re.subn(f'^  "{name}" : .*,$', f'  "{name}" : {ours},', text, flags=re.M)
        assert count == 1, name
    installed.write_text(text, "utf-8")
    commands = documented("sudo cp ").replace("sudo ", "").replace("/etc/orthanc", str(place))
    done = run("bash", "-euc", commands.replace("systemctl", ": systemctl"), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    fragment = place / "forward.json"
    text = fragment.read_text("utf-8")
    for printed, here in {
        "11112": str(running.ours),
        '"StableAge": 20': f'"StableAge": {stable_s}',
        "/etc/orthanc": str(place),
    }.items():
        assert printed in text
        text = text.replace(printed, here)
    fragment.write_text(text, "utf-8")
    return place


def documented(begin: str) -> str:
    """The block of the page that begins so."""
    (found,) = (text for text in BLOCKS if text.startswith(begin))
    return found


def _plugins() -> list[Path]:
    return [_PLUGINS / f"libOrthanc{name}.so" for name in ("DicomWeb", "Gdcm")]


@contextmanager
def _started(folder: Path, configured: Callable[[Path, Orthanc], Path]) -> Iterator[Orthanc]:
    """Start one and end it; `configured` writes its configuration and says where it is."""
    if not _ORTHANC.is_file() or not all(path.exists() for path in _plugins()):
        pytest.skip("no Orthanc; apt-get install orthanc orthanc-dicomweb orthanc-gdcm")
    running = Orthanc(free_port(), free_port(), free_port())
    for name in ("storage", "index"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    configuration = configured(folder, running)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(_ORTHANC), str(configuration)],
            stdout=log,
            stderr=log,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
        try:
            _await_start(running, process, folder / "log")
            yield running
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(folder / "storage", ignore_errors=True)


def _await_start(running: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            running.get("/system")
        except requests.RequestException:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"Orthanc did not start: {log.read_text()[-500:]}")
