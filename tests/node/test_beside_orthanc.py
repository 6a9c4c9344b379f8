"""What docs/how-to/connect-a-pacs.md prints, run: a node beside an Orthanc as packages set it up.

Orthanc's configuration is what Debian installs, changed by the page's own commands; the node's is
the page's own file. Only places, ports and waiting times are a test's, and the analyser counts.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from docs.blocks import ROOT
from groundglass.node.assembly import open_destinations
from groundglass.node.checks import Verdict, check_node
from groundglass.node.dimse.peers import Peer
from groundglass.node.node import Node
from groundglass.node.outbound.delivery import FileStatus
from groundglass.node.outbound.send import send
from groundglass.node.queue.states import Job, State
from groundglass.node.settings import NodeSettings, load_settings
from groundglass.node.uids import ourselves
from made_ct import ct_series, thorax, write
from made_work import eventually
from node.killable_node import CountingAnalyser
from node.real_pacs import BLOCKS, Orthanc, documented, documented_orthanc

STUDIES, IMAGES, LATE = 8, 6, 5
AS_SCANNER = ourselves("SCANNER")
_TIMEOUT_S = 120
_QUICK = """
[http]
port = 0
[spool]
free_floor_mb = 0
[jobs]
quiet_s = 1.0
[worker]
poll_s = 0.1
"""


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    with documented_orthanc(tmp_path / "orthanc") as running:
        yield running


def our_file(archive: Orthanc, folder: Path) -> Path:
    """The page's settings file, at a test's places and ports, and without waiting."""
    text = documented("data = ")
    for printed, here in {
        "/var/lib/groundglass": str(folder / "data"),
        "4242": str(archive.port),
        "every_s = 300": "every_s = 0.5",
    }.items():
        assert printed in text
        text = text.replace(printed, here)
    path = folder / "groundglass.toml"
    path.write_text(f"{text}\n[listener]\nport = {archive.ours}\n{_QUICK}", "utf-8")
    return path


@contextmanager
def node(archive: Orthanc, folder: Path, *, fetching: bool) -> Iterator[Node]:
    """A node with the page's settings, or without those by which it fetches."""
    settings = load_settings(our_file(archive, folder))
    with serving(settings if fetching else replace(settings, sources=())) as running:
        yield running


@contextmanager
def serving(settings: NodeSettings) -> Iterator[Node]:
    settings.data.mkdir(mode=0o700)
    running = Node(settings, open_destinations(settings), lambda _: CountingAnalyser())
    stop = threading.Event()
    thread = threading.Thread(target=running.run, args=(stop,))
    thread.start()
    try:
        yield running
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def a_study(number: int) -> list[Dataset]:
    return ct_series(
        thorax(IMAGES + LATE, 32),
        number=number,
        StudyInstanceUID=f"1.2.3.{number}",
        PatientID=f"P{number}",
        StudyDate=f"{datetime.now(UTC).astimezone():%Y%m%d}",
    )


def scan(archive: Orthanc, images: Sequence[Dataset], folder: Path) -> None:
    """A scanner sends images to Orthanc."""
    write(list(images), folder)
    peer = Peer("ORTHANC", host="127.0.0.1", port=archive.port)
    receipts = send(sorted(folder.iterdir()), peer, AS_SCANNER)
    assert {one.status for one in receipts} == {FileStatus.ACCEPTED}, receipts


def results(archive: Orthanc) -> dict[str, int]:
    """Results in the archive: their SOP Instance UID, and of how many images each is."""
    tags = [one["MainDicomTags"] for one in archive.get("/instances?expand")]
    return {
        one["SOPInstanceUID"]: int(one["InstanceNumber"])
        for one in tags
        if ".9." in one["SOPInstanceUID"]
    }


def sent_on(archive: Orthanc) -> set[str]:
    """Modalities of the series that Orthanc has sent; every transfer went to its end."""
    assert eventually(lambda: not _jobs(archive, "Pending", "Running", "Retry"), _TIMEOUT_S)
    assert not _jobs(archive, "Failure"), "a transfer broke off"
    series = {one for job in _jobs(archive, "Success") for one in job["Content"]["ParentResources"]}
    known = {one["ID"]: one for one in archive.get("/series?expand")}
    return {known[one]["MainDicomTags"]["Modality"] for one in series if one in known}


def _jobs(archive: Orthanc, *states: str) -> list[dict[str, object]]:
    return [one for one in archive.get("/jobs?expand") if one["State"] in states]


