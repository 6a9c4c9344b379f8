"""`groundglass jobs`: what a node is working on, and what people may do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from groundglass.cli.commands.serve import ConfigFile
from groundglass.cli.extras import need
from groundglass.cli.failures import ExitCode
from groundglass.core.choices import PriorityName
from groundglass.errors import ReadError, SettingsError

if TYPE_CHECKING:
    from groundglass.node.assembly import Stores
    from groundglass.node.inbound.intake import Intake
    from groundglass.node.inbound.sources import SourceSettings
    from groundglass.node.queue.states import Job
    from groundglass.node.settings import NodeSettings

#: The names of `State` in `node.queue.states`, whose import would slow `--help`.
StateName = Literal[
    "received", "ready", "analysing", "reported", "delivering", "delivered", "refused",
    "superseded", "failed",
]  # fmt: skip
#: Ends that need a reason.
_EXPLAINED = ("failed", "refused", "superseded")
_STYLES = {"failed": "bold red", "refused": "yellow", "delivered": "green"}

_HELP = (
    "List, show and change the jobs of a node, upgrade, copy and check their table; it may be "
    "running meanwhile. "
    "A job is one revision of one study on its way: received, ready, analysing, reported, "
    "delivering, then delivered, refused (no verdict, and why), superseded (more images came "
    "before anything went out) or failed (a dead letter)."
)
_EPILOG = """[bold]Examples[/bold]

  groundglass jobs list --config groundglass.toml --state failed

  groundglass jobs show 17 --config groundglass.toml

  groundglass jobs retry 17 18 --config groundglass.toml

