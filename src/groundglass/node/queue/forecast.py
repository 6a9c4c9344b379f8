"""When the result of each waiting study will be there.

Nothing is entered into the job table for it: durations are read off the audit trail, sizes off the
files that are still there, and the queue is played through as the workers would take it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundglass.errors import ReadError
from groundglass.node.queue.estimate import TWO_CORES, CostModel, Observation, StudySize
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import AuditEntry, Job, State
from groundglass.read.dicom.headers.ct_header import CtHeader
from groundglass.read.dicom.headers.dataset import NATIVE_SYNTAXES
from groundglass.read.dicom.headers.header import read_header
from groundglass.read.sources import Entry, Sources

#: Ended jobs that are learnt from: enough for every kind of study a scanner makes.
_LEARNT_FROM = 40
#: A job in one of these has no result yet, and will have one if all goes well.
AHEAD = (State.ANALYSING, State.READY, State.RECEIVED)


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A study whose analysis has not ended."""

    job_id: int
    """Its job."""
    seconds: float
    """How long its analysis is expected to take."""
    ready_at: float
    """When it may begin, or began; s since 1970-01-01 UTC."""
    begun: bool
    """Whether a worker has it."""


def results_expected(jobs: JobStore, spool_root: Path, workers: int) -> dict[int, float]:
    """When each result will be on disk, by job; s since 1970-01-01 UTC.

    Only of jobs that wait for their analysis or are in it, and whose files can be read. `workers`
    are the studies analysed at once, at least 1, on all machines of the node together.
    """
    model = learnt(jobs, spool_root)
    pending = []
    for job in jobs.records.find(AHEAD):
        size = size_of([spool_root / name for name in jobs.records.files_of(job)])
        if size is not None:
            pending.append(_pending(job, model.predict(size), jobs.settings.quiet_s))
    return simulate_queue(pending, jobs.clock.now(), workers)


def learnt(jobs: JobStore, spool_root: Path) -> CostModel:
    """The cost model of this node, from its latest analyses whose files are still there."""
    observations = []
    for job in jobs.records.find((State.DELIVERED, State.REPORTED, State.DELIVERING), _LEARNT_FROM):
        seconds = analysis_seconds(jobs.records.audit_of(job))
        size = None
        if seconds and not job.files_purged:
            size = size_of([spool_root / name for name in jobs.records.files_of(job)])
        if seconds and size is not None:
            observations.append(Observation(size, seconds))
    return TWO_CORES.fitted(observations)


def analysis_seconds(way: Sequence[AuditEntry]) -> float | None:
    """How long the last analysis of a job took that came to its end; None if none did."""
    begun = None
    seconds = None
    for entry in way:
        if entry.after == State.ANALYSING:
            begun = entry.at
        elif entry.after == State.REPORTED and entry.before == State.ANALYSING:
            seconds = entry.at - begun if begun is not None else None
    return seconds


def size_of(files: Sequence[Path]) -> StudySize | None:
    """The size of a study, every image taken to be like the first that can be read, if any can."""
    for header in _headers(files):
        compressed = header.transfer_syntax_uid not in NATIVE_SYNTAXES
        slices = len(files) * header.number_of_frames
        return StudySize(slices, header.rows, header.columns, compressed)
    return None


def _headers(files: Iterable[Path]) -> Iterable[CtHeader]:
    with Sources() as sources:
        for path in files:
            try:
                entry = Entry(path, None, path.name, path.stat().st_size)
                yield read_header(entry, sources).header
            except (ReadError, OSError):
                continue


def _pending(job: Job, seconds: float, quiet_s: float) -> PendingJob:
    """From where it is on its way: complete after the quiet time, waiting, or begun."""
    if job.state is State.RECEIVED:
        return PendingJob(job.id, seconds, job.arrived_at + quiet_s, begun=False)
    if job.state is State.READY:
        return PendingJob(job.id, seconds, job.not_before, begun=False)
    return PendingJob(job.id, seconds, job.changed_at, begun=True)


def simulate_queue(pending: Iterable[PendingJob], now: float, workers: int) -> dict[int, float]:
    """When each analysis ends, by job, if the workers take the most urgent first, as given.

    Never before now, however long an analysis takes already.
    """
    pending = list(pending)
    ends = {one.job_id: max(one.ready_at + one.seconds, now) for one in pending if one.begun}
    free = sorted([*ends.values(), *[now] * max(0, workers - len(ends))])
    heapq.heapify(free)
    waiting = [one for one in pending if not one.begun]
    while waiting:
        at = heapq.heappop(free)
        # What is not complete yet lets what is go first, however urgent it is.
        first = next((k for k, one in enumerate(waiting) if one.ready_at <= at), None)
        if first is None:
            first = min(range(len(waiting)), key=lambda k: waiting[k].ready_at)
        one = waiting.pop(first)
        ends[one.job_id] = max(at, one.ready_at) + one.seconds
        heapq.heappush(free, ends[one.job_id])
    return ends