@pytest.mark.parametrize("when", ["the first images are here", "the result is back"])
def test_late_images_reach_the_node_and_make_the_next_revision(
    archive: Orthanc, tmp_path: Path, when: str
) -> None:
    studies = {f"1.2.3.{number}": a_study(number) for number in range(STUDIES)}

    def whole_way(study: str) -> None:
        scan(archive, studies[study][:IMAGES], tmp_path / study)
        first = jobs_of if "here" in when else results_of
        assert eventually(lambda: first(study), _TIMEOUT_S)
        scan(archive, studies[study][IMAGES:], tmp_path / f"{study}-late")

    def results_of(study: str) -> dict[str, int]:
        return {uid: n for uid, n in results(archive).items() if uid.startswith(f"{study}.9.")}

    def jobs_of(study: str) -> list[Job]:
        return [job for job in jobs.find() if job.study_instance_uid == study]

    def settled() -> bool:
        """Of each study the last revision is delivered."""
        last = {job.study_instance_uid: job for job in sorted(jobs.find(), key=by_revision)}
        return all(job.state is State.DELIVERED for job in last.values()) and all(
            (IMAGES + LATE) in results_of(study).values() for study in studies
        )

    with node(archive, tmp_path, fetching=False) as running, ThreadPoolExecutor(STUDIES) as pool:
        jobs = running.stores.jobs.records
        list(pool.map(whole_way, studies))
        came = eventually(settled, _TIMEOUT_S)
        spool = running.stores.spool
        here = [len(list(spool.study_folder(study).glob("*.dcm"))) for study in studies]
        late, due = sum(here) - STUDIES * IMAGES, STUDIES * LATE
        print(f"{STUDIES} studies at once: {late} of {due} late images arrived")  # noqa: T201
        assert (late, came) == (due, True), jobs.counts()
        assert sent_on(archive) == {"CT"}, "results were sent back to us"
        revisions = Counter(job.study_instance_uid for job in jobs.find([State.DELIVERED]))
    assert len(results(archive)) == revisions.total(), "one result a revision"
    if when == "the result is back":
        assert set(revisions.values()) == {2}


def by_revision(job: Job) -> int:
    return job.revision


def test_what_orthanc_could_not_send_is_fetched(archive: Orthanc, tmp_path: Path) -> None:
    """The node is down when Orthanc sends; that is not tried again."""
    scan(archive, a_study(0), tmp_path / "study")
    assert eventually(lambda: _jobs(archive, "Failure"), _TIMEOUT_S)
    with node(archive, tmp_path, fetching=True):
        assert eventually(lambda: results(archive), _TIMEOUT_S)
        assert results(archive) == {"1.2.3.0.9.1": IMAGES + LATE}


def test_check_says_that_all_of_it_works(archive: Orthanc, tmp_path: Path) -> None:
    settings = load_settings(our_file(archive, tmp_path))
    settings.data.mkdir(mode=0o700)
    found = check_node(settings, open_destinations(settings), lambda _: CountingAnalyser())
    assert {one.what for one in found} >= {"source orthanc", "destination orthanc", "listener"}
    assert all(one.verdict is Verdict.WORKS for one in found), found


@pytest.mark.parametrize("name", ["forward.lua", "forward.json"])
def test_the_page_prints_the_files_that_ship(name: str) -> None:
    assert (ROOT / "deploy" / "orthanc" / name).read_text("utf-8") in BLOCKS


def test_a_study_is_fetched_as_the_page_says(archive: Orthanc, tmp_path: Path) -> None:
    """`[[sources]]` of another archive, by its pattern of descriptions."""
    text = documented("[[sources]]\n")
    for printed, here in {
        '"PACS"': '"ORTHANC"',
        "10.1.2.3": "127.0.0.1",
        "104": str(archive.port),
        "every_s = 300": "every_s = 0.5",
    }.items():
        assert printed in text
        text = text.replace(printed, here)
    for number, description in enumerate(("CHEST routine", "Knee")):
        images = a_study(number)
        for image in images:
            image.StudyDescription = description
        scan(archive, images, tmp_path / f"{number}")
    with alone(text, tmp_path) as running:
        assert eventually(lambda: _delivered(running), _TIMEOUT_S)
        assert [job.study_instance_uid for job in running.stores.jobs.records.find()] == ["1.2.3.0"]


def test_a_folder_is_watched_as_the_page_says(tmp_path: Path) -> None:
    place = tmp_path / "dicom-in"
    text = documented("[[watch]]").replace("/srv/dicom-in", str(place))
    write(a_study(0), place)
    (place / "report.pdf").write_text("no CT image")
    with alone(text.replace("quiet_s = 10 ", "quiet_s = 0.1\npoll_s = 0.1 "), tmp_path) as running:
        assert eventually(lambda: _delivered(running), _TIMEOUT_S)
        refused = place / ".groundglass" / "refused"
        assert eventually(lambda: list(refused.glob("*.txt")), _TIMEOUT_S)
    assert not [path for path in place.iterdir() if path.is_file()]


@contextmanager
def alone(text: str, folder: Path) -> Iterator[Node]:
    """A node with a part of a settings file, which keeps its results."""
    path = folder / "part.toml"
    path.write_text(f'data = "data"\n{text}\n[listener]\nport = 0\n{_QUICK}', "utf-8")
    with serving(load_settings(path)) as running:
        yield running


def _delivered(running: Node) -> bool:
    return running.stores.jobs.records.counts()[State.DELIVERED] > 0


def test_every_block_of_the_page_is_run() -> None:
    """Here; commands by tests/cli, `[[destinations]]` by test_fhir.py and test_hl7.py."""
    begins = ("sudo cp", "{", "-- Orthanc", 'data = "', "groundglass serve", "groundglass phantom")
    known = (*begins, "[[sources]]", "[[watch]]", "[[destinations]]")
    assert [next(one for one in known if text.startswith(one)) for text in BLOCKS] == list(known)
