"""A node's parts, made from its settings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from groundglass.core.atomic_files import write_whole
from groundglass.errors import SettingsError
from groundglass.node.dimse.commitment import CommitmentInbox
from groundglass.node.dimse.listener import Listener
from groundglass.node.inbound.archives import open_archives
from groundglass.node.inbound.commitment import CommitmentService
from groundglass.node.inbound.completeness import CompletenessWatch
from groundglass.node.inbound.instances import InstanceSink
from groundglass.node.inbound.retrieve import Fetched, Retriever
from groundglass.node.inbound.services import InboundServices
from groundglass.node.inbound.sources import open_source
from groundglass.node.inbound.spool import Spool
from groundglass.node.logs import KEY_FILE, node_log
from groundglass.node.outbound.delivery import Destination
from groundglass.node.outbound.destinations import make_destination
from groundglass.node.queue.backup import back_up, sqlite_file
from groundglass.node.queue.form import Upgraded, upgrade
from groundglass.node.queue.jobs import JobStore
from groundglass.node.settings import NodeSettings
from groundglass.node.uids import ourselves

_LOG = node_log("database")


@dataclass(frozen=True, slots=True)
class Stores:
    """What outlives the process: files and table."""

    spool: Spool
    """The files."""
    jobs: JobStore
    """The table."""

    @classmethod
    def open(cls, settings: NodeSettings) -> Stores:
        """As the settings say.

        Raises
        ------
        SettingsError
            The data folder cannot be written, or the database not be used.
        """
        return cls(open_spool(settings), JobStore(settings.database_url, settings.jobs))


def upgrade_database(settings: NodeSettings) -> Upgraded:
    """Bring the job table to the form of this version; a file of SQLite is copied first.

    Raises
    ------
    SettingsError
        The database cannot be reached or copied, or was made by a later version.
    """
    open_spool(settings)  # the database's folder may have to be made first
    done = upgrade(settings.database_url)
    if done.before != done.after:
        backup = done.backup.name if done.backup else ""
        _LOG.info("database upgraded", before=done.before, after=done.after, backup=backup)
    return done


def back_up_node(settings: NodeSettings, folder: Path) -> None:
    """Copy the job table and the key of all names into a new folder, while the node may run.

    Raises
    ------
    SettingsError
        The database is no file of SQLite, or the folder is there or cannot be written.
    """
    file = sqlite_file(sa.make_url(settings.database_url))
    if file is None:
        raise SettingsError(
            "a database that is no file",
            expected="one of SQLite",
            action=f"Use `pg_dump --format=custom`, and copy {settings.data / KEY_FILE} beside it.",
        )
    try:
        folder.mkdir(0o700)
        write_whole(folder / KEY_FILE, (settings.data / KEY_FILE).read_bytes(), synced=True)
        (folder / KEY_FILE).chmod(0o600)
    except OSError as error:
        raise SettingsError(
            f"a backup in {folder} that cannot be made ({error.strerror})",
            expected="a new folder in one this user may write to, and a data folder with a key",
            action="Give another name; nothing that is there is written over.",
        ) from error
    back_up(file, folder / file.name)


def open_spool(settings: NodeSettings) -> Spool:
    """Where instances are kept.

    Raises
    ------
    SettingsError
        The data folder cannot be written.
    """
    try:
        return Spool(settings.data, settings.spool)
    except OSError as error:
        raise SettingsError(
            f"a data folder {settings.data} that cannot be used ({error.strerror})",
            expected="a folder this user may write to",
            action="Correct `data` in the settings, or the folder's permissions.",
        ) from error


def open_listener(settings: NodeSettings, sink: InstanceSink) -> Listener:
    """The listener as the settings say, not yet listening.

    Raises
    ------
    SettingsError
        Its TLS files cannot be used.
    """
    ours = ourselves(settings.listener.ae_title)
    inbox = CommitmentInbox(settings.data / "commitments")
    commitment = CommitmentService(sink, inbox, settings.listener.peers, ours)
    return Listener(settings.listener, InboundServices(sink, commitment))


def open_retrievers(settings: NodeSettings, sink: InstanceSink) -> list[Retriever]:
    """What looks for new studies in the archives that have a schedule, not yet looking."""
    made = []
    for source in settings.sources:
        if source.schedule is not None:
            name = hashlib.sha256(source.name.encode()).hexdigest()[:16]
            fetched = Fetched(settings.data / "fetched" / name)
            made.append(Retriever(open_source(source), source.schedule, sink, fetched))
    return made


def open_completeness_watch(settings: NodeSettings, jobs: JobStore) -> CompletenessWatch:
    """What asks archives whether studies have come whole, not yet asking.

    Raises
    ------
    SettingsError
        The archive to ask is none of the sources.
    """
    wanted = settings.completeness
    archives = open_archives(wanted, settings.listener, settings.sources, jobs.clock)
    return CompletenessWatch(wanted, archives, jobs)


def open_destinations(settings: NodeSettings) -> dict[str, Destination]:
    """All destinations of a node, by name.

    Raises
    ------
    SettingsError
        Something in their settings cannot be used.
    """
    inbox = CommitmentInbox(settings.data / "commitments")
    made: dict[str, Destination] = {}
    for one in settings.destinations:
        made[one.name] = make_destination(one, inbox)
    return made
