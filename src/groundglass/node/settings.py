"""All settings of a node, and the TOML file they come from."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from groundglass.errors import SettingsError
from groundglass.node.dimse.listener import ListenerSettings
from groundglass.node.health import HttpSettings
from groundglass.node.inbound.archives import CompletenessSettings
from groundglass.node.inbound.sources import SourceSettings
from groundglass.node.inbound.spool import SpoolSettings
from groundglass.node.inbound.watch import WatchSettings
from groundglass.node.logs import LogSettings
from groundglass.node.outbound.destinations import DestinationSettings
from groundglass.node.queue.states import JobSettings
from groundglass.node.retention import RetentionSettings
from groundglass.node.rules import Rule
from groundglass.node.web_settings import WebSettings
from groundglass.node.worker.analyser import AnalysisSettings
from groundglass.node.worker.loop import WorkerSettings
from groundglass.settings.example import example_file
from groundglass.settings.toml import FilePath, Maybe, read_settings, settings

_HEAD = """\
# Settings of `groundglass serve`, every one with its default, its meaning and its reason.
# Take the # away before a setting, and before the [table] above it, to change it.
"""


#: What to do about a wrong value.
EXPLAINED = "Correct the settings file; `groundglass serve --example` explains every key."


@settings
class NodeSettings:
    """A node."""

    data: FilePath = Path("/var/lib/groundglass")
    """Folder for received instances, reports and the database. With several machines one folder of
    a file system that they share. Relative paths in this file are relative to this file."""
    database: str = ""
    """URL of the job table. Empty: SQLite in the data folder, for one machine. For several,
    `postgresql://user@host/base`; the password belongs into `~/.pgpass` (or `PGPASSWORD`), not
    here."""
    spool: SpoolSettings = SpoolSettings()
    """Received instances."""
    jobs: JobSettings = JobSettings()
    """When a study is complete, and how often work on it is tried."""
    completeness: CompletenessSettings = CompletenessSettings()
    """Who is asked whether a study has come whole."""
    analysis: AnalysisSettings = AnalysisSettings()
    """The analysis and its limits."""
    worker: WorkerSettings = WorkerSettings()
    """How the work is shared out."""
    retention: RetentionSettings = RetentionSettings()
    """How long files stay."""
    http: HttpSettings = HttpSettings()
    """Metrics and health."""
    web: Maybe[WebSettings] = None
    """The radiologist's page, off without this table; a preview. Needs the extra `web`, and people
    made by `groundglass users add`."""
    log: LogSettings = LogSettings()
    """The log, on standard error."""
    listener: ListenerSettings = ListenerSettings()
    """Studies in by C-STORE."""
    watch: tuple[WatchSettings, ...] = ()
    """Studies in by way of folders."""
    sources: tuple[SourceSettings, ...] = ()
    """Archives that we fetch studies from: new ones on a schedule, named ones by `groundglass jobs
    fetch`."""
    destinations: tuple[DestinationSettings, ...] = ()
    """Where results go; several of each kind are possible. Without any they stay in the data
    folder."""
    rules: tuple[Rule, ...] = ()
    """What goes first, and what goes where."""

    def __post_init__(self) -> None:
        _one_of_each_name("destinations", [one.name for one in self.destinations])
        _one_of_each_name("sources", [one.name for one in self.sources])
        if self.listener.port == self.http.port != 0:
            raise SettingsError(
                f"port {self.http.port} for the listener and for http",
                expected="a port for each",
                action="Correct listener.port or http.port in the settings.",
            )

    @property
    def database_url(self) -> str:
        """Where the job table is."""
        return self.database or f"sqlite:///{(self.data / 'jobs.sqlite').absolute()}"


def _one_of_each_name(what: str, names: Sequence[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise SettingsError(
                f"two {what} called {name!r}",
                expected="a name for each",
                action="Rename one of them in the settings, and in the rules that mean it.",
            )


def load_settings(path: Path) -> NodeSettings:
    """Read a node's settings.

    Raises
    ------
    SettingsError
        The file cannot be read, is no TOML, or holds something unknown or senseless.
    """
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"settings that cannot be read ({getattr(error, 'strerror', None) or error})",
            expected=f"a TOML file at {path}",
            action="`groundglass serve --example` prints one to begin with.",
        ) from error
    return read_settings(NodeSettings, table, path.parent, EXPLAINED)


def example_settings() -> str:
    """A settings file with everything in it, commented out."""
    return f"{_HEAD}\n{example_file(NodeSettings)}"
