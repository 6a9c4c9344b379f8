"""Which studies are called whole, which wait, and how long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from groundglass.core.analysis import Completeness
from groundglass.errors import SettingsError
from groundglass.node.dimse.clients import PeerError
from groundglass.node.dimse.commitment import Reference
from groundglass.node.dimse.listener import ListenerSettings
from groundglass.node.dimse.peers import Peer
from groundglass.node.inbound.archives import Archives, CompletenessSettings, open_archives
from groundglass.node.inbound.completeness import CompletenessWatch
from groundglass.node.inbound.sources import PacsSourceSettings
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import Awaited, Job, JobSettings, State
from node.job_twins import CT, FROM_CT, SetClock, on_disk

STUDY = "1.2"
WANTED = CompletenessSettings(settle_s=3.0, longest_pause_s=30.0)


class TwinArchive:
    """Lists what a test says; can be down."""

    def __init__(self, **series: int) -> None:
        self.images_of = {name: range(count) for name, count in series.items()}
        self.kind = CT
        self.down = False
        self.asked = 0

    def images(self, study_instance_uid: str) -> dict[str, list[Reference]]:
        assert study_instance_uid == STUDY
        self.asked += 1
        if self.down:
            raise PeerError("a fault", expected="none", action="Wait.")
        return {
            name: [(self.kind, f"{name}.{n}") for n in numbers]
            for name, numbers in self.images_of.items()
        }


class Scene:
    """A study that comes in, an archive that has it, and the time."""

    def __init__(self, jobs: JobStore, clock: SetClock) -> None:
        self.jobs, self.clock = jobs, clock
        self.archive = TwinArchive(a=90)
        archives = Archives({"CT1": self.archive}, "", clock, WANTED.longest_pause_s)
        self.watch = CompletenessWatch(WANTED, archives, jobs)

    def come(self, series: str, first: int, last: int) -> None:
        for number in range(first, last):
            self.jobs.arrivals.enter(on_disk(STUDY, f"{series}.{number}"), FROM_CT)

    def wait(self, seconds: float, step: float = 1.0) -> float | None:
        """Let time go by as a node would; after how many s the study was ready."""
        gone = 0.0
        while gone < seconds:
            self.clock.go(step)
            gone += step
            self.watch.look_once()
            self.jobs.arrivals.complete_quiet()
            if self.job.state is State.READY:
                return gone
        return None

    @property
    def job(self) -> Job:
        return self.jobs.records.find()[0]


@pytest.fixture
def scene(clock: SetClock) -> Iterator[Scene]:
    jobs = JobStore("sqlite://", JobSettings(quiet_s=10, longest_wait_s=90), clock)
    yield Scene(jobs, clock)
    jobs.close()


def test_a_pause_after_55_of_90_images_is_not_the_end(scene: Scene) -> None:
    scene.come("a", 0, 55)
    assert scene.wait(60) is None
    assert (scene.job.completeness, scene.job.expected_instances) == ("incomplete", 90)
    scene.come("a", 55, 90)
    waited = scene.wait(30)
    assert waited is not None
    assert waited <= 2 * WANTED.settle_s
    assert scene.job.completeness == Completeness.VERIFIED
    assert scene.job.missing == ""
    assert "all 90 images that CT1 lists" in scene.job.reason


def test_what_does_not_come_is_not_waited_for_for_ever(scene: Scene) -> None:
    scene.come("a", 0, 55)
    assert scene.wait(120) == scene.jobs.settings.longest_wait_s
    assert scene.job.completeness == Completeness.INCOMPLETE
    assert scene.job.missing == '{"a": 35}'
    assert "35 images" in scene.job.reason


def test_an_archive_that_grows_still_is_asked_again(scene: Scene) -> None:
    scene.archive.images_of = {"a": range(55)}
    scene.come("a", 0, 55)
    scene.watch.look_once()
    scene.archive.images_of = {"a": range(56)}
    assert scene.wait(5) is None
    scene.come("a", 55, 56)
    assert scene.wait(20) is not None
    assert scene.job.expected_instances == 56


def test_one_list_alone_is_not_believed(scene: Scene) -> None:
    scene.archive.images_of = {"a": range(10)}
    scene.come("a", 0, 10)
    assert scene.watch.look_once() == 0
    scene.clock.go(WANTED.settle_s - 0.1)
    assert scene.watch.look_once() == 0
    scene.clock.go(0.1)
    assert scene.watch.look_once() == 1


def test_a_series_of_which_nothing_came_may_come_within_the_quiet_time(scene: Scene) -> None:
    scene.archive.images_of = {"scout": range(2), "a": range(90)}
    scene.come("scout", 0, 2)
    assert scene.wait(8) is None
    scene.come("a", 0, 90)
    assert (scene.wait(20) or 99) <= 2 * WANTED.settle_s
    assert scene.job.completeness == Completeness.VERIFIED


def test_a_series_that_nobody_sends_is_waited_for_no_longer(scene: Scene) -> None:
    scene.archive.images_of = {"a": range(90), "thin": range(900)}
    scene.come("a", 0, 90)
    assert scene.wait(30) == scene.jobs.settings.quiet_s
    assert scene.job.completeness == Completeness.VERIFIED


@pytest.mark.parametrize("how", ["down", "unknown", "behind", "other classes"])
def test_where_nobody_can_say_it_is_said(scene: Scene, how: str) -> None:
    """Down; of another study; with less than came, as when a modality sends to both at once."""
    scene.archive.down = how == "down"
    scene.archive.kind = "1.2.840.10008.5.1.4.1.1.7" if how == "other classes" else CT
    if how in ("unknown", "behind"):
        scene.archive.images_of = {"a": range(40)} if how == "behind" else {}
    scene.come("a", 0, 55)
    assert scene.wait(30) == scene.jobs.settings.quiet_s
    assert scene.job.completeness == Completeness.NOT_VERIFIED
    assert scene.job.missing == ""


def test_what_an_archive_listed_holds_while_it_is_down(scene: Scene) -> None:
    scene.come("a", 0, 55)
    scene.watch.look_once()
    scene.archive.down = True
    assert scene.wait(30) is None
    scene.come("a", 55, 89)
    assert scene.wait(2) is None
    scene.come("a", 89, 90)
    assert scene.wait(100) == scene.jobs.settings.longest_wait_s, "it paused for 30 s before"
    assert scene.job.completeness == Completeness.NOT_VERIFIED


def test_it_is_asked_ever_more_rarely(scene: Scene) -> None:
    scene.come("a", 0, 55)
    asked = [scene.wait(1) or scene.archive.asked for _ in range(85)]
    pauses = [asked.count(times) for times in range(1, max(asked))]
    assert pauses[1:] == [6, 12, 24, 30]


def test_a_sender_that_pauses_long_is_given_longer(scene: Scene) -> None:
    scene.archive.down = True
    for number in range(3):
        scene.come("a", number, number + 1)
        scene.clock.go(8)
    scene.come("a", 3, 4)
    assert scene.wait(60) == 24


def test_on_both_databases(jobs: JobStore, clock: SetClock) -> None:
    scene = Scene(jobs, clock)
    scene.archive.images_of = {"a": range(4)}
    scene.come("a", 0, 3)
    assert scene.wait(4) is None
    assert (scene.job.completeness, scene.job.missing) == ("incomplete", '{"a": 1}')
    scene.come("a", 3, 4)
    assert scene.wait(6) is not None
    assert scene.job.completeness == Completeness.VERIFIED


def test_an_image_that_comes_while_it_is_asked_counts(scene: Scene) -> None:
    scene.archive.images_of = {"a": range(10)}
    scene.come("a", 0, 10)
    before = scene.job
    scene.clock.go(1)
    scene.come("a", 10, 11)
    assert not scene.jobs.arrivals.complete(before, Awaited(10, {}, 0), "whole")
    scene.jobs.arrivals.await_listed(before, Awaited(10, {"a": 1}, 0))
    assert (scene.job.state, scene.job.completeness) == (State.RECEIVED, "")


def test_the_sender_is_asked_first_then_the_archive_of_the_settings(clock: SetClock) -> None:
    sender, store = TwinArchive(a=1), TwinArchive(a=2)
    archives = Archives({"CT1": sender, "store": store}, "store", clock, 30.0)
    assert archives.listing("CT1", STUDY) == ("CT1", {"a": frozenset({"a.0"})})
    assert archives.listing("CT2", STUDY) == ("store", {"a": frozenset({"a.0", "a.1"})})
    sender.down = True
    assert (archives.listing("CT1", STUDY) or ("",))[0] == "store"


def test_one_that_does_not_answer_is_left_alone_for_a_while(clock: SetClock) -> None:
    sender = TwinArchive(a=1)
    archives = Archives({"CT1": sender}, "", clock, 30.0)
    sender.down = True
    for _ in range(5):
        assert archives.listing("CT1", STUDY) is None
    assert sender.asked == 1
    sender.down = False
    clock.go(30)
    assert archives.listing("CT1", STUDY) is not None


def test_the_settings_say_who_is_asked(clock: SetClock) -> None:
    listener = ListenerSettings(
        peers=(Peer("CT1", ("10.0.0.1",)), Peer("PACS", ("10.0.0.2",), host="10.0.0.2"))
    )
    source = PacsSourceSettings("a long name of an archive", "STORE", "10.0.0.3", 104)
    asked = open_archives(CompletenessSettings(), listener, (source,), clock)
    assert set(asked._known) == {"PACS", "a long name of a"}
    assert asked._default == "a long name of a"
    nobody = open_archives(CompletenessSettings(ask=False), listener, (source,), clock)
    assert not nobody._known
    with pytest.raises(SettingsError, match=r"completeness\.archive"):
        open_archives(CompletenessSettings(archive="none"), listener, (source,), clock)
