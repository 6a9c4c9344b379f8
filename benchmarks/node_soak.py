"""`python -m benchmarks.node_soak --minutes 60`: a node beside Orthanc for hours; what it holds.

Orthanc and the node run in processes of their own, set up as docs/how-to/connect-a-pacs.md says:
made studies come into Orthanc by C-STORE, Orthanc sends them on, the node analyses them with the
shipped weights, delivers, reads back, and looks into the archive for what it missed. Of every four
studies one has late images, which come when its result is back, and one comes a second time, from
another sender. Echoes, metrics and health are asked for all along. Studies are begun no faster than
leaves all processes together a share of one core.

Afterwards every study must have one result for each of its revisions, in the archive as in the job
table, and all its images in the last one.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import cores
from benchmarks.process_tree import Usage, usage
from benchmarks.receiving import free_port
from benchmarks.study_files import MadeStudy, numbered
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import ENDED, Job, State

_ORTHANC, _STORESCU, _ECHOSCU = "/usr/sbin/Orthanc", "/usr/bin/storescu", "/usr/bin/echoscu"
_PLUGINS = Path("/usr/share/orthanc/plugins")
_FORWARD = Path(__file__).resolve().parents[1] / "deploy" / "orthanc" / "forward.lua"
_STUDY = MadeStudy(slices=30, matrix=128)
_LATE = 5
_SAMPLE_S, _LOOK_S, _DRAIN_S = 10.0, 2.0, 600.0
#: Begun and not yet ended; more would only wait.
_OPEN = 2
_NODE = """
data = "data"
[spool]
free_floor_mb = 0
[jobs]
quiet_s = 5
[retention]
days = {days:.6f}
[http]
port = {http}
[listener]
port = {port}
[[listener.peers]]
ae_title = "ORTHANC"
addresses = ["127.0.0.1"]
[[listener.peers]]
ae_title = "SOAK"
addresses = ["127.0.0.1"]
[[sources]]
kind = "pacs"
name = "orthanc"
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {archive}
[sources.schedule]
every_s = 60
days = 40000
[[destinations]]
kind = "pacs"
name = "orthanc"
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {archive}
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one moment."""

    minute: float
    rss_mb: float
    handles: int
    threads: int
    processes: int
    database_kb: float
    data_mb: float
    ended: int
    """Jobs that ended so far."""
    share: float
    """Of one core, used by node, archive and senders together since the beginning."""


@dataclass(slots=True)
class Run:
    """Everything of one soak."""

    work: Path
    archive_http: int
    archive: int
    port: int
    http: int
    jobs: JobStore = field(init=False)
    sent: dict[str, str] = field(default_factory=dict)
    """Study Instance UID → what was done with it."""
    waiting: list[tuple[str, Path]] = field(default_factory=list)
    """Studies of which something is still to come when their result is back, and what."""
    unanswered: Counter[str] = field(default_factory=Counter)
    """Questions to the node that had no good answer."""

    def begin(self, number: int) -> None:
        """Send a study to the archive, all of it or all but its last images."""
        kind = ("plain", "late", "plain", "again")[number % 4]
        folder = numbered(_STUDY, number, self.work, self.work / "sent")
        files = sorted(folder.iterdir())
        uid = _study_of(files[0])
        first = files[:-_LATE] if kind == "late" else files
        self._store(self.archive, "SCANNER", first)
        self.sent[uid] = kind
        if kind != "plain":
            self.waiting.append((uid, folder))
        else:
            shutil.rmtree(folder)

    def follow_up(self) -> None:
        """Send what was waiting for a result that is back: late images, or all once more."""
        delivered = {job.study_instance_uid for job in self.jobs.records.find([State.DELIVERED])}
        for uid, folder in [one for one in self.waiting if one[0] in delivered]:
            files = sorted(folder.iterdir())
            if self.sent[uid] == "late":
                self._store(self.archive, "SCANNER", files[-_LATE:])
            else:
                self._store(self.port, "SOAK", files)
            self.waiting.remove((uid, folder))
            shutil.rmtree(folder)

    def open(self) -> int:
        """Studies that are under way: not all their images are here, or a job has not ended."""
        here: Counter[str] = Counter()
        for job in self.jobs.records.find():
            if job.state in ENDED:
                here[job.study_instance_uid] += job.instances
        return sum(here[uid] < _STUDY.slices for uid in self.sent)

    def ask(self) -> None:
        """Echo, health and figures, as a PACS and a monitor would."""
        to = ["-aet", "SOAK", "-aec", "GROUNDGLASS", "127.0.0.1", str(self.port)]
        if subprocess.run([_ECHOSCU, *to], check=False, capture_output=True).returncode:
            self.unanswered["echo"] += 1
        for path in ("healthz", "readyz", "metrics"):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.http}/{path}", timeout=10).read()
            except OSError:
                self.unanswered[path] += 1

    def sample(self, minute: float, node: Usage, share: float) -> Sample:
        """Measure."""
        data = self.work / "data"
        database = sum(path.stat().st_size for path in data.glob("jobs.sqlite*"))
        counts = self.jobs.records.counts()
        return Sample(
            minute, node.rss_mb, node.handles, node.threads, node.processes, database / 1024,
            _size(data) / 2**20, sum(counts[state] for state in ENDED), share,
        )  # fmt: skip

    def results(self) -> Counter[str]:
        """Structured reports in the archive, by Study Instance UID."""
        series = self._archive("series?expand")
        studies = {one["ID"]: one["MainDicomTags"] for one in self._archive("studies?expand")}
        found: Counter[str] = Counter()
        for one in series:
            if one["MainDicomTags"].get("Modality") == "SR":
                found[studies[one["ParentStudy"]]["StudyInstanceUID"]] += len(one["Instances"])
        return found

    def _archive(self, path: str) -> Any:
        url = f"http://127.0.0.1:{self.archive_http}/{path}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)

    def _store(self, port: int, ours: str, files: Sequence[Path]) -> None:
        called = "ORTHANC" if port == self.archive else "GROUNDGLASS"
        to = ["-aet", ours, "-aec", called, "127.0.0.1", str(port)]
        environment = {**os.environ, "TCP_NODELAY": "1"}
        command = [_STORESCU, *to, *map(str, files)]
        if subprocess.run(command, check=False, capture_output=True, env=environment).returncode:
            self.unanswered[f"store to {called}"] += 1


def _study_of(path: Path) -> str:
    from pydicom import dcmread  # noqa: PLC0415

    return str(dcmread(path, stop_before_pixels=True).StudyInstanceUID)


def _size(folder: Path) -> int:
    """Bytes of all files below; those that go meanwhile are left out."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def _orthanc_settings(run: Run) -> dict[str, object]:
    modality = {"AET": "GROUNDGLASS", "Host": "127.0.0.1", "Port": run.port}
    return {
        "StorageDirectory": str(run.work / "orthanc"),
        "IndexDirectory": str(run.work / "orthanc"),
        "HttpPort": run.archive_http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": "ORTHANC",
        "DicomPort": run.archive,
        "DicomModalities": {"groundglass": modality},
        "StableAge": 3,
        "Plugins": [str(_PLUGINS / "libOrthancGdcm.so")],
        "LuaScripts": [str(_FORWARD)],
    }