[bold]Exit codes[/bold]  0 done · 1 could not be done, the reason is printed · 2 wrong use, or \
there is no such job"""

JobNumber = Annotated[int, typer.Argument(metavar="JOB", show_default=False, help="Its number.")]
JobNumbers = Annotated[
    list[int], typer.Argument(metavar="JOB…", show_default=False, help="Their numbers.")
]


app = typer.Typer(
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def _begin() -> None:
    need("sqlalchemy", "serve")
    from groundglass.node.private_files import keep_private

    keep_private()


@app.command("list")
def list_jobs(
    config: ConfigFile,
    state: Annotated[
        StateName | None,
        typer.Option("--state", show_default="any", help="Only jobs in this state."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
) -> None:
    """List jobs: the most urgent first, then what ended."""
    from groundglass.cli.console import Terminal
    from groundglass.node.queue.states import State

    terminal = Terminal()
    with _stores(config) as (stores, settings):
        wanted = tuple(State) if state is None else (State(state),)
        found = stores.jobs.records.find(wanted, limit)
        expected = _expected(found, stores, settings)
        for job in found:
            terminal.print(_line(job, stores, expected.get(job.id)), _STYLES.get(job.state, ""))
        counts = stores.jobs.records.counts()
    shown = f"{len(found)} of {sum(counts[one] for one in wanted)} jobs"
    terminal.print(f"{shown}; all: " + ", ".join(f"{n} {name}" for name, n in counts.items() if n))


@app.command()
def show(job: JobNumber, config: ConfigFile) -> None:
    """Show a job, its way so far and how far each file got."""
    from groundglass.cli.console import Terminal

    terminal = Terminal()
    with _stores(config) as (stores, settings):
        found = stores.jobs.records.get(job)
        terminal.heading(f"Job {found.id}: {found.state}")
        for name, value in _facts(found, stores):
            terminal.print(f"  {name:<12} {value}")
        for at in _expected([found], stores, settings).values():
            terminal.print(f"  {'result':<12} expected {_time(at)}")
        terminal.heading("Way")
        for entry in stores.jobs.records.audit_of(found):
            who = entry.actor or entry.worker
            attempt = f"attempt {entry.attempt}, " if entry.attempt else ""
            by = f"{attempt}{who}: " if attempt or who else ""
            terminal.print(f"  {_time(entry.at)}  {entry.after:<10} {by}{entry.reason}")
        for destination, files in stores.jobs.records.deliveries_of(found).items():
            terminal.heading(f"Destination {destination}")
            for record in files:
                terminal.print(f"  {record.status:<10} {record.file}  {record.detail}".rstrip())


@app.command()
def retry(jobs: JobNumbers, config: ConfigFile) -> None:
    """Let jobs that failed, or ended otherwise, begin again."""
    from groundglass.cli.console import Terminal
    from groundglass.node.queue.actors import person

    terminal = Terminal()
    with _stores(config) as (stores, _):
        for job_id in jobs:
            terminal.print(f"job {job_id} {stores.jobs.operator.retry(job_id, person()).state}")


@app.command()
def bump(
    jobs: JobNumbers,
    config: ConfigFile,
    priority: Annotated[
        PriorityName, typer.Option("--priority", help="Their priority from now on.")
    ] = "emergency",
) -> None:
    """Give jobs another priority; a waiting retry begins at once."""
    from groundglass.cli.console import Terminal
    from groundglass.node.queue.actors import person
    from groundglass.node.queue.states import Priority

    terminal = Terminal()
    with _stores(config) as (stores, _):
        for job_id in jobs:
            stores.jobs.operator.bump(job_id, Priority[priority.upper()], person())
            terminal.print(f"job {job_id} {priority}")


@app.command()
def fetch(
    study: Annotated[
        str,
        typer.Argument(metavar="STUDY", show_default=False, help="Its Study Instance UID."),
    ],
    config: ConfigFile,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            show_default="the only one",
            help="The archive, as [[sources]] in the settings call it.",
        ),
    ] = None,
) -> None:
    """Fetch a study from an archive; it becomes a job."""
    from groundglass.cli.console import Terminal, spinner
    from groundglass.node.inbound.sources import open_source
    from groundglass.node.queue.actors import Act, person

    terminal = Terminal()
    with _stores(config) as (stores, settings):
        chosen = _source(settings, source)
        intake = _intake(stores, settings)
        with spinner(f"Fetching from {chosen.name}"):
            result = open_source(chosen).fetch(study, intake)
        for reason, count in result.passed_over.items():
            terminal.print(f"{count} instances passed over: {reason}", "yellow")
        if not result.taken:
            raise ReadError(
                f"no CT image of this study at {chosen.name}",
                expected="a study with CT images",
                action="Check the UID, and what our AE title may fetch there.",
            )
        if result.whole:
            intake.ended(study)
        act = Act(person(), f"{result.taken} instances fetched from {chosen.name}")
        stores.jobs.operator.note(study, act)
        terminal.print(
            f"{result.taken} instances of the study are here; `groundglass jobs list` shows it"
        )


@app.command()
def purge(jobs: JobNumbers, config: ConfigFile) -> None:
    """Delete the files of jobs' studies; the record stays."""
    from groundglass.cli.console import Terminal
    from groundglass.node.queue.actors import person
    from groundglass.node.retention import Retention

    terminal = Terminal()
    code = ExitCode.DONE
    with _stores(config) as (stores, settings):
        retention = Retention(stores.spool, stores.jobs, settings.retention)
        for job_id in jobs:
            if retention.purge(stores.jobs.records.get(job_id).study_instance_uid, person()):
                terminal.print(f"job {job_id}: the files of its study are deleted")
            else:
                terminal.print(
                    f"job {job_id}: instances are coming in for its study; try again", "red"
                )
                code = ExitCode.CANNOT
    raise typer.Exit(code)


