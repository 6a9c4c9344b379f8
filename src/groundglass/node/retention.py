"""How long files stay: studies that have ended go by age, or sooner when the disk fills."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Annotated

from pydantic import Field, NonNegativeFloat

from groundglass.node.inbound.spool import Spool
from groundglass.node.logs import node_log
from groundglass.node.queue.actors import RETENTION
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import ENDED, State
from groundglass.settings.toml import settings

_LOG = node_log("retention")

_DAY_S = 86400.0
#: Files that no table knows are what a killed process left between disk and table, whose sender
#: was not thanked; or images that were, after the database was restored from an older backup. A
#: day later nobody is still writing them.
_STRAY_S = _DAY_S


@settings
class RetentionSettings:
    """How long received instances and reports stay on disk. Rows and audit trail stay for good."""

    days: NonNegativeFloat = 14.0
    """After a study ended, in days. 14: results can still be looked at and sent again."""
    failed_days: NonNegativeFloat = 90.0
    """The same for dead letters, in days. 90: somebody has to look at them first."""
    disk_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of the disk in use above which studies delivered or refused go before their time, the
    oldest first. 0.8: well before the spool stops taking in. Dead letters and what is still being
    worked on never go for want of room."""


def used_share(folder: Path) -> float:
    """Share of a disk in use, 0 to 1, as an unprivileged user sees it."""
    usage = shutil.disk_usage(folder)
    return 1 - usage.free / (usage.used + usage.free)


class Retention:
    """Deletes what has had its time."""

    def __init__(self, spool: Spool, jobs: JobStore, settings: RetentionSettings) -> None:
        self._spool = spool
        self._jobs = jobs
        self._settings = settings

    def sweep(self) -> int:
        """Purge what is too old, then what is too much; how many studies."""
        now = self._jobs.clock.now()
        finished = ENDED - {State.FAILED}
        old = self._jobs.records.purgeable(now - self._settings.days * _DAY_S, finished)
        dead = self._jobs.records.purgeable(now - self._settings.failed_days * _DAY_S)
        purged = sum(self.purge(study, RETENTION) for study in dict.fromkeys((*old, *dead)))
        for study in self._jobs.records.purgeable(now, finished):
            if used_share(self._spool.root) <= self._settings.disk_share:
                break
            purged += self.purge(study, RETENTION)
        return purged

    def purge(self, study_instance_uid: str, actor: str) -> bool:
        """Delete the files of a study that has ended, unless instances are coming in for it now.

        Raises
        ------
        SettingsError
            It has not ended, or there is none.
        """
        with self._spool.clearing(self._spool.study_folder(study_instance_uid)) as alone:
            if not alone:
                return False
            purged = self._jobs.operator.purge(study_instance_uid, actor)
            self._spool.remove(purged.files)
            for revision in purged.revisions:
                folder = self._spool.job_folder(study_instance_uid, revision)
                shutil.rmtree(folder, ignore_errors=True)
        study = self._spool.pseudonyms.of(study_instance_uid)
        _LOG.info("study purged", study=study, files=len(purged.files))
        return True

    def set_strays_aside(self) -> int:
        """Put files that no table knows into quarantine; how many.

        They are not deleted: the table may be what is wrong. Only halves of files are, which nobody
        was ever thanked for.
        """
        halves = self._spool.clear_leftovers(_STRAY_S)
        before = time.time() - _STRAY_S
        strays = 0
        for folder in (self._spool.root / "studies").glob("*/*"):
            with self._spool.clearing(folder) as alone:
                if alone:  # else images are coming in for it now: tomorrow
                    strays += self._set_strays_aside(folder, before)
        if halves or strays:
            _LOG.warning("strays set aside", files=strays, halves_deleted=halves)
        return strays

    def _set_strays_aside(self, folder: Path, before: float) -> int:
        name = folder.relative_to(self._spool.root).as_posix()
        known = self._jobs.records.known_files(name)
        files = [f"{name}/{one.name}" for one in folder.iterdir() if one.stat().st_mtime < before]
        strays = [file for file in files if file not in known]
        self._spool.set_aside(strays)
        return len(strays)
