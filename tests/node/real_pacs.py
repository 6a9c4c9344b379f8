"""A real archive (Orthanc) and real senders (dcmtk), where they are installed."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

_ORTHANC = Path("/usr/sbin/Orthanc")
_PLUGINS = Path("/usr/share/orthanc/plugins")
#: pynetdicom puts scripts of the same names into the virtual environment.
_DCMTK = Path("/usr/bin")
_FORWARDING = """
function OnStableStudy(id, tags, metadata, origin)
  RestApiPost('/modalities/groundglass/store',
              DumpJson({Resources = {id}, Asynchronous = true}, true))
end
"""


def dcmtk(name: str) -> str:
    """A program of dcmtk; the test is skipped where there is none."""
    program = _DCMTK / name
    if not program.is_file() or "python" in program.read_bytes()[:40].decode("latin-1"):
        pytest.skip(f"no dcmtk ({program}); apt-get install dcmtk")
    return str(program)


def run(*command: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """A program of dcmtk, to its end; Nagle's algorithm off, as it hides all else."""
    return subprocess.run(
        [str(part) for part in command],
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

    http: str
    port: int
    ours: int
    """Where it believes our listener."""

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
def orthanc(folder: Path, *, forwarding: bool = False) -> Iterator[Orthanc]:
    """Start one; the test is skipped where it is not installed."""
    plugins = [_PLUGINS / f"libOrthanc{name}.so" for name in ("DicomWeb", "Gdcm")]
    if not _ORTHANC.is_file() or not all(path.exists() for path in plugins):
        pytest.skip("no Orthanc; apt-get install orthanc orthanc-dicomweb orthanc-gdcm")
    port, http_port, ours = free_port(), free_port(), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "forward.lua"
    script.write_text(_FORWARDING)
    modality = {"AET": "GROUNDGLASS", "Host": "127.0.0.1", "Port": ours}
    settings = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"groundglass": {**modality, "AllowStorageCommitment": True}},
        "StableAge": 1,
        "UnknownSopClassAccepted": True,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "Plugins": [str(path) for path in plugins],
        "LuaScripts": [str(script)] if forwarding else [],
    }
    for name in ("storage", "index"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(_ORTHANC), str(folder / "orthanc.json")],
            stdout=log,
            stderr=log,
            env={**os.environ, "TCP_NODELAY": "1"},
        )
        running = Orthanc(f"http://127.0.0.1:{http_port}", port, ours)
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
