"""A node: everything of `groundglass serve` put together, started and stopped."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Protocol

from groundglass.errors import GroundglassError
from groundglass.node.assembly import (
    Stores,
    open_completeness_watch,
    open_listener,
    open_retrievers,
    upgrade_database,
)
from groundglass.node.health import Checks, HealthServer, Remembered
from groundglass.node.inbound.intake import Intake
from groundglass.node.inbound.spool import SpoolFull
from groundglass.node.inbound.watch import FolderWatch
from groundglass.node.logs import node_log
from groundglass.node.metrics import Metrics
from groundglass.node.outbound.delivery import Courier, Destination
from groundglass.node.queue.states import DatabaseDown
from groundglass.node.retention import Retention
from groundglass.node.rules import Rules
from groundglass.node.settings import NodeSettings
from groundglass.node.worker.analyser import Analyser, AnalysisSettings, ProcessAnalyser
from groundglass.node.worker.loop import Worker, WorkerContext

_LOG = node_log("node")

_RETENTION_EVERY_S = 60.0
_STRAYS_EVERY_S = 86400.0
#: How long an answer of the listener to itself counts.
_ECHO_COUNTS_S = 5.0
#: How long threads get to see that they are to stop, once nothing holds them.
_LAST_WAIT_S = 10.0


class Part(Protocol):
    """Something that takes studies in by itself: the listener, a watched folder, a schedule."""

    def start(self) -> None:
        """Begin, in threads of its own."""

    def stop(self) -> None:
        """End; what was begun is ended or can be begun again."""


class Node:
    """Listener, workers, housekeeping, health.

    Raises
    ------
    SettingsError
        Something in the settings cannot be used.
    """

    def __init__(
        self,
        settings: NodeSettings,
        destinations: Mapping[str, Destination],
        make_analyser: Callable[[AnalysisSettings], Analyser] = ProcessAnalyser,
    ) -> None:
        self._settings = settings
        upgrade_database(settings)
        self.stores = Stores.open(settings)
        spool, jobs = self.stores.spool, self.stores.jobs
        rules = Rules(settings.rules, tuple(destinations))
        self.metrics = Metrics(jobs, spool.free)
        intake = Intake(spool, jobs, rules, self.metrics)
        self.listener = open_listener(settings, intake)
        self.metrics.follow(self.listener.counts)
        self._parts: tuple[Part, ...] = (
            self.listener,
            *(FolderWatch(watch, intake) for watch in settings.watch),
            *open_retrievers(settings, intake),
            open_completeness_watch(settings, jobs),
        )
        self._retention = Retention(spool, jobs, settings.retention)
        courier = Courier(destinations, jobs, self.metrics)
        context = WorkerContext(spool, jobs, rules, courier, self.metrics)
        here = f"{socket.gethostname()}:{os.getpid()}"
        self._workers = [
            Worker(f"{here}:{n}", context, make_analyser(settings.analysis), settings.worker)
            for n in range(1, settings.worker.count + 1)
        ]
        self.health = HealthServer(settings.http, self._checks(), self.metrics)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None

    def join(self, part: Part) -> None:
        """Have a part from above the node started and stopped with it, before `run`."""
        self._parts = (*self._parts, part)

    def run(self, stop: threading.Event) -> None:
        """Serve until told to stop, then end what is begun.

        Raises
        ------
        GroundglassError
            A part could not begin, or broke; a service manager starts the node again.
        """
        with ExitStack() as ending:
            ending.callback(self.stores.jobs.close)
            self.health.start()
            ending.callback(self.health.stop)
            for worker in self._workers:
                self._begin(partial(worker.run, self._stop), worker.name)
            ending.callback(self._end_work)
            for part in self._parts:
                part.start()
                ending.callback(part.stop)
            self._begin(partial(self._keep_house, self.stores.jobs.clock.now()), "housekeeping")
            _LOG.info("node started", workers=len(self._workers))
            while not stop.wait(0.5) and self._error is None:
                pass
            _LOG.info("node stopping")
        _LOG.info("node stopped")
        if self._error is not None:
            raise self._error

    def _begin(self, work: Callable[[], None], name: str) -> None:
        def guarded() -> None:
            try:
                work()
            except GroundglassError as error:
                self._error = error
            except BaseException as error:
                self._error = error
                raise

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _end_work(self) -> None:
        """Let the workers end their jobs; those that take too long give them back."""
        self._stop.set()
        deadline = time.monotonic() + self._settings.worker.stop_grace_s
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        for worker in self._workers:
            worker.halt()
        for thread in self._threads:
            thread.join(_LAST_WAIT_S)

    def _keep_house(self, since: float) -> None:
        """Complete quiet studies, keep to the retention, clear what was left behind."""
        jobs = self.stores.jobs
        next_retention = next_strays = time.monotonic()
        while not self._stop.wait(self._settings.worker.poll_s):
            try:
                jobs.arrivals.complete_quiet(since)
                if time.monotonic() >= next_retention:
                    next_retention = time.monotonic() + _RETENTION_EVERY_S
                    self._retention.sweep()
                if time.monotonic() >= next_strays:
                    next_strays = time.monotonic() + _STRAYS_EVERY_S
                    self._retention.set_strays_aside()
                    # Kept with the log elsewhere, it shows whether the trail's end was cut off.
                    _LOG.info("audit trail", last_hash=jobs.records.last_hash())
            except DatabaseDown as error:
                _LOG.error("database down", found=error.found)
            except OSError as error:
                _LOG.error("housekeeping failed", found=error.strerror)

    def _checks(self) -> Checks:
        return Checks(
            alive={
                "threads": self._threads_wrong,
                "listener": Remembered(self.listener.check, _ECHO_COUNTS_S),
            },
            ready={"database": self._database_wrong, "disk": self._disk_wrong},
        )

    def _threads_wrong(self) -> str:
        dead = [thread.name for thread in self._threads if not thread.is_alive()]
        return f"ended: {', '.join(dead)}" if dead else ""

    def _database_wrong(self) -> str:
        try:
            self.stores.jobs.records.counts()
        except DatabaseDown as error:
            return error.found
        return ""

    def _disk_wrong(self) -> str:
        try:
            self.stores.spool.refuse_when_full()
        except SpoolFull as error:
            return error.found
        return ""
