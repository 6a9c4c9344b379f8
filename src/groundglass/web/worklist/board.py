"""The worklist: the last revision of each study, and what is to be told of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from groundglass.node.assembly import Stores
from groundglass.node.queue.forecast import AHEAD, results_expected
from groundglass.node.queue.states import Job, State
from groundglass.web.people.users import User
from groundglass.web.readings.readings import Reading, Readings
from groundglass.web.slices.desk import SliceDesk
from groundglass.web.slices.tasks import Identify, Identity, StudySource
from groundglass.web.worklist.order import Need, Standing
from groundglass.web.worklist.stored_result import StoredResult

#: Jobs looked at; what ended longest ago falls out.
_MOST_JOBS = 1000
#: Results and identities kept in memory; and lists of files, of studies that are being looked at.
_KEPT, _KEPT_SOURCES = 2000, 16
#: Forecasts hold for so long, in s: each looks into the files of every waiting study.
_FORECAST_S = 15.0
#: States after which a report is there.
REPORTED = frozenset({State.REPORTED, State.DELIVERING, State.DELIVERED, State.REFUSED})


_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class BoardSettings:
    """How the list is kept."""

    waiting_limit_s: float
    """Unread for so long, a study goes first."""
    workers: int
    """Studies analysed at once."""
    blind: bool
    """Whether verdicts show only after a reading."""


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study as a reader sees it in the list."""

    job: Job
    identity: Identity
    result: StoredResult | None
    """None where there is none, or where it must not be shown yet."""
    need: Need
    waited_s: float
    """Since its last image came."""
    expected_at: float | None
    """When its result is expected, if it is not there; s since 1970-01-01 UTC."""
    readings: tuple[Reading, ...]
    """The last of each reader, of the study as it is now."""
    changed: bool
    """Whether it was read before it changed, and not since."""
    hidden: bool
    """Whether there is a verdict, not shown before this reader's own reading."""


