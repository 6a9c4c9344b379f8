"""A worker: takes a job, has it analysed, delivers its report; one job after the other."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat

from groundglass.core.analysis import Analysis, Completeness
from groundglass.core.atomic_files import out_of_room
from groundglass.core.result import Outcome
from groundglass.node.inbound.spool import Spool
from groundglass.node.logs import node_log
from groundglass.node.metrics import Metrics
from groundglass.node.outbound.delivery import Courier, Undelivered
from groundglass.node.queue.facts import as_values
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import DatabaseDown, Job, LeaseLost, State
from groundglass.node.rules import Rules
from groundglass.node.worker.analyser import (
    Analyser,
    AnalysisFailed,
    AnalysisStopped,
    NoRoom,
    Work,
)
from groundglass.node.worker.replaced import replaced_by
from groundglass.settings.toml import settings

_LOG = node_log("worker")

#: How a job ends once its report is delivered, by the outcome; any other is refused.
_END: Mapping[str, State] = {
    Outcome.VERDICT: State.DELIVERED,
    Outcome.GIVEN_UP: State.FAILED,
}
#: Heartbeats within one lease: two may go missing.
_BEATS = 3
#: Wait before work that a full disk stopped is begun again, in s.
_AGAIN_S = 60.0


@settings
class WorkerSettings:
    """How the work is shared out."""

    count: NonNegativeInt = 1
    """Studies analysed at once by this process. 1: one analysis uses all cores. 0: this machine
    only receives."""
    lease_s: PositiveFloat = 60.0
    """A job whose worker has given no sign of life for so long is taken over, in s. 60."""
    poll_s: PositiveFloat = 1.0
    """How often an idle worker looks for work, and how often quiet studies are looked for, in s.
    1."""
    stop_grace_s: NonNegativeFloat = 60.0
    """After a SIGTERM, how long running work may take to end before it is given back, in s. 60: a
    usual analysis ends within it. The service manager must wait longer than this."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What workers of one process share."""

    spool: Spool
    """The files."""
    jobs: JobStore
    """The jobs."""
    rules: Rules
    """Where results go."""
    courier: Courier
    """Brings them there."""
    metrics: Metrics
    """Counts and times."""