@app.command()
def upgrade(config: ConfigFile) -> None:
    """Bring the job table to the form of this version, as `serve` does when it starts."""
    from groundglass.cli.console import Terminal
    from groundglass.node.assembly import upgrade_database
    from groundglass.node.settings import load_settings

    done = upgrade_database(load_settings(config))
    terminal = Terminal()
    if done.before == done.after:
        terminal.print(f"form {done.after} already; nothing is to be done")
        return
    terminal.print(f"form {done.before or 'none'} → {done.after}")
    if done.backup:
        terminal.print(f"as it was before: {done.backup}")


@app.command()
def backup(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", show_default=False, help="A new folder for the copy.")
    ],
    config: ConfigFile,
) -> None:
    """Copy the job table and the key of all names; the node may go on meanwhile."""
    from groundglass.cli.console import Terminal
    from groundglass.node.assembly import back_up_node
    from groundglass.node.settings import load_settings

    back_up_node(load_settings(config), folder)
    Terminal().print(f"the job table and site.key as of now are in {folder}")


@app.command()
def verify(
    config: ConfigFile,
    expect: Annotated[
        str,
        typer.Option(
            "--expect",
            metavar="HASH",
            show_default="none",
            help="The last hash of an earlier look, or of the log; it must still be there.",
        ),
    ] = "",
) -> None:
    """Go through the audit trail and say whether a row was changed, removed, put in or moved."""
    from groundglass.cli.console import Terminal

    terminal = Terminal()
    with _stores(config) as (stores, _):
        found = stores.jobs.records.verify(expect)
    for line in found.wrong:
        terminal.print(line, "bold red")
    rows = f"{found.chained} rows in the chain, {found.unchained} from before it"
    terminal.print(f"{'NOT intact' if found.wrong else 'intact'}: {rows}")
    terminal.print(f"last hash {found.last or 'none'}")
    raise typer.Exit(ExitCode.CANNOT if found.wrong else ExitCode.DONE)


@app.command()
def reindex(config: ConfigFile) -> None:
    """Enter images that are on the disk and in no table, the quarantine's too; they become jobs."""
    from groundglass.cli.console import Terminal, spinner
    from groundglass.node.inbound.reindexing import reindex_spool
    from groundglass.node.queue.actors import Act, person

    terminal = Terminal()
    with _stores(config) as (stores, settings):
        with spinner("Looking through the data folder"):
            result = reindex_spool(stores.spool, stores.jobs.records, _intake(stores, settings))
        for study in sorted(result.studies):
            stores.jobs.operator.note(study, Act(person(), "images on the disk entered by reindex"))
    for reason, count in result.passed_over.items():
        terminal.print(f"{count} files left where they are: {reason}", "yellow")
    terminal.print(f"{result.taken} images of {len(result.studies)} studies entered")


def _intake(stores: Stores, settings: NodeSettings) -> Intake:
    """The door by which the node's own images come in."""
    from groundglass.node.inbound.intake import Intake
    from groundglass.node.metrics import Metrics
    from groundglass.node.rules import Rules

    rules = Rules(settings.rules, tuple(one.name for one in settings.destinations))
    metrics = Metrics(stores.jobs, stores.spool.free)
    return Intake(stores.spool, stores.jobs, rules, metrics)


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


@contextmanager
def _stores(config: Path) -> Iterator[tuple[Stores, NodeSettings]]:
    from groundglass.node.assembly import Stores
    from groundglass.node.settings import load_settings

    settings = load_settings(config)
    stores = Stores.open(settings)
    try:
        yield stores, settings
    finally:
        stores.jobs.close()


def _expected(found: Sequence[Job], stores: Stores, settings: NodeSettings) -> dict[int, float]:
    """When a result is expected of each of these jobs that has none yet."""
    from groundglass.node.queue.forecast import AHEAD, results_expected

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
    if job.completeness:
        listed = job.expected_instances
        of = "" if listed is None else f", {listed} images listed"
        yield "complete", f"{job.completeness}{of}"
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
    from groundglass.node.queue.states import Priority

    names = {priority.value: priority.name.lower() for priority in Priority}
    return names.get(job.priority, str(job.priority))


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
