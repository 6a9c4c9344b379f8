"""`groundglass jobs`: what a node is working on, and what people may do about it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from groundglass.cli.extras import need
from groundglass.cli.serve import ConfigFile

#: The names of `State` and `Priority` in `node.queue.states`, whose import would slow `--help`.
StateName = Literal[
    "received", "ready", "analysing", "reported", "delivering", "delivered", "refused",
    "superseded", "failed",
]  # fmt: skip
PriorityName = Literal["routine", "urgent", "emergency"]

_HELP = (
    "List, show, retry, bump, fetch and purge the jobs of a node; it may be running meanwhile. "
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
    callback=lambda: need("sqlalchemy", "serve"),
)


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
    from groundglass.cli import jobbing

    jobbing.list_jobs(config, state, limit)


@app.command()
def show(job: JobNumber, config: ConfigFile) -> None:
    """Show a job, its way so far and how far each file got."""
    from groundglass.cli import jobbing

    jobbing.show_job(config, job)


@app.command()
def retry(jobs: JobNumbers, config: ConfigFile) -> None:
    """Let jobs that failed, or ended otherwise, begin again."""
    from groundglass.cli import jobbing

    jobbing.retry_jobs(config, jobs)


@app.command()
def bump(
    jobs: JobNumbers,
    config: ConfigFile,
    priority: Annotated[
        PriorityName, typer.Option("--priority", help="Their priority from now on.")
    ] = "emergency",
) -> None:
    """Give jobs another priority; a waiting retry begins at once."""
    from groundglass.cli import jobbing

    jobbing.bump_jobs(config, jobs, priority)


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
    from groundglass.cli import jobbing

    jobbing.fetch_study(config, study, source)


@app.command()
def purge(jobs: JobNumbers, config: ConfigFile) -> None:
    """Delete the files of jobs' studies; the record stays."""
    from groundglass.cli import jobbing

    raise typer.Exit(jobbing.purge_jobs(config, jobs))