class Board:
    """Reads the tables and reports; changes nothing."""

    def __init__(
        self, stores: Stores, desk: SliceDesk, readings: Readings, settings: BoardSettings
    ) -> None:
        self._stores = stores
        self._desk = desk
        self._readings = readings
        self._settings = settings
        self._results = _Kept[StoredResult | None](_KEPT)
        self._identities = _Kept[Identity](_KEPT)
        self._sources = _Kept[StudySource](_KEPT_SOURCES)
        self._forecast: tuple[float, dict[int, float]] = (float("-inf"), {})
        self._lock = threading.Lock()
        self._ready: set[str] = set()

    def rows(self, user: User) -> list[StudyRow]:
        """Every study that has files, in the order in which a reader should look."""
        jobs = self._latest()
        now = self._stores.jobs.clock.now()
        expected = self._expected(jobs, now)
        read = self._readings.of_studies({job.study_instance_uid for job in jobs})
        placed = []
        for job in jobs:
            said = read.get(job.study_instance_uid, [])
            row, standing = self._row(job, said, user, now)
            placed.append((standing.place(now, self._settings.waiting_limit_s), row))
        placed.sort(key=lambda one: (one[0], one[1].job.id))
        return [_expecting(row, expected.get(row.job.id)) for _, row in placed]

    def row(self, job: Job, user: User) -> StudyRow:
        """One study."""
        now = self._stores.jobs.clock.now()
        said = self._readings.of_study(job.study_instance_uid)
        row, _ = self._row(job, said, user, now)
        return _expecting(row, self._expected([job], now).get(job.id))

    def source(self, job: Job) -> StudySource:
        """Where its files and its report lie."""

        def ask() -> StudySource:
            root = self._stores.spool.root
            files = tuple(root / name for name in self._stores.jobs.records.files_of(job))
            return StudySource(files, root / job.report)

        return self._sources.get(job.report, ask)

    def result(self, job: Job) -> StoredResult | None:
        """Its result, shown or not."""
        if not job.report or job.state not in REPORTED:
            return None
        folder = self._stores.spool.root / job.report
        return self._results.get(job.report, lambda: StoredResult.read(folder))

    def latest_of(self, job: Job) -> Job:
        """The last revision of the study a job is of."""
        mine = [one for one in self._latest() if one.study_instance_uid == job.study_instance_uid]
        return mine[0] if mine else job

    def make_ready(self) -> None:
        """Have what came in since the last time ready to be opened."""
        new = [job for job in self._latest() if job.report not in self._ready]
        for job in reversed(new):  # what stands first is open last, and stays so
            result = self.result(job)
            if result is not None and result.shape[0] > 1:
                self._desk.open(self.source(job))
        self._ready.update(job.report for job in new)

    def pulse(self) -> tuple[object, ...]:
        """What differs as soon as the list does: who asks often asks this first."""
        jobs = self._latest()
        read = self._readings.of_studies({job.study_instance_uid for job in jobs})
        said = tuple(sorted((uid, len(some)) for uid, some in read.items()))
        return (tuple((j.id, j.state, j.changed_at, j.instances) for j in jobs), said)

    def _latest(self) -> list[Job]:
        latest: dict[str, Job] = {}
        for job in self._stores.jobs.records.find(limit=_MOST_JOBS):
            there = latest.get(job.study_instance_uid)
            if there is None or job.revision > there.revision:
                latest[job.study_instance_uid] = job
        return [job for job in latest.values() if not job.files_purged]

    def _row(
        self, job: Job, said: Sequence[Reading], user: User, now: float
    ) -> tuple[StudyRow, Standing]:
        current = {one.user_id: one for one in said if _is_of(one, job)}
        result = self.result(job)
        judged = result is not None and result.verdict is not None
        hidden = self._settings.blind and judged and user.id not in current
        shown = None if hidden else result
        standing = Standing(
            read=bool(current) and job.state in REPORTED,
            ended=job.state not in AHEAD,
            findings=shown.findings if shown is not None and shown.verdict else None,
            hidden=hidden,
            priority=job.priority,
            waiting_since=job.arrived_at,
        )
        row = StudyRow(
            job=job,
            identity=self._identity(job),
            result=shown,
            need=standing.need(now, self._settings.waiting_limit_s),
            waited_s=max(0.0, now - job.arrived_at),
            expected_at=None,
            readings=tuple(current.values()),
            changed=bool(said) and not current,
            hidden=hidden,
        )
        return row, standing

    def _identity(self, job: Job) -> Identity:
        def ask() -> Identity:
            files = self._stores.jobs.records.files_of(job)
            if not files:
                return Identity()
            return self._desk.identity(Identify(self._stores.spool.root / files[0]))

        return self._identities.get(f"{job.id}", ask)

    def _expected(self, jobs: Sequence[Job], now: float) -> dict[int, float]:
        if not any(job.state in AHEAD for job in jobs):
            return {}
        with self._lock:
            at, found = self._forecast
            if not 0 <= now - at < _FORECAST_S:
                root, workers = self._stores.spool.root, max(1, self._settings.workers)
                found = results_expected(self._stores.jobs, root, workers)
                self._forecast = (now, found)
            return found


def _is_of(reading: Reading, job: Job) -> bool:
    """Whether a reading is of a study as it is now."""
    return (reading.job_id, reading.report) == (job.id, job.report)


def _expecting(row: StudyRow, at: float | None) -> StudyRow:
    return row if at is None else replace(row, expected_at=at)


class _Kept(Generic[_Value]):
    """What was read last, by name."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, _Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str, make: Callable[[], _Value]) -> _Value:
        """What has this name; made where it is not there."""
        with self._lock:
            if name in self._values:
                self._values.move_to_end(name)
                return self._values[name]
        made = make()
        with self._lock:
            self._values[name] = made
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return made