@contextmanager
def _process(command: Sequence[str], log: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server in a process of its own, ended at the end."""
    with log.open("wb") as file:
        running = subprocess.Popen(command, stdout=file, stderr=file)
        try:
            _await_start(running, port, log)
            yield running
        finally:
            running.terminate()
            running.wait(120)


def _await_start(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _DRAIN_S
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise RuntimeError(f"it does not start: {log.read_text('utf-8')[-500:]}")


@contextmanager
def _everything(work: Path, minutes: float) -> Iterator[tuple[Run, subprocess.Popen[bytes]]]:
    """An Orthanc, and a node beside it."""
    run = Run(work, free_port(), free_port(), free_port(), free_port())
    (work / "orthanc").mkdir()
    (work / "orthanc.json").write_text(json.dumps(_orthanc_settings(run)), "utf-8")
    days = max(minutes / 3, 15.0) / 24 / 60  # files go in the soak, not while a study is at work
    settings = _NODE.format(port=run.port, http=run.http, archive=run.archive, days=days)
    (work / "groundglass.toml").write_text(settings, "utf-8")
    serve = [sys.executable, "-m", "groundglass", "serve", "--config", f"{work}/groundglass.toml"]
    archive = [_ORTHANC, str(work / "orthanc.json")]
    with (
        _process(archive, work / "orthanc.log", run.archive),
        _process(serve, work / "node.log", run.port) as node,
    ):
        run.jobs = JobStore(f"sqlite:///{work / 'data' / 'jobs.sqlite'}")
        yield run, node
        run.jobs.close()


def soak(
    work: Path, minutes: float, share: float, tell: Callable[[Sample], None]
) -> tuple[Run, list[str]]:
    """Feed a node for so long, then wait until it is done; what was wrong at the end."""
    with _everything(work, minutes) as (run, node):
        begin, used = time.monotonic(), usage(os.getpid()).cpu_s
        number, sampled = 0, -_SAMPLE_S
        deadline = begin + 60 * minutes + _DRAIN_S
        while (now := time.monotonic()) < deadline:
            seconds = now - begin
            spent = (usage(os.getpid()).cpu_s - used) / max(seconds, 1.0)
            sending = seconds < 60 * minutes
            if sending and spent < share and run.open() < _OPEN:
                run.begin(number)
                number += 1
            run.follow_up()
            if seconds - sampled >= _SAMPLE_S:
                sampled = seconds
                run.ask()
                tell(run.sample(seconds / 60, usage(node.pid), spent))
            if node.poll() is not None:
                return run, [f"the node ended by itself ({node.returncode})"]
            if not sending and not run.open() and not run.waiting:
                break
            time.sleep(_LOOK_S)
        return run, faults(run)


def faults(run: Run) -> list[str]:
    """What is not as it should be at the end; empty if every study is there once a revision."""
    by_study: dict[str, list[Job]] = {}
    for job in run.jobs.records.find():
        by_study.setdefault(job.study_instance_uid, []).append(job)
    found = [f"{number} unanswered: {what}" for what, number in run.unanswered.items()]
    results = run.results()
    for uid, kind in run.sent.items():
        jobs = sorted(by_study.get(uid, []), key=lambda job: job.revision)
        delivered = [job for job in jobs if job.state is State.DELIVERED]
        wanted = 2 if kind == "late" else 1
        if len(delivered) != wanted or len(jobs) != wanted:
            states = [job.state.value for job in jobs]
            found.append(f"a study ({kind}) with {states} where {wanted} delivered were due")
        if results[uid] != len(delivered):
            found.append(f"a study ({kind}): {results[uid]} reports, {len(delivered)} delivered")
        if sum(job.instances for job in jobs) != _STUDY.slices:
            found.append(f"a study ({kind}) of {sum(job.instances for job in jobs)} images")
    return found


def table(samples: Sequence[Sample], rows: int = 12) -> str:
    """Samples from the first to the last, evenly, as Markdown; and how much memory grew."""
    step = max((len(samples) - 1) / (rows - 1), 1.0)
    shown = [samples[round(k * step)] for k in range(rows) if round(k * step) < len(samples)]
    lines = [
        "| minute | jobs ended | memory MB | handles | threads | processes | database KB | "
        "data folder MB | share of a core |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {one.minute:.1f} | {one.ended} | {one.rss_mb:.0f} | {one.handles} | {one.threads} "
            f"| {one.processes} | {one.database_kb:.0f} | {one.data_mb:.1f} | {one.share:.2f} |"
            for one in shown
        ),
    ]
    return "\n".join([*lines, "", growth(samples)])


def growth(samples: Sequence[Sample]) -> str:
    """Second and last quarter beside each other: the first quarter is for warming up."""
    quarter = max(len(samples) // 4, 1)
    parts = samples[quarter : 2 * quarter] or samples[-1:], samples[-quarter:]
    words = []
    for name, unit in (("rss_mb", "MB"), ("handles", "handles"), ("threads", "threads")):
        early, late = (statistics.median(getattr(one, name) for one in part) for part in parts)
        words.append(f"{early:.0f} → {late:.0f} {unit}")
    return f"Median of the second quarter → of the last one: {', '.join(words)}."


def plot(samples: Sequence[Sample], path: Path) -> None:
    """Draw everything over time."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    shown = {"rss_mb": "memory, MB", "handles": "file handles", "threads": "threads",
             "database_kb": "database, KB", "data_mb": "data folder, MB",
             "ended": "jobs ended"}  # fmt: skip
    figure = Figure(figsize=(11, 6), layout="constrained")
    for axes, (name, words) in zip(figure.subplots(2, 3).flat, shown.items(), strict=True):
        axes.plot([one.minute for one in samples], [getattr(one, name) for one in samples])
        axes.set(title=words, xlabel="minutes", ylim=(0, None))
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main() -> int:
    """Soak, print the table, leave samples and plot; 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--share", type=float, default=0.2, help="of one core, in all")
    parser.add_argument("--out", type=Path, default=Path("runs") / "soak")
    given = parser.parse_args()
    missing = [name for name in (_ORTHANC, _STORESCU, _ECHOSCU) if not Path(name).is_file()]
    if missing:
        print(f"needs {', '.join(missing)}: apt-get install orthanc orthanc-gdcm dcmtk")
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    work = Path(tempfile.mkdtemp(dir=given.out.resolve()))
    with (given.out / "samples.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(Sample.__dataclass_fields__))
        writer.writeheader()

        def tell(sample: Sample) -> None:
            samples.append(sample)
            writer.writerow(asdict(sample))
            file.flush()

        run, wrong = soak(work, given.minutes, given.share, tell)
    kinds = Counter(run.sent.values())
    words = [
        f"# A node for {samples[-1].minute:.0f} minutes, {cores()} cores",
        f"{len(run.sent)} studies of {_STUDY.words}: {kinds['plain']} plain, {kinds['late']} with "
        f"late images, {kinds['again']} sent again; {samples[-1].ended} jobs ended.",
        table(samples),
        "\n".join(wrong) or "Every study has one result a revision, of all its images.",
    ]
    (given.out / "soak.md").write_text("\n\n".join(words) + "\n", "utf-8")
    print("\n\n".join(words))
    plot(samples, given.out / "soak.png")
    if not wrong:
        shutil.rmtree(work)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
