"""Workers killed at random moments, for real: nothing is lost, nothing is there twice."""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from groundglass.node.inbound.spool import Spool, SpoolSettings
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import State
from made_work import eventually
from node.job_twins import FROM_CT
from node.killable_worker import PATIENT, work

#: Processes are forked off one that has imported everything and has no threads.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["node.killable_worker"])
_TIMEOUT_S = 120


def start(url: str, root: Path, inbox: Path, name: str) -> BaseProcess:
    process = _PROCESSES.Process(target=work, args=(url, root, inbox, name), daemon=True)
    process.start()
    return process


def fill(jobs: JobStore, spool: Spool, studies: int) -> None:
    for study in range(studies):
        for instance in range(3):
            uid = f"1.{study}.{instance}"
            jobs.arrivals.enter(spool.store(f"1.{study}", uid, uid.encode()), FROM_CT)
        jobs.arrivals.explicit_end(f"1.{study}")


@pytest.mark.parametrize("kills", [30])
def test_killed_at_random_moments_under_load(database_url: str, tmp_path: Path, kills: int) -> None:
    """Every study's report is at the destination, and only one of each."""
    studies, rng = 15, random.Random(kills)  # noqa: S311  (moments, not secrets)
    root, inbox = tmp_path / "spool", tmp_path / "inbox"
    inbox.mkdir()
    spool, jobs = Spool(root, SpoolSettings(0)), JobStore(database_url, PATIENT)
    fill(jobs, spool, studies)
    ended = lambda: jobs.records.counts()[State.DELIVERED]  # noqa: E731
    workers = [start(database_url, root, inbox, f"w{n}") for n in range(2)]
    try:
        for number in range(kills):
            victim = rng.randrange(len(workers))
            before = number * studies // (2 * kills)  # spread over the first half of the load
            assert eventually(lambda before=before: ended() >= before, _TIMEOUT_S)
            workers[victim].kill()
            workers[victim].join()
            workers[victim] = start(database_url, root, inbox, f"w{number + 2}")
        assert eventually(lambda: ended() == studies, _TIMEOUT_S)
    finally:
        for worker in workers:
            worker.kill()
            worker.join()
    found = jobs.records.find()
    assert [job.state for job in found] == [State.DELIVERED] * studies
    assert all(job.failures < PATIENT.analysis_tries for job in found)
    names = Counter(path.name.split(".")[0] for path in inbox.iterdir() if path.suffix == ".dcm")
    assert names == {f"{spool.pseudonyms.of(job.study_instance_uid)}-r1": 2 for job in found}
    takeovers = sum(
        e.reason.startswith("the lease of") for j in found for e in jobs.records.audit_of(j)
    )
    assert takeovers > 0, "no worker was killed in mid job: the test saw nothing"
    jobs.close()


def test_of_two_workers_one_is_killed_in_mid_job_and_the_other_finishes_it(
    postgres_url: str, tmp_path: Path
) -> None:
    root, inbox = tmp_path / "spool", tmp_path / "inbox"
    inbox.mkdir()
    spool, jobs = Spool(root, SpoolSettings(0)), JobStore(postgres_url, PATIENT)
    (root / "hang-first").touch()  # whoever begins first never ends
    fill(jobs, spool, 1)
    workers = {name: start(postgres_url, root, inbox, name) for name in ("first", "second")}
    try:
        assert eventually((root / "hanging").exists, _TIMEOUT_S)
        (job,) = jobs.records.find()
        assert job.state is State.ANALYSING
        workers[job.worker].kill()
        assert eventually(lambda: jobs.records.get(job.id).state is State.DELIVERED, _TIMEOUT_S)
        done = jobs.records.get(job.id)
        assert done.worker == ({"first", "second"} - {job.worker}).pop()
        assert done.attempt == 2
    finally:
        for worker in workers.values():
            worker.kill()
            worker.join()
    jobs.close()
