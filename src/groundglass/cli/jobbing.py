"""The whole of `groundglass jobs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from groundglass.cli.console import Terminal, spinner
from groundglass.cli.failures import ExitCode
from groundglass.errors import ReadError, SettingsError
from groundglass.node.assembled import Stores
from groundglass.node.inbound.intake import Intake
from groundglass.node.inbound.retrieve import SourceSettings, open_source
from groundglass.node.metrics import Metrics
from groundglass.node.queue.forecast import AHEAD, results_expected
from groundglass.node.queue.states import Job, Priority, State
from groundglass.node.retention import Retention
from groundglass.node.rules import Rules
from groundglass.node.settings import NodeSettings, load_settings

#: Ends that need a reason.
_EXPLAINED = (State.FAILED, State.REFUSED, State.SUPERSEDED)
_STYLES = {State.FAILED: "bold red", State.REFUSED: "yellow", State.DELIVERED: "green"}


def list_jobs(config: Path, state: str | None, limit: int) -> None:
    """Print one line a job, the most urgent first; for those ahead, when a result is expected.

    Parameters
    ----------
    config : Path
        The node's settings.
    state : str or None
        Only jobs in it; None for all.
    limit : int
        At most so many.
    """
    terminal = Terminal()
    with _stores(config) as (stores, settings):
        wanted = tuple(State) if state is None else (State(state),)
        found = stores.jobs.find(wanted, limit)
        expected = _expected(found, stores, settings)
        for job in found:
            terminal.print(_line(job, stores, expected.get(job.id)), _STYLES.get(job.state, ""))
        counts = stores.jobs.counts()
    shown = f"{len(found)} of {sum(counts[one] for one in wanted)} jobs"
    terminal.print(f"{shown}; all: " + ", ".join(f"{n} {name}" for name, n in counts.items() if n))


def show_job(config: Path, job_id: int) -> None:
    """Print everything on one job.

    Raises
    ------
    SettingsError
        There is no such job.
    """
    terminal = Terminal()
    with _stores(config) as (stores, settings):
        job = stores.jobs.get(job_id)
        terminal.heading(f"Job {job.id}: {job.state}")
        for name, value in _facts(job, stores):
            terminal.print(f"  {name:<12} {value}")
        for at in _expected([job], stores, settings).values():
            terminal.print(f"  {'result':<12} expected {_time(at)}")
        terminal.heading("Way")
        for entry in stores.jobs.audit_of(job):
            who = f"attempt {entry.attempt}, {entry.worker}: " if entry.attempt else ""
            terminal.print(f"  {_time(entry.at)}  {entry.after:<10} {who}{entry.reason}")
        for destination, files in stores.jobs.deliveries_of(job).items():
            terminal.heading(f"Destination {destination}")
            for record in files:
                terminal.print(f"  {record.status:<10} {record.file}  {record.detail}".rstrip())


def retry_jobs(config: Path, job_ids: Sequence[int]) -> None:
    """Let jobs begin again.

    Raises
    ------
    SettingsError
        One is not there, has not ended, or has no files any more; those before it begin again.
    """
    terminal = Terminal()
    with _stores(config) as (stores, _):
        for job_id in job_ids:
            terminal.print(f"job {job_id} {stores.jobs.retry(job_id).state}")


def bump_jobs(config: Path, job_ids: Sequence[int], priority: str) -> None:
    """Give jobs another priority.

    Raises
    ------
    SettingsError
        One is not there; those before it have it.
    """
    terminal = Terminal()
    with _stores(config) as (stores, _):
        for job_id in job_ids:
            stores.jobs.bump(job_id, Priority[priority.upper()])
            terminal.print(f"job {job_id} {priority}")


def fetch_study(config: Path, study_instance_uid: str, name: str | None) -> None:
    """Fetch a study from an archive of the settings; a worker of the node takes it from there.

    Raises
    ------
    SettingsError
        There is no such archive, or the UID is none.
    GroundglassError
        The archive cannot be asked, has no CT images of it, or not all came.
    """
    terminal = Terminal()
    with _stores(config) as (stores, settings):
        chosen = _source(settings, name)
        rules = Rules(settings.rules, tuple(one.name for one in settings.destinations))
        metrics = Metrics(stores.jobs, stores.spool)
        intake = Intake(stores.spool, stores.jobs, rules, metrics)
        with spinner(f"Fetching from {chosen.name}"):
            result = open_source(chosen).fetch(study_instance_uid, intake)
        for reason, count in result.passed_over.items():
            terminal.print(f"{count} instances passed over: {reason}", "yellow")
        if not result.taken:
            raise ReadError(
                f"no CT image of this study at {chosen.name}",
                expected="a study with CT images",
                action="Check the UID, and what our AE title may fetch there.",
            )
        intake.ended(study_instance_uid)
        terminal.print(
            f"{result.taken} instances of the study are here; `groundglass jobs list` shows it"
        )


def _source(settings: NodeSettings, name: str | None) -> SourceSettings:
    wanted = [one for one in settings.sources if name in (None, one.name)]
    if len(wanted) == 1:
        return wanted[0]
    known = ", ".join(one.name for one in settings.sources) or "none is defined"
    raise SettingsError(
        f"{len(wanted)} archives" + ("" if name is None else f" called {name!r}"),
        expected=f"one of [[sources]] ({known})",
        action="Name one with --from, or add it to the settings.",
    )


def purge_jobs(config: Path, job_ids: Sequence[int]) -> ExitCode:
    """Delete the files of jobs' studies, all revisions.

    Returns
    -------
    ExitCode
        CANNOT if instances were coming in for one of them.

    Raises
    ------
    SettingsError
        One is not there, or has not ended; those before it are purged.
    """
    terminal = Terminal()
    code = ExitCode.DONE
    with _stores(config) as (stores, settings):
        retention = Retention(stores.spool, stores.jobs, settings.retention)
        for job_id in job_ids:
            if retention.purge(stores.jobs.get(job_id).study_instance_uid):
                terminal.print(f"job {job_id}: the files of its study are deleted")
            else:
                terminal.print(
                    f"job {job_id}: instances are coming in for its study; try again", "red"
                )
                code = ExitCode.CANNOT
    return code


@contextmanager
def _stores(config: Path) -> Iterator[tuple[Stores, NodeSettings]]:
    settings = load_settings(config)
    stores = Stores.open(settings)
    try:
        yield stores, settings
    finally:
        stores.jobs.close()


def _expected(found: Sequence[Job], stores: Stores, settings: NodeSettings) -> dict[int, float]:
    """When a result is expected of each of these jobs that has none yet."""
    ahead = {job.id for job in found if job.state in AHEAD}
    if not ahead:
        return {}
    workers = max(1, settings.worker.count)
    expected = results_expected(stores.jobs, stores.spool.root, workers)
    return {job_id: at for job_id, at in expected.items() if job_id in ahead}


def _line(job: Job, stores: Stores, expected: float | None) -> str:
    study = stores.spool.pseudonyms.of(job.study_instance_uid)
    urgent = f"  {_priority(job)}" if job.priority else ""
    when = f"  result expected {_time(expected)}" if expected is not None else ""
    why = f"  {job.reason}" if job.state in _EXPLAINED or job.failures else ""
    return (
        f"{job.id:>6}  {job.state:<10} {_time(job.changed_at)}  {study} revision {job.revision}, "
        f"{job.instances} instances from {job.source_ae}{urgent}{when}{why}"
    )


def _facts(job: Job, stores: Stores) -> Iterator[tuple[str, object]]:
    yield "study", stores.spool.pseudonyms.of(job.study_instance_uid) + "  (its name in the log)"
    yield "UID", job.study_instance_uid
    yield "revision", f"{job.revision}, {job.instances} instances from {job.source_ae}"
    yield "priority", _priority(job)
    yield "last image", _time(job.arrived_at)
    if job.reason:
        yield "reason", job.reason
    if job.outcome:
        yield "outcome", job.outcome
    if job.report:
        yield "report", stores.spool.root / job.report
    if job.failures:
        yield "failures", f"{job.failures}; not tried again before {_time(job.not_before)}"
    if job.files_purged:
        yield "files", "deleted by retention"


def _priority(job: Job) -> str:
    names = {priority.value: priority.name.lower() for priority in Priority}
    return names.get(job.priority, str(job.priority))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
