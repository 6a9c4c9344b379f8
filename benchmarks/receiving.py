"""`python -m benchmarks.receiving`: how fast instances are taken in, beside dcmtk's storescp.

dcmtk's storescu sends the same 512×512×16 bit images over one association to each receiver in
turn; Nagle's algorithm is off on both sides. Our node syncs file, folder and database row of each
instance before it answers; the row without that shows what the network side alone costs. storescp
leaves all of it to the operating system; where there is a C compiler, a row shows it with each file
synced before it is closed, which is the nearer comparison (its folder is not synced even then).
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.dimse.listener import Listener, ListenerSettings
from groundglass.node.inbound.commitment import CommitmentService
from groundglass.node.inbound.instances import IncomingInstance
from groundglass.node.inbound.intake import Intake
from groundglass.node.inbound.services import InboundServices
from groundglass.node.inbound.spool import Spool, SpoolSettings
from groundglass.node.metrics import Metrics
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import JobSettings
from groundglass.node.rules import Rules
from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series

_STORESCU, _STORESCP = "/usr/bin/storescu", "/usr/bin/storescp"
_AE = "RECEIVER"
_PATIENCE_S = 60
_PDU = "131072"  # storescu cuts what is above its own maximum of 131072
_ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}


def free_port() -> int:
    """A port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_listener(port: int) -> None:
    """Wait until somebody listens, for a minute at most: what connects next says if nobody does."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


class FileSink:
    """Writes, and leaves the rest to the operating system, as storescp does."""

    keywords: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def store(self, incoming: IncomingInstance, content: Iterable[bytes]) -> None:
        """Write it."""
        with (self._folder / incoming.sop_instance_uid).open("wb", buffering=0) as file:
            for piece in content:
                file.write(piece)

    def holds(self, sop_class_uid: str, sop_instance_uid: str) -> bool | None:
        """Whether it was written."""
        return (self._folder / sop_instance_uid).is_file() and bool(sop_class_uid)

    def ended(self, study_instance_uid: str) -> None:
        """Nothing waits here."""


def _node_sink(folder: Path) -> Intake:
    """All of a node's way in: synced to disk, entered into the job table."""
    spool = Spool(folder / "spool", SpoolSettings(free_floor_mb=0))
    jobs = JobStore(f"sqlite:///{folder / 'jobs.sqlite'}", JobSettings())
    return Intake(spool, jobs, Rules((), ()), Metrics(jobs, spool.free))


def _serve_ours(sink: FileSink | Intake, folder: Path, port: int) -> None:
    settings = replace(ListenerSettings(ae_title=_AE), port=port)
    service = CommitmentService(sink, CommitmentInbox(folder / "inbox"))
    with Listener(settings, InboundServices(sink, service)):
        threading.Event().wait()


