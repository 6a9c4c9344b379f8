"""What every address of the page works with."""

from __future__ import annotations

from dataclasses import dataclass, field

import jinja2

from groundglass.node.assembly import Stores
from groundglass.node.queue.table import JobTable
from groundglass.node.retention import Retention
from groundglass.node.settings import NodeSettings
from groundglass.node.web_settings import WebSettings
from groundglass.web.looks import templates
from groundglass.web.people.access import Access
from groundglass.web.people.sessions import Sessions, Tokens
from groundglass.web.people.users import Users
from groundglass.web.readings.readings import Readings
from groundglass.web.security.throttle import Throttle
from groundglass.web.slices.desk import SliceDesk
from groundglass.web.worklist.board import Board, BoardSettings
from groundglass.web.worklist.watch import BoardWatch


@dataclass(frozen=True, slots=True)
class People:
    """Who may do what, and what they did."""

    users: Users
    sessions: Sessions
    tokens: Tokens
    access: Access
    throttle: Throttle

    @classmethod
    def of(cls, table: JobTable, settings: WebSettings) -> People:
        """Of a node's database."""
        return cls(
            Users(table),
            Sessions(table, settings),
            Tokens(table),
            Access(table),
            Throttle(table.clock),
        )


@dataclass(frozen=True, slots=True)
class PageContext:
    """The page of one node."""

    settings: WebSettings
    stores: Stores
    people: People
    readings: Readings
    desk: SliceDesk
    board: Board
    watch: BoardWatch
    retention: Retention
    table: JobTable
    templates: jinja2.Environment = field(default_factory=templates)

    @classmethod
    def open(cls, node: NodeSettings, settings: WebSettings, stores: Stores) -> PageContext:
        """As the settings say."""
        table = JobTable(node.database_url, node.jobs, stores.jobs.clock)
        readings, desk = Readings(table), SliceDesk()
        kept = BoardSettings(
            settings.waiting_limit_minutes * 60, node.worker.count, blind=settings.blind
        )
        board = Board(stores, desk, readings, kept)
        return cls(
            settings=settings,
            stores=stores,
            people=People.of(table, settings),
            readings=readings,
            desk=desk,
            board=board,
            watch=BoardWatch(board),
            retention=Retention(stores.spool, stores.jobs, node.retention),
            table=table,
        )

    def close(self) -> None:
        """Give everything back."""
        self.desk.close()
        self.table.close()
