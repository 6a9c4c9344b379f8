"""New studies, looked for in an archive on a schedule and fetched."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from groundglass.core.atomic_files import write_whole
from groundglass.errors import GroundglassError
from groundglass.node.dimse.clients import PeerError
from groundglass.node.inbound.instances import InstanceSink
from groundglass.node.inbound.sources import RemoteStudy, Schedule, Source
from groundglass.node.logs import node_log
from groundglass.node.uids import is_uid

_LOG = node_log("retrieve")


class Fetched:
    """Which studies were fetched, and how large they were; outlives the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def size_of(self, study_instance_uid: str) -> int | None:
        """How many instances it had when it was fetched; None when it was not."""
        try:
            return int(json.loads(self._place(study_instance_uid).read_text("ascii")))
        except FileNotFoundError:
            return None

    def enter(self, study: RemoteStudy) -> None:
        """Remember that it was fetched."""
        place = self._place(study.study_instance_uid)
        write_whole(place, json.dumps(study.instances))

    def _place(self, study_instance_uid: str) -> Path:
        return self._folder / hashlib.sha256(study_instance_uid.encode()).hexdigest()[:32]


class Retriever:
    """Looks for new studies again and again, in a thread of its own, and fetches them."""

    def __init__(
        self,
        source: Source,
        schedule: Schedule,
        sink: InstanceSink,
        fetched: Fetched,
        today: Callable[[], date] = date.today,
    ) -> None:
        self._source = source
        self._schedule = schedule
        self._sink = sink
        self._fetched = fetched
        self._today = today
        self._sizes: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retrieval", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End after the study in hand."""
        self._stop.set()
        self._thread.join()

    def look_once(self) -> list[str]:
        """Fetch every study that is new and has not grown since the last look; their UIDs.

        Raises
        ------
        PeerError
            The archive cannot be asked.
        SpoolFull
            There is no room.
        """
        last = self._today()
        first = last - timedelta(days=self._schedule.days)
        sizes: dict[str, int] = {}
        done = []
        for study in self._source.studies(first, last + timedelta(days=1)):
            uid = study.study_instance_uid
            if not self._wanted(study):
                continue
            sizes[uid] = study.instances
            if self._sizes.get(uid) == study.instances and not self._stop.is_set():
                self._fetch(study)
                done.append(uid)
        self._sizes = sizes
        return done

    def _wanted(self, study: RemoteStudy) -> bool:
        pattern = self._schedule.description.casefold()
        return (
            is_uid(study.study_instance_uid)
            and fnmatch.fnmatchcase(study.description.casefold(), pattern)
            and self._fetched.size_of(study.study_instance_uid) != study.instances
        )

    def _fetch(self, study: RemoteStudy) -> None:
        try:
            result = self._source.fetch(study.study_instance_uid, self._sink)
        except PeerError as error:  # it is tried again at the next look
            _LOG.warning("study not fetched", reason=error.found)
            return
        self._fetched.enter(study)
        if result.whole:
            for uid in result.studies:
                self._sink.ended(uid)
        passed_over = sum(result.passed_over.values())
        _LOG.info("study fetched", instances=result.taken, passed_over=passed_over)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look_once()
            except (GroundglassError, OSError) as error:
                reason = getattr(error, "found", type(error).__name__)
                _LOG.warning("archive not asked", reason=reason)
            except Exception:  # noqa: BLE001  (a defect, or no thread to be had: it goes on)
                _LOG.exception("archive not asked")
            self._stop.wait(self._schedule.every_s)
