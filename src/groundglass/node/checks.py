"""What `groundglass serve --check` tries."""

from __future__ import annotations

import errno
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import partial

from groundglass.errors import GroundglassError, SettingsError
from groundglass.node.assembly import open_spool
from groundglass.node.dimse.clients import PeerError
from groundglass.node.dimse.own_calls import called_at
from groundglass.node.health import SERVER, HttpSettings
from groundglass.node.inbound.sources import SourceSettings, open_source
from groundglass.node.inbound.watch import WatchSettings
from groundglass.node.outbound.delivery import Destination
from groundglass.node.queue.form import outdated
from groundglass.node.queue.jobs import JobStore
from groundglass.node.rules import Rules
from groundglass.node.settings import NodeSettings
from groundglass.node.worker.analyser import Analyser, AnalysisSettings, ProcessAnalyser

_ANSWER_S = 5.0


class Verdict(Enum):
    """How a trial ended."""

    WORKS = "works"
    FAILS = "fails"  # something of ours: a node would not start, or not do its work
    SILENT = "silent"  # another system: a node starts, and what is for it waits


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing `serve --check` tried."""

    what: str
    """What was tried."""
    verdict: Verdict
    """Whether it works, and if not, whose fault that is."""
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
        _tried("http", lambda: _http_works(settings.http)),
    ]
    if settings.worker.count:
        found.append(_tried("weights", lambda: _weights_work(make_analyser(settings.analysis))))
    found += [_tried(f"folder {w.path}", partial(_watch_works, w)) for w in settings.watch]
    found += [_tried(f"source {s.name}", partial(_source_works, s)) for s in settings.sources]
    found += [_destination_works(name, one) for name, one in destinations.items()]
    if not destinations:
        found.append(Finding("destinations", Verdict.WORKS, "none: results stay here"))
    return found


def _tried(what: str, trial: Callable[[], str]) -> Finding:
    try:
        return Finding(what, Verdict.WORKS, trial())
    except PeerError as error:
        return Finding(what, Verdict.SILENT, str(error))
    except GroundglassError as error:
        return Finding(what, Verdict.FAILS, str(error))


def _destination_works(name: str, destination: Destination) -> Finding:
    what = f"destination {name}"
    try:
        seen = destination.check()
    except GroundglassError as error:  # files of its settings that cannot be used
        return Finding(what, Verdict.FAILS, str(error))
    wrong = Verdict.FAILS if seen.here else Verdict.SILENT
    return Finding(what, Verdict.WORKS if seen.works else wrong, seen.detail)


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
    listener, tls = settings.listener, settings.listener.tls
    if tls is not None:
        tls.server()
    place = _port_works("listener", listener.host, listener.port, settings.http)
    callers = f"{len(listener.peers)} known callers" if listener.peers else "this machine only"
    said = f"{listener.ae_title} at {place}, {'TLS' if tls else 'no TLS'}, {callers}"
    unbound = sum(not peer.certificates for peer in listener.peers if peer.addresses)
    if tls is None or tls.authorities is None or not unbound:
        return said
    return f"{said}, {unbound} of them under any certificate that the authorities signed"


def _http_works(http: HttpSettings) -> str:
    return f"metrics and health at {_port_works('http', http.host, http.port, http)}"


def _port_works(what: str, host: str, port: int, http: HttpSettings) -> str:
    """Listen there for a moment, unless the node that these settings are for does so already."""
    place = f"{host} port {port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _node_runs(http):
            return f"{place} (in use by the node that runs)"
        raise SettingsError(
            f"{place} that cannot be listened at ({error.strerror or error})",
            expected="an address of this machine and a free port",
            action=f"Correct {what}.host and {what}.port, or stop what uses the port.",
        ) from error
    return place


def _node_runs(http: HttpSettings) -> bool:
    """Whether a node answers where ours says how it is."""
    host = called_at(http.host)
    url = f"http://{f'[{host}]' if ':' in host else host}:{http.port}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_S) as answer:
            server = answer.headers.get("Server")
    except urllib.error.HTTPError as error:  # it answers that something is wrong with it
        server = error.headers.get("Server")
    except (OSError, ValueError):
        return False
    return (server or "").strip() == SERVER


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
