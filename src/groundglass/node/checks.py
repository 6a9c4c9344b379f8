"""What `groundglass serve --check` tries."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from groundglass.errors import GroundglassError, SettingsError
from groundglass.node.assembly import open_spool
from groundglass.node.inbound.sources import SourceSettings, open_source
from groundglass.node.inbound.watch import WatchSettings
from groundglass.node.outbound.delivery import Destination
from groundglass.node.queue.form import outdated
from groundglass.node.queue.jobs import JobStore
from groundglass.node.rules import Rules
from groundglass.node.settings import NodeSettings
from groundglass.node.worker.analyser import Analyser, AnalysisSettings, ProcessAnalyser


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing `serve --check` tried."""

    what: str
    """What was tried."""
    works: bool
    """Whether it works."""
    detail: str
    """What was seen."""


def check_node(
    settings: NodeSettings,
    destinations: Mapping[str, Destination],
    make_analyser: Callable[[AnalysisSettings], Analyser] = ProcessAnalyser,
) -> list[Finding]:
    """Try everything a node needs, changing nothing anywhere else; one finding per thing tried."""
    found = [
        _tried("rules", lambda: _rules_work(settings, destinations)),
        _tried("data folder", lambda: _disk_works(settings)),
        _tried("database", lambda: _database_works(settings)),
        _tried("listener", lambda: _listener_works(settings)),
    ]
    if settings.worker.count:
        found.append(_tried("weights", lambda: _weights_work(make_analyser(settings.analysis))))
    found += [_tried(f"folder {w.path}", partial(_watch_works, w)) for w in settings.watch]
    found += [_tried(f"source {s.name}", partial(_source_works, s)) for s in settings.sources]
    for name, destination in destinations.items():
        seen = destination.check()
        found.append(Finding(f"destination {name}", seen.works, seen.detail))
    if not destinations:
        found.append(Finding("destinations", works=True, detail="none: results stay here"))
    return found


def _tried(what: str, trial: Callable[[], str]) -> Finding:
    try:
        return Finding(what, works=True, detail=trial())
    except GroundglassError as error:
        return Finding(what, works=False, detail=str(error))


def _rules_work(settings: NodeSettings, destinations: Mapping[str, Destination]) -> str:
    Rules(settings.rules, tuple(destinations))
    return f"{len(settings.rules)} defined"


def _disk_works(settings: NodeSettings) -> str:
    spool = open_spool(settings)
    spool.refuse_when_full()
    return f"{settings.data}, {spool.free() / 1e9:.0f} GB free"


def _database_works(settings: NodeSettings) -> str:
    if outdated(settings.database_url):
        return "of an earlier version; the node upgrades it when it starts"
    jobs = JobStore(settings.database_url, settings.jobs)
    try:
        return f"{sum(jobs.records.counts().values())} jobs in it"
    finally:
        jobs.close()


def _listener_works(settings: NodeSettings) -> str:
    if settings.listener.tls is not None:
        settings.listener.tls.server()
    listener = settings.listener
    callers = f"{len(listener.peers)} known callers" if listener.peers else "this machine only"
    encrypted = "TLS" if listener.tls else "no TLS"
    return f"{listener.ae_title} at {listener.host} port {listener.port}, {encrypted}, {callers}"


def _watch_works(watch: WatchSettings) -> str:
    if not os.access(watch.path, os.R_OK | os.W_OK | os.X_OK):
        raise SettingsError(
            f"a folder {watch.path} that cannot be watched",
            expected="a folder this user may read and write",
            action="Make it, or correct its permissions.",
        )
    return "can be watched"


def _source_works(settings: SourceSettings) -> str:
    today = datetime.now(UTC).astimezone().date()
    return f"answered: {len(open_source(settings).studies(today, today))} studies with CT today"


def _weights_work(analyser: Analyser) -> str:
    try:
        return analyser.check()
    finally:
        analyser.close()