def _serve_pynetdicom(folder: Path, port: int) -> None:
    """The acceptor of pynetdicom at its best: not decoded, not logged, sent at once."""
    from pynetdicom import AE, _config, evt  # noqa: PLC0415

    from groundglass.node.inbound.accepted import IMAGE_SYNTAXES, TAKEN_CLASSES  # noqa: PLC0415

    _config.LOG_HANDLER_LEVEL = "none"

    def keep(event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        (folder / uid).write_bytes(event.encoded_dataset())
        return 0

    def at_once(event: evt.Event) -> None:
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    entity = AE(_AE)
    entity.maximum_pdu_size = int(_PDU)
    for uid in TAKEN_CLASSES:
        entity.add_supported_context(uid, list(IMAGE_SYNTAXES))
    handlers = [(evt.EVT_C_STORE, keep), (evt.EVT_CONN_OPEN, at_once)]
    entity.start_server(("127.0.0.1", port), evt_handlers=handlers)


def _serve(kind: str, folder: Path, port: int) -> None:
    if kind == "pynetdicom":
        _serve_pynetdicom(folder, port)
    elif kind == "node":
        _serve_ours(_node_sink(folder), folder, port)
    else:
        _serve_ours(FileSink(folder), folder, port)


def _here(kind: str) -> Callable[[Path, int], list[str]]:
    def command(folder: Path, port: int) -> list[str]:
        module = [sys.executable, "-m", "benchmarks.receiving"]
        return [*module, "--serve", kind, "--folder", str(folder), "--port", str(port)]

    return command


def _storescp(folder: Path, port: int) -> list[str]:
    options = ["-aet", _AE, "--max-pdu", _PDU, "+B", "--fork", "-od", str(folder)]
    return [_STORESCP, *options, str(port)]


_SYNCING = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>
int fclose(FILE *file) {
    int (*close_it)(FILE *) = (int (*)(FILE *))dlsym(RTLD_NEXT, "fclose");
    fflush(file);
    fsync(fileno(file));
    return close_it(file);
}
"""


def _storescp_syncing(folder: Path, port: int) -> list[str]:
    """As above, every file synced before it is closed, by a library loaded before the C library."""
    library = folder.parent / f"{folder.name}-syncing.so"
    compiler = ["cc", "-x", "c", "-shared", "-fPIC", "-o", str(library), "-", "-ldl"]
    subprocess.run(compiler, input=_SYNCING.encode(), check=True)
    return ["env", f"LD_PRELOAD={library}", *_storescp(folder, port)]


RECEIVERS: dict[str, Callable[[Path, int], list[str]]] = {
    "dcmtk storescp": _storescp,
    **({"dcmtk storescp, each file synced": _storescp_syncing} if shutil.which("cc") else {}),
    "our listener, writing as storescp does": _here("listener"),
    "our node: synced, in the job table, then acknowledged": _here("node"),
    "pynetdicom's acceptor, writing as storescp does": _here("pynetdicom"),
}


@contextmanager
def _running(command: Callable[[Path, int], list[str]]) -> Iterator[tuple[int, int]]:
    """A receiver in a process of its own; its port and process."""
    port = free_port()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name, "received")
        folder.mkdir()
        process = subprocess.Popen(command(folder, port), env=_ENVIRONMENT)
        try:
            await_listener(port)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait()


def _send(folder: Path, port: int) -> None:
    to = ["-aec", _AE, "--max-pdu", _PDU, "127.0.0.1", str(port)]
    subprocess.run([_STORESCU, *to, "+sd", "+r", str(folder)], check=True, env=_ENVIRONMENT)


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def receiving_table(slices: int, runs: int, senders: int) -> str:
    """Instances per second of each receiver, median of the runs, as Markdown."""
    rows = ["| receiver | instances/s | of storescp | peak MB |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as name:
        folders = []
        for seed in range(senders):
            settings = PhantomSettings(
                seed=seed, slice_count=slices, slice_spacing_mm=300 / slices, matrix=512
            )
            write_dicom_series(make_phantom(settings), Path(name) / str(seed))
            folders.append(Path(name) / str(seed))
        rates: dict[str, list[float]] = {receiver: [] for receiver in RECEIVERS}
        peaks: dict[str, float] = {}
        for _ in range(runs):  # in turn, so that a busy moment of the machine meets all alike
            for receiver, command in RECEIVERS.items():
                with _running(command) as (port, pid), ThreadPoolExecutor(senders) as pool:
                    begin = time.perf_counter()
                    list(pool.map(_send, folders, [port] * senders))
                    seconds = time.perf_counter() - begin
                    rates[receiver].append(slices * senders / seconds)
                    peaks[receiver] = _peak_mb(pid)
    median = {receiver: statistics.median(values) for receiver, values in rates.items()}
    reference = median["dcmtk storescp"]
    rows += [
        f"| {receiver} | {rate:.0f} | {rate / reference:.2f} | {peaks[receiver]:.0f} |"
        for receiver, rate in median.items()
    ]
    return "\n".join(rows)


def main() -> None:
    """Print the table for one sender and for several."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        _serve(given.serve, given.folder, given.port)
        return
    print(f"# Receiving, {os.cpu_count()} cores, median of {given.runs} runs\n")
    for senders in (1, given.senders):
        print(f"{senders} sender{'s' if senders > 1 else ''} of {given.slices} images\n")
        print(f"{receiving_table(given.slices, given.runs, senders)}\n", flush=True)


if __name__ == "__main__":
    main()
