"""Images on the disk that no table knows become jobs again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from groundglass.node.inbound.importing import import_bytes
from groundglass.node.inbound.intake import Intake
from groundglass.node.inbound.reindexing import reindex_spool
from groundglass.node.inbound.spool import Spool
from groundglass.node.metrics import Metrics
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import JobSettings, State
from groundglass.node.retention import Retention, RetentionSettings
from groundglass.node.rules import Rules
from made_ct import as_bytes, ct_series, thorax

STUDIES = ("1.2.3.1", "1.2.3.2")


def an_intake(spool: Spool, jobs: JobStore) -> Intake:
    return Intake(spool, jobs, Rules((), ()), Metrics(jobs, spool.free))


def received(spool: Spool, jobs: JobStore) -> dict[str, bytes]:
    """Two studies of three images, come in as they do; the files on disk."""
    for number, study in enumerate(STUDIES):
        for image in ct_series(thorax(3, 32), number=number, StudyInstanceUID=study):
            import_bytes(as_bytes(image), "CT1", an_intake(spool, jobs))
    return files(spool)


def files(spool: Spool) -> dict[str, bytes]:
    return {
        path.relative_to(spool.root).as_posix(): path.read_bytes()
        for path in (spool.root / "studies").rglob("*.dcm")
    }


def reindex(spool: Spool, jobs: JobStore) -> tuple[int, set[str], dict[str, int]]:
    result = reindex_spool(spool, jobs.records, an_intake(spool, jobs))
    return result.taken, result.studies, result.passed_over


def in_place(_spool: Spool) -> None:
    """The table is gone, the files are where they were."""


def set_aside(spool: Spool) -> None:
    """The node ran for a day with a table that does not know them."""
    for path in (spool.root / "studies").rglob("*.dcm"):
        os.utime(path, (0, 0))
    empty = JobStore("sqlite://", JobSettings())
    assert Retention(spool, empty, RetentionSettings()).set_strays_aside() == 6
    empty.close()


@pytest.mark.parametrize("meanwhile", [in_place, set_aside])
def test_a_lost_table_is_made_again_from_the_disk(
    spool: Spool, quick_jobs: JobStore, meanwhile: Callable[[Spool], None]
) -> None:
    before = received(spool, quick_jobs)
    meanwhile(spool)
    fresh = JobStore("sqlite://", JobSettings(quiet_s=0, longest_wait_s=0))
    assert reindex(spool, fresh) == (6, set(STUDIES), {})
    assert files(spool) == before
    assert not list((spool.root / "quarantine").rglob("*.dcm"))
    assert fresh.arrivals.complete_quiet() == 2
    found = fresh.records.find([State.READY])
    assert {job.study_instance_uid: job.instances for job in found} == dict.fromkeys(STUDIES, 3)
    assert {job.source_ae for job in found} == {"REINDEX"}
    assert {file for job in found for file in fresh.records.files_of(job)} == set(before)
    assert reindex(spool, fresh) == (0, set(), {}), "again changes nothing"
    assert files(spool) == before
    fresh.close()


def test_what_the_table_knows_is_left_alone(spool: Spool, quick_jobs: JobStore) -> None:
    received(spool, quick_jobs)
    before = quick_jobs.records.find()
    assert reindex(spool, quick_jobs) == (0, set(), {})
    assert quick_jobs.records.find() == before


def test_names_of_another_key_become_todays(
    spool: Spool, quick_jobs: JobStore, tmp_path: Path
) -> None:
    """`site.key` was lost with the table: every file has another name now."""
    before = received(spool, quick_jobs)
    (spool.root / "site.key").unlink()
    renamed = Spool(spool.root, spool._settings)
    fresh = JobStore("sqlite://", JobSettings())
    assert reindex(renamed, fresh)[:2] == (6, set(STUDIES))
    after = files(renamed)
    assert sorted(after.values()) == sorted(before.values())
    assert not set(after) & set(before)
    fresh.close()


def test_what_is_no_image_stays_where_it_is(spool: Spool, quick_jobs: JobStore) -> None:
    study, instance = spool.root / "studies" / "ab" / "abcd", "notes.txt"
    aside = spool.root / "quarantine" / "studies" / "cd" / "cdef"
    for folder in (study, aside):
        folder.mkdir(parents=True)
        (folder / instance).write_bytes(b"no image")
    taken, studies, passed_over = reindex(spool, quick_jobs)
    assert (taken, studies, passed_over) == (0, set(), {"no DICOM file": 2})
    assert (study / instance).is_file()
    assert (aside / instance).is_file()
