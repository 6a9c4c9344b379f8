"""Databases, stores and workers for the tests of a node."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from groundglass.node.inbound.spool import Spool, SpoolSettings
from groundglass.node.metrics import Metrics
from groundglass.node.outbound.delivery import Courier
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import JobSettings
from groundglass.node.rules import Rules
from groundglass.node.worker.loop import Worker, WorkerContext, WorkerSettings
from made_work import eventually
from node.job_twins import MemoryPacs, SetClock, StubAnalyser
from node.real_pacs import run

_POSTGRES = Path("/usr/lib/postgresql")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server of our own, but for the database's name."""
    found = sorted(_POSTGRES.glob("*/bin/postgres"))
    if not found:
        pytest.skip(f"no PostgreSQL in {_POSTGRES}")
    pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="groundglass-postgres-", dir="/tmp"))
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        if shutil.which("runuser") is None:
            pytest.skip("PostgreSQL does not run as root, and there is no runuser")
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    tools, data = found[-1].parent, folder / "data"
    make = [str(tools / "initdb"), "-D", str(data), "-A", "trust", "--no-sync"]
    subprocess.run([*as_user, *make], check=True, capture_output=True, cwd="/")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    options = ["listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off"]
    start = [str(tools / "postgres"), "-D", str(data), "-p", str(port)]
    server = subprocess.Popen(
        [*as_user, *start, *(part for option in options for part in ("-c", option))],
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ready = [str(tools / "pg_isready"), "-h", "127.0.0.1", "-p", str(port), "-q"]
    try:
        up = eventually(lambda: subprocess.run(ready, check=False).returncode == 0, 30)
        assert up, "PostgreSQL does not start"
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/"
    finally:
        end = [str(tools / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"]
        subprocess.run([*as_user, *end], check=False, capture_output=True, cwd="/")
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The server's database, emptied."""
    import sqlalchemy as sa  # noqa: PLC0415

    url = f"{postgres_server}postgres"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/jobs.sqlite"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def jobs(database_url: str, clock: SetClock) -> Iterator[JobStore]:
    """A job table of each kind, with a clock to set."""
    store = JobStore(database_url, JobSettings(), clock)
    yield store
    store.close()


@pytest.fixture
def quick_jobs(clock: SetClock) -> Iterator[JobStore]:
    """A job table in memory."""
    store = JobStore("sqlite://", JobSettings(), clock)
    yield store
    store.close()


@contextmanager
def disk_of(size: str, place: Path) -> Iterator[Path]:
    """A file system of its own, within."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        made = subprocess.run(mount, check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no mount to make a small disk with")
    if made.returncode != 0:
        pytest.skip("a small disk can be made by root only")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    with disk_of("256k", tmp_path / "small") as disk:
        yield disk


@pytest.fixture
def node_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB: a node's database and a small study."""
    with disk_of("8m", tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", SpoolSettings(free_floor_mb=0))


@pytest.fixture
def pacs() -> MemoryPacs:
    return MemoryPacs()


@pytest.fixture
def analyser() -> StubAnalyser:
    return StubAnalyser()


@pytest.fixture
def context(quick_jobs: JobStore, spool: Spool, pacs: MemoryPacs) -> WorkerContext:
    """What a worker works with, one PACS to deliver to."""
    metrics = Metrics(quick_jobs, spool.free)
    courier = Courier({pacs.name: pacs}, quick_jobs, metrics)
    return WorkerContext(spool, quick_jobs, Rules((), (pacs.name,)), courier, metrics)


@pytest.fixture
def worker(context: WorkerContext, analyser: StubAnalyser) -> Worker:
    return Worker("w1", context, analyser, WorkerSettings())


@pytest.fixture
def certificates(tmp_path: Path) -> dict[str, Path]:
    """An authority, and a certificate of its for 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make certificates with")
    place = {name: tmp_path / f"{name}.pem" for name in ("ca", "ca-key", "cert", "key")}
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    signed = ("-CA", place["ca"], "-CAkey", place["ca-key"])
    name = ("-addext", "subjectAltName=IP:127.0.0.1")
    for command in (
        (*new, "-keyout", place["ca-key"], "-out", place["ca"], "-subj", "/CN=authority"),
        (*new, *signed, *name, "-keyout", place["key"], "-out", place["cert"], "-subj", "/CN=us"),
    ):
        made = run(openssl, *command)
        assert made.returncode == 0, made.stderr
    return place
