"""A whole node killed at random moments under load: nothing acknowledged is lost, nothing is twice.

Small here. The full size, 100 studies and 100 kills, takes some minutes:
`GROUNDGLASS_KILLS=100 GROUNDGLASS_STUDIES=100 pytest tests/node/test_killed_nodes.py -s`
"""

from __future__ import annotations

import multiprocessing
import os
import random
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom.dsutils import encode

from groundglass.node.inbound.spool import Spool, SpoolSettings
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import JobSettings, State
from made_ct import ct_series, thorax
from made_work import eventually
from node.fake_archive import FakeArchive
from node.in_memory import RawPeer, data_pdu, store_command
from node.killable_node import serve
from node.real_pacs import free_port

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["node.killable_node"])
STUDIES = int(os.environ.get("GROUNDGLASS_STUDIES", "4"))
KILLS = int(os.environ.get("GROUNDGLASS_KILLS", "2"))
SENDERS, IMAGES = 10, 8
#: A sender takes its studies in turn: the more it has, the longer between two images of one.
QUIET_S = 2.0 + STUDIES / 20
_TIMEOUT_S = 60 + 10 * (STUDIES + KILLS)
_SUCCESS = b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00"


class Node:
    """A node at one place that is killed and begun again."""

    def __init__(self, data: Path, archive_port: int) -> None:
        self.port = free_port()
        self._arguments = (data, self.port, archive_port, QUIET_S)
        self._process: BaseProcess = self._begin()

    def _begin(self) -> BaseProcess:
        process = _PROCESSES.Process(target=serve, args=self._arguments, daemon=True)
        process.start()
        return process

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def restart(self) -> None:
        self.kill()
        self._process = self._begin()

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def a_study(number: int) -> list[Dataset]:
    return ct_series(thorax(IMAGES, 32), number=number, StudyInstanceUID=f"1.2.3.{number}")


def send_interleaved(studies: list[list[Dataset]], port: int, said: set[str]) -> None:
    """Send image after image, of each study in turn, until each was acknowledged.

    The image that was under way when the connection broke is sent again, as a router does.
    """
    left = [study[k] for k in range(IMAGES) for study in studies]
    while left:
        try:
            with RawPeer(port) as peer:
                if peer.associate(CTImageStorage, ExplicitVRLittleEndian) != 2:
                    continue
                while left and _sent(peer, left[0]):
                    said.add(str(left.pop(0).SOPInstanceUID))
        except OSError:
            threading.Event().wait(0.05)


def _sent(peer: RawPeer, data: Dataset) -> bool:
    encoded = encode(data, False, True)
    assert encoded
    peer.send(data_pdu(store_command(data.SOPClassUID, data.SOPInstanceUID), 3))
    peer.send(data_pdu(encoded, 2))
    return _SUCCESS in peer.read()[1]


@pytest.mark.parametrize("kills", [0, KILLS])
def test_a_node_killed_at_random_moments_loses_nothing(tmp_path: Path, kills: int) -> None:
    rng = random.Random(kills)  # noqa: S311  (moments, not secrets)
    studies = [a_study(number) for number in range(STUDIES)]
    said: set[str] = set()
    taken: Counter[str] = Counter()
    archive = FakeArchive()

    def count(data: Dataset) -> int:
        taken[str(data.SOPInstanceUID)] += 1
        return 0x0000

    archive.answer = count
    with archive.running(), ThreadPoolExecutor(SENDERS) as pool:
        node = Node(tmp_path / "node", archive.port)
        try:
            assert eventually(node.listens, _TIMEOUT_S)
            jobs = JobStore(f"sqlite:///{tmp_path / 'node' / 'jobs.sqlite'}", JobSettings())
            sending = [
                pool.submit(send_interleaved, studies[k::SENDERS], node.port, said)
                for k in range(SENDERS)
            ]
            whole = STUDIES * IMAGES
            for number in range(kills):  # half of them while studies come, half while they are done
                if number < kills // 2:
                    due = whole * (number + 1) // (kills // 2 + 1)
                    assert eventually(lambda due=due: len(said) >= due, _TIMEOUT_S)
                else:
                    due = STUDIES * (number - kills // 2) // (kills - kills // 2)
                    assert eventually(lambda due=due: _delivered(jobs) >= due, _TIMEOUT_S)
                threading.Event().wait(rng.random() * 0.3)
                node.restart()
                assert eventually(node.listens, _TIMEOUT_S)
            for one in sending:
                one.result(_TIMEOUT_S)
            assert eventually(lambda: _settled(jobs), _TIMEOUT_S), jobs.records.counts()
        finally:
            node.kill()
    _check_what_came(tmp_path / "node", jobs, studies, said)
    _check_what_went(jobs, archive)
    ended = jobs.records.counts()
    print(  # noqa: T201  (for who runs the full size)
        f"{STUDIES} studies, {kills} kills: {ended[State.DELIVERED]} results delivered, "
        f"{ended[State.SUPERSEDED]} revisions superseded before delivery, "
        f"{sum(taken.values()) - len(taken)} results sent a second time"
    )
    assert set(taken.values()) == {1}, "a result was sent a second time"
    assert kills or ended[State.DELIVERED] == STUDIES
    jobs.close()


def _delivered(jobs: JobStore) -> int:
    return jobs.records.counts()[State.DELIVERED]


def _settled(jobs: JobStore) -> bool:
    """Every study delivered, in its last revision."""
    last = {
        job.study_instance_uid: job for job in sorted(jobs.records.find(), key=lambda j: j.revision)
    }
    ended = [job for job in last.values() if job.state is State.DELIVERED]
    counts = jobs.records.counts()
    over = counts[State.DELIVERED] + counts[State.SUPERSEDED]
    return len(ended) == STUDIES and sum(counts.values()) == over


def _check_what_came(
    data: Path, jobs: JobStore, studies: list[list[Dataset]], said: set[str]
) -> None:
    """Everything that was acknowledged is on disk, once, as it was sent."""
    spool = Spool(data, SpoolSettings(free_floor_mb=0))
    assert len(said) == STUDIES * IMAGES
    for study in studies:
        folder = spool.study_folder(str(study[0].StudyInstanceUID))
        kept = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
        assert Counter(str(one.SOPInstanceUID) for one in kept) == {
            str(one.SOPInstanceUID): 1 for one in study
        }
        sent = {str(one.SOPInstanceUID): one.PixelData for one in study}
        assert all(one.PixelData == sent[str(one.SOPInstanceUID)] for one in kept)
    assert not list((data / "incoming").glob("*")) or said, "cut pieces are not instances"


def _check_what_went(jobs: JobStore, archive: FakeArchive) -> None:
    """One result a study and revision delivered; the last one has seen every image."""
    found = jobs.records.find([State.DELIVERED])
    uids = [f"{job.study_instance_uid}.9.{job.revision}" for job in found]
    assert len(uids) == len(set(uids))
    assert set(archive.kept) == set(uids)
    last = {job.study_instance_uid: job.revision for job in sorted(found, key=lambda j: j.revision)}
    assert len(last) == STUDIES
    for study, revision in last.items():
        assert archive.kept[f"{study}.9.{revision}"].InstanceNumber == IMAGES
