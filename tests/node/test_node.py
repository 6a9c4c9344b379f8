"""A whole node in one process: it takes in, works, tells, and stops as it should."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from groundglass.core.result import StudyEnd
from groundglass.errors import GroundglassError, SettingsError
from groundglass.node.checks import Verdict, check_node
from groundglass.node.dimse.listener import Listener, ListenerSettings
from groundglass.node.health import HttpSettings
from groundglass.node.inbound.spool import SpoolSettings
from groundglass.node.inbound.watch import WatchSettings
from groundglass.node.node import Node
from groundglass.node.queue.states import JobSettings, Priority, State
from groundglass.node.rules import Rule
from groundglass.node.settings import NodeSettings
from groundglass.node.worker.analyser import AnalysisFailed, Work
from groundglass.node.worker.loop import WorkerSettings
from made_ct import as_bytes, ct_series, thorax
from made_work import eventually
from node.in_memory import sender
from node.job_twins import FROM_CT, MemoryPacs, SetClock, StubAnalyser, on_disk
from node.released_tables import make_as_released


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    return NodeSettings(
        data=tmp_path / "data",
        spool=SpoolSettings(free_floor_mb=0),
        jobs=JobSettings(quiet_s=3600),
        worker=WorkerSettings(poll_s=0.01, stop_grace_s=20.0),
        http=HttpSettings(port=0),
        listener=ListenerSettings(port=0),
        rules=(Rule("emergency", source_ae=("TEST",), priority="emergency"),),
    )


@contextmanager
def running(node: Node) -> Iterator[Callable[[], None]]:
    """Within, the node serves; what is given stops it and raises what it raised."""
    stop, ended = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            node.run(stop)
        except GroundglassError as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()
        if ended:
            raise ended[0]

    try:
        yield end
    finally:
        stop.set()
        thread.join(60)


def small_ct() -> list[Dataset]:
    """Three slices, as files would hold them."""
    return [dcmread(io.BytesIO(as_bytes(image))) for image in ct_series(thorax()[:3])]


def send(node: Node) -> str:
    """A small CT by C-STORE; its Study Instance UID."""
    images = small_ct()
    entity = sender((CTImageStorage, ExplicitVRLittleEndian))
    association = entity.associate("127.0.0.1", node.listener.port, ae_title="GROUNDGLASS")
    assert association.is_established
    assert all(association.send_c_store(image).Status == 0 for image in images)
    association.release()
    assert node.stores.jobs.arrivals.explicit_end(images[0].StudyInstanceUID)
    return str(images[0].StudyInstanceUID)


def get(node: Node, path: str) -> tuple[int, str]:
    try:
        url = f"http://127.0.0.1:{node.health.port}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def listening(node: Node) -> bool:
    return eventually(lambda: node.listener.port != 0)


def test_a_node_upgrades_the_tables_of_an_earlier_version(settings: NodeSettings) -> None:
    make_as_released(settings.data / "jobs.sqlite", "0001")
    findings = check_node(settings, {}, lambda _: StubAnalyser())
    (found,) = [one.detail for one in findings if one.what == "database"]
    assert found == "of an earlier version; the node upgrades it when it starts"
    node = Node(settings, {}, lambda _: StubAnalyser())
    with running(node) as end:
        assert listening(node)
        study = send(node)
        jobs = node.stores.jobs
        assert eventually(lambda: jobs.records.find()[0].study_instance_uid == study)
        assert jobs.records.get(1).state is State.DELIVERED
        assert jobs.records.verify().wrong == []
        end()
    assert list(settings.data.glob("jobs-form-0001-*.sqlite"))


def test_from_the_network_to_the_pacs(settings: NodeSettings) -> None:
    pacs, analyser = MemoryPacs(), StubAnalyser()
    node = Node(settings, {"pacs": pacs}, lambda _: analyser)
    with running(node) as end:
        assert listening(node)
        study = send(node)
        jobs = node.stores.jobs
        assert eventually(lambda: jobs.records.counts()[State.DELIVERED] == 1)
        (job,) = jobs.records.find()
        assert (job.study_instance_uid, job.instances) == (study, 3)
        assert (job.source_ae, job.priority) == ("TEST", Priority.EMERGENCY)
        assert get(node, "/readyz")[0] == get(node, "/healthz")[0] == 200
        figures = get(node, "/metrics")[1]
        assert 'groundglass_instances_total{fate="new"} 3.0' in figures
        assert 'groundglass_listener_total{what="instances"} 3.0' in figures
        assert 'groundglass_jobs{state="delivered"} 1.0' in figures
        end()
    assert set(pacs.kept) == {"sr.dcm", "capture.dcm"}
    assert analyser.closed


def test_a_rule_on_tags_is_asked_at_the_door_and_only_what_it_asks_is_kept(
    settings: NodeSettings,
) -> None:
    young = Rule("children", tags={"PatientAge": ("< 18",)}, priority="urgent")
    ours = Rule("scanner", tags={"Modality": ("CT",), "Rows": ("> 8",)}, priority="emergency")
    ruled = replace(settings, rules=(young, ours), worker=WorkerSettings(count=0))
    node = Node(ruled, {}, lambda _: StubAnalyser())
    with running(node):
        assert listening(node)
        send(node)
        (job,) = node.stores.jobs.records.find()
        rows = str(small_ct()[0].Rows)
    assert job.priority == Priority.EMERGENCY
    assert json.loads(job.facts) == {"Modality": ["CT"], "Rows": [rows]}


class FillingAnalyser(StubAnalyser):
    """Finds the disk full when it is to write its report, the database's disk too."""

    def __init__(self, disk: Path, times: int) -> None:
        super().__init__()
        self._disk = disk
        self._times = times
        self.ended = 0

    def analyse(self, work: Work) -> StudyEnd:
        if self.ended < self._times:
            with suppress(OSError), (self._disk / "filled").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        try:
            return super().analyse(work)
        finally:
            self.ended += 1


