"""Whether a study has come whole: what came is compared with what an archive lists.

What the watch finds out is in the job table, so that nodes that share it wait alike. How long a
study waits that is not known to be whole is `Arrivals.complete_quiet`'s to say.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from groundglass.errors import GroundglassError
from groundglass.node.inbound.archives import Archives, CompletenessSettings, Listing
from groundglass.node.logs import node_log
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import Awaited, Job, State

_LOG = node_log("completeness")
#: How often it is looked whether a study is to be asked for, in s.
_LOOK_S = 0.5


@dataclass(slots=True)
class _Asked:
    """What was heard of one study."""

    at: float
    """When it was asked last."""
    pause_s: float
    """How long until it is asked again."""
    arrived_at: float
    """When its last image had come then."""
    listing: Listing
    """What was listed; empty where nobody could say."""
    listed_since: float
    """Since when it was the same."""


class CompletenessWatch:
    """Asks for every study that is coming in, in a thread of its own."""

    def __init__(self, settings: CompletenessSettings, archives: Archives, jobs: JobStore) -> None:
        self._settings = settings
        self._archives = archives
        self._jobs = jobs
        self._clock = jobs.clock
        self._asked: dict[int, _Asked] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="completeness", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        if self._settings.ask:
            self._thread.start()

    def stop(self) -> None:
        """End after the question in hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look_once(self) -> int:
        """Ask for the studies that are due; how many are whole now."""
        coming = {job.id: job for job in self._jobs.records.find((State.RECEIVED,))}
        self._asked = {job: asked for job, asked in self._asked.items() if job in coming}
        return sum(self._look(job) for job in coming.values() if not self._stop.is_set())

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            try:
                self.look_once()
            except GroundglassError as error:
                _LOG.error("completeness not looked at", found=error.found)
            except Exception as error:  # noqa: BLE001  (studies would wait, and nobody know why)
                _LOG.exception("completeness not looked at", error=type(error).__name__)

    def _look(self, job: Job) -> bool:
        """Ask for one study, if it is time to; whether it is whole now."""
        before, now = self._asked.get(job.id), self._clock.now()
        if before is not None and now < self._next(before, job):
            return False
        found = self._archives.listing(job.source_ae, job.study_instance_uid)
        asked = self._asked[job.id] = self._heard(before, job, found)
        awaited = _compared(asked.listing, self._jobs.records.held(job))
        if awaited is None:  # nobody knows: it waits for its quiet time
            return False
        settled = now - max(asked.listed_since, job.arrived_at) >= self._settings.settle_s
        if found is not None and settled and not awaited.missing and not awaited.other_series:
            reason = f"complete: all {awaited.listed} images that {found[0]} lists"
            return self._jobs.arrivals.complete(job, awaited, reason)
        if awaited.missing or found is not None:
            self._jobs.arrivals.await_listed(job, awaited)
        return False

    def _next(self, before: _Asked, job: Job) -> float:
        """When a study is asked for again: soon after its last image, then ever later."""
        if job.arrived_at > before.arrived_at:
            return job.arrived_at + self._settings.settle_s
        return before.at + before.pause_s

    def _heard(self, before: _Asked | None, job: Job, found: tuple[str, Listing] | None) -> _Asked:
        """What is remembered of an answer; of none, what was heard before."""
        now, shortest = self._clock.now(), self._settings.settle_s
        earlier: Listing = {} if before is None else before.listing
        listing = earlier if found is None else found[1]
        if before is None or listing != earlier:
            return _Asked(now, shortest, job.arrived_at, listing, now)
        came = job.arrived_at > before.arrived_at
        pause = shortest if came else min(2 * before.pause_s, self._settings.longest_pause_s)
        return _Asked(now, pause, job.arrived_at, listing, before.listed_since)


def _compared(listing: Listing, held: frozenset[str]) -> Awaited | None:
    """What of a listed study is still awaited.

    None where it does not list all that came: then it does not know the study better than we do.
    """
    listed = frozenset[str]().union(*listing.values())
    if not listed or not held <= listed:
        return None
    begun = {series: uids for series, uids in listing.items() if uids & held}
    missing = {series: len(uids - held) for series, uids in begun.items() if uids - held}
    return Awaited(len(listed), missing, len(listing) - len(begun))