class Worker:
    """Works on one job at a time, in one thread.

    Its name is unique among all workers on the database, for the record; its analyser is its own.
    """

    def __init__(
        self, name: str, context: WorkerContext, analyser: Analyser, settings: WorkerSettings
    ) -> None:
        self.name = name
        self._context = context
        self._analyser = analyser
        self._settings = settings
        self._halted = threading.Event()
        self._job: Job | None = None
        self._owed: tuple[Job, str] | None = None

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; the job in hand is ended first.

        Raises
        ------
        AnalysisFailed
            The networks cannot be loaded: better no worker than one that fails every study.
        """
        try:
            self._analyser.check()
            while not stop.is_set():
                try:
                    worked = self.work_once()
                except DatabaseDown as error:
                    _LOG.error("database down", found=error.found)
                    worked = False
                if not worked:
                    stop.wait(self._settings.poll_s)
        finally:
            self._analyser.close()

    def halt(self) -> None:
        """Break off the job in hand, from another thread, and give it back."""
        self._halted.set()
        self._analyser.stop()
        job = self._job
        if job is not None and job.state is State.DELIVERING:
            with suppress(LeaseLost, DatabaseDown):  # what it records from now on does not count
                self._context.jobs.leases.release(job, "the node stops")

    def work_once(self) -> bool:
        """Take one job as far as it goes; whether there was one.

        Raises
        ------
        DatabaseDown
            What was being done is done again when the lease has run out.
        """
        self._settle()
        job = self._context.jobs.leases.take(self.name, self._settings.lease_s)
        if job is None:
            return False
        self._job = job
        try:
            with self._heartbeat(job.id):
                self._work(job)
        except LeaseLost:
            self._log("lease lost", job)
        finally:
            self._job = None
        return True

    def _work(self, job: Job) -> None:
        try:
            if job.state is State.ANALYSING:
                job = self._job = self._analyse(job)
            if job.state is State.DELIVERING:
                self._deliver(job)
        except AnalysisStopped:  # on halting, or because the lease is lost
            if self._halted.is_set():
                self._context.jobs.leases.release(job, "the node stops")
                self._log("released", job)
        except DatabaseDown as error:  # on a full disk it is the first to fail
            self._owed = (job, error.found)
            raise
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  (a defect met here must not stop all the others)
            self._not_done(job, error)

    def _not_done(self, job: Job, error: Exception) -> None:
        """Enter why the work on a job came to nothing."""
        if isinstance(error, NoRoom) or out_of_room(error):
            self._postpone(job, error.found if isinstance(error, NoRoom) else "a full disk")
        elif isinstance(error, Undelivered):
            self._fail(job, error.found, error.missing)
        elif isinstance(error, AnalysisFailed):
            self._fail(job, error.found)
        elif isinstance(error, OSError):  # as a file taken away by hand
            self._fail(job, error.strerror or type(error).__name__)
        else:
            _LOG.exception("something unforeseen happened", exc_info=error, job=job.id)
            self._fail(job, f"{type(error).__name__}, a defect in groundglass: please report it")

    def _fail(self, job: Job, reason: str, missing: Mapping[str, str] | None = None) -> None:
        """Enter that a try failed, and say why; `missing` by destination, where that is known."""
        self._context.metrics.failure(job.state)
        failed = self._context.jobs.leases.fail(job, reason)
        event = "dead letter" if failed.state is State.FAILED else "try failed"
        if not missing:
            self._warn(event, failed, reason=reason)
        for destination, words in (missing or {}).items():
            self._warn(event, failed, destination=destination, reason=words)

    def _postpone(self, job: Job, reason: str) -> None:
        """Give a job back that is not to blame, so that no try of its is spent."""
        self._owed = (job, reason)
        self._settle()

    def _settle(self) -> None:
        """Enter a postponement; what the database does not take is tried before the next job."""
        if self._owed is None:
            return
        job, reason = self._owed
        with suppress(LeaseLost):  # another worker has it by now
            back = self._context.jobs.leases.postpone(job, reason, _AGAIN_S)
            self._warn("postponed", back, reason=reason)
        self._owed = None

    def _analyse(self, job: Job) -> Job:
        """Have it analysed; the job, delivering."""
        context = self._context
        whole = context.spool.job_folder(job.study_instance_uid, job.revision)
        folder = whole / f"attempt-{job.attempt}"
        study = context.spool.gather(context.jobs.records.files_of(job), folder / "study")
        report = folder / "report"
        report.mkdir()
        self._log("analysing", job)
        work = Work(study, report, self._this_analysis(job))
        try:
            end = self._analyser.analyse(work)
        except AnalysisFailed as error:
            if job.failures + 1 < context.jobs.settings.tries(job.state):
                raise
            report = folder / "given-up"  # in the other one the analysis may have left something
            report.mkdir()
            context.metrics.failure(job.state)
            end = self._analyser.analyse(replace(work, out=report, given_up=error.found))
        shutil.rmtree(study)
        place = report.relative_to(context.spool.root).as_posix()
        job = context.jobs.leases.report(job, place, end.outcome.value, end.reason)
        for earlier in whole.iterdir():
            if earlier != folder:
                shutil.rmtree(earlier, ignore_errors=True)
        context.metrics.outcome(end.outcome.value)
        context.metrics.stages(end.stages)
        self._log("analysed", job, outcome=end.outcome.value, seconds=end.seconds)
        return job

    def _this_analysis(self, job: Job) -> Analysis:
        """Which analysis of the study this is."""
        context = self._context
        at = datetime.fromtimestamp(context.jobs.clock.now(), UTC).astimezone()
        earlier = context.jobs.records.results_before(job)
        return Analysis(
            at,
            job.revision,
            Completeness(job.completeness or Completeness.NOT_VERIFIED),
            json.loads(job.missing or "{}"),
            replaced_by(earlier, context.spool.root),
        )

    def _deliver(self, job: Job) -> None:
        context = self._context
        names = context.rules.destinations(
            job.source_ae, job.study_description, as_values(job.facts)
        )
        begin = context.jobs.clock.now()
        context.courier.deliver(job, context.spool.root / job.report, names)
        now = context.jobs.clock.now()
        state = _END.get(job.outcome, State.REFUSED)
        job = context.jobs.leases.finish(job, state, job.reason)
        context.metrics.stages({"deliver": now - begin})
        context.metrics.ended(now - job.arrived_at)
        self._log(state.value, job, destinations=names, seconds=now - begin)

    @contextmanager
    def _heartbeat(self, job_id: int) -> Iterator[None]:
        """Within, the lease is renewed; when it is lost, the analysis is broken off."""
        done = threading.Event()

        def beat() -> None:
            while not done.wait(self._settings.lease_s / _BEATS):
                job = self._job
                try:
                    if job is not None:
                        self._context.jobs.leases.renew(job, self._settings.lease_s)
                except LeaseLost:
                    self._analyser.stop()
                    return
                except DatabaseDown:
                    _LOG.warning("heartbeat missed", job=job_id)

        thread = threading.Thread(target=beat, name=f"heartbeat of job {job_id}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _log(self, event: str, job: Job, **more: object) -> None:
        """One line on a job; its reason stays in the table, as it may quote a description."""
        _LOG.info(event, **self._fields(job), **more)  # type: ignore[arg-type]  # none of logging's

    def _warn(self, event: str, job: Job, **more: object) -> None:
        """One line on a job that did not get on; what is said of that quotes nothing of a study."""
        _LOG.warning(event, **self._fields(job), **more)  # type: ignore[arg-type]

    def _fields(self, job: Job) -> dict[str, object]:
        return {
            "job": job.id,
            "study": self._context.spool.pseudonyms.of(job.study_instance_uid),
            "revision": job.revision,
            "attempt": job.attempt,
            "state": job.state.value,
            "failures": job.failures,
            "worker": self.name,
        }