def test_a_disk_that_fills_up_under_the_work_spends_no_try(
    settings: NodeSettings, node_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundglass.node.worker.loop._AGAIN_S", 0.05)
    pacs, times = MemoryPacs(), 2 * settings.jobs.analysis_tries
    analyser = FillingAnalyser(node_disk, times)
    node = Node(replace(settings, data=node_disk / "data"), {"pacs": pacs}, lambda _: analyser)
    jobs = node.stores.jobs
    with running(node):
        assert listening(node)
        send(node)
        for n in range(1, times + 1):
            assert eventually(lambda n=n: analyser.ended >= n)
            (node_disk / "filled").unlink(missing_ok=True)
        assert eventually(lambda: jobs.records.counts()[State.DELIVERED] == 1)
        (job,) = jobs.records.find()
        reasons = [entry.reason for entry in jobs.records.audit_of(job)]
    assert analyser.ended == times + 1
    assert job.failures == 0
    assert not [reason for reason in reasons if "failure" in reason or "ran out" in reason]
    assert set(pacs.kept) == {"sr.dcm", "capture.dcm"}


def test_the_time_it_was_down_is_not_quiet_time(
    settings: NodeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study that was coming in when the node died waits for its sender again."""
    node = Node(settings, {}, lambda _: StubAnalyser())
    jobs = node.stores.jobs
    with monkeypatch.context() as long_ago:
        long_ago.setattr(jobs._table, "clock", SetClock(time.time() - 2 * settings.jobs.quiet_s))
        jobs.arrivals.enter(on_disk("1.2", "1.2.1"), FROM_CT)
    looked: list[int] = []
    complete = jobs.arrivals.complete_quiet
    monkeypatch.setattr(
        jobs.arrivals, "complete_quiet", lambda since: looked.append(complete(since)) or looked[-1]
    )
    with running(node) as end:
        assert eventually(lambda: len(looked) > 2)
        end()
    assert set(looked) == {0}
    assert complete() == 1, "without the node's start it would have been quiet"


def test_from_a_watched_folder(settings: NodeSettings, tmp_path: Path) -> None:
    folder = tmp_path / "watched"
    folder.mkdir()
    for number, image in enumerate(small_ct()):
        image.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    watched = replace(settings, watch=(WatchSettings(folder, quiet_s=0, poll_s=0.05),))
    node = Node(watched, {}, lambda _: StubAnalyser())
    jobs = node.stores.jobs
    with running(node):
        assert eventually(lambda: [job.instances for job in jobs.records.find()] == [3])
        assert jobs.arrivals.explicit_end(jobs.records.find()[0].study_instance_uid)
        assert eventually(lambda: jobs.records.counts()[State.DELIVERED] == 1)
        assert [job.source_ae for job in jobs.records.find()] == ["FOLDER"]
    assert not list(folder.glob("*.dcm"))


def test_stopping_lets_the_job_in_hand_end(settings: NodeSettings) -> None:
    analyser, begun, go_on = StubAnalyser(), threading.Event(), threading.Event()
    analyser.while_analysing = lambda: (begun.set(), go_on.wait(30), None)[2]
    node = Node(settings, {}, lambda _: analyser)
    with running(node) as end:
        assert listening(node)
        send(node)
        assert begun.wait(30)
        threading.Timer(0.2, go_on.set).start()
        end()
    reopened = Node(settings, {}, lambda _: StubAnalyser())
    assert [job.state for job in reopened.stores.jobs.records.find()] == [State.DELIVERED]
    reopened.health.stop()


def test_stopping_gives_back_what_takes_too_long(settings: NodeSettings) -> None:
    impatient = replace(settings, worker=WorkerSettings(poll_s=0.01, stop_grace_s=0.1))
    analyser, begun = StubAnalyser(), threading.Event()
    analyser.while_analysing = lambda: (begun.set(), analyser.wait_for_stop(), None)[2]
    node = Node(impatient, {}, lambda _: analyser)
    with running(node) as end:
        assert listening(node)
        send(node)
        assert begun.wait(30)
        end()
    reopened = Node(settings, {}, lambda _: StubAnalyser())
    (job,) = reopened.stores.jobs.records.find()
    assert (job.state, job.failures) == (State.READY, 0)
    reopened.health.stop()


def test_weights_that_cannot_be_loaded_end_the_node_with_their_reason(
    settings: NodeSettings,
) -> None:
    class Broken(StubAnalyser):
        def check(self) -> str:
            raise AnalysisFailed("no weights", expected="some", action="Restore them.")

    node = Node(settings, {}, lambda _: Broken())
    with pytest.raises(AnalysisFailed, match="no weights"):
        node.run(threading.Event())


def test_a_port_that_is_taken_ends_the_node_with_its_reason(settings: NodeSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        node = Node(
            replace(settings, listener=ListenerSettings(port=port)), {}, lambda _: StubAnalyser()
        )
        with pytest.raises(SettingsError, match=str(port)):
            node.run(threading.Event())


def test_readiness_says_that_there_is_no_room(settings: NodeSettings) -> None:
    full = replace(settings, spool=SpoolSettings(free_floor_mb=10**9))
    node = Node(full, {}, lambda _: StubAnalyser())
    with running(node):
        assert listening(node)
        code, body = get(node, "/readyz")
        assert code == 503
        assert "floor" in json.loads(body)["disk"]
        entity = sender((CTImageStorage, ExplicitVRLittleEndian))
        association = entity.associate("127.0.0.1", node.listener.port, ae_title="GROUNDGLASS")
        assert association.send_c_store(small_ct()[0]).Status == 0xA700
        association.release()
    reopened = Node(settings, {}, lambda _: StubAnalyser())
    assert reopened.stores.jobs.records.find() == ()
    reopened.health.stop()


def test_health_says_that_the_listener_takes_nobody_in_any_more(
    settings: NodeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundglass.node.dimse.own_calls._PATIENCE_S", 0.5)
    monkeypatch.setattr(Listener, "_accept", lambda _: None)
    node = Node(settings, {}, lambda _: StubAnalyser())
    with running(node):
        assert listening(node)
        code, body = get(node, "/healthz")
        assert code == 503
        assert "C-ECHO" in json.loads(body)["listener"]


def test_a_check_says_of_each_thing_whether_it_works(
    settings: NodeSettings, tmp_path: Path
) -> None:
    pacs, other = MemoryPacs(), MemoryPacs("other")
    other.down = True
    wrong = replace(
        settings,
        watch=(WatchSettings(tmp_path / "none"),),
        rules=(Rule("to nowhere", destinations=("nowhere",)),),
        database="sqlite:////nonexistent/jobs.sqlite",
    )
    found = check_node(wrong, {"pacs": pacs, "other": other}, lambda _: StubAnalyser())
    assert {one.what: one.verdict.value for one in found} == {
        "rules": "fails",
        "data folder": "works",
        "database": "fails",
        "listener": "works",
        "http": "works",
        "weights": "works",
        f"folder {tmp_path / 'none'}": "fails",
        "destination pacs": "works",
        "destination other": "silent",
    }
    assert all(one.detail for one in found)
    assert not pacs.offered
    right = check_node(settings, {}, lambda _: StubAnalyser())
    assert all(one.verdict is Verdict.WORKS for one in right)
