"""The analysis in its own process: real results, and whatever can go wrong with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from groundglass.analyse.supervisor import Limits
from groundglass.core.result import KIND_NOT_TOLD
from groundglass.errors import SettingsError
from groundglass.node.worker.analyser import (
    AnalysisFailed,
    AnalysisSettings,
    AnalysisStopped,
    NoRoom,
    ProcessAnalyser,
    Work,
)
from made_result import ANALYSIS
from made_work import alive, eventually


@pytest.fixture(scope="module")
def analyser(bundle: Path) -> Iterator[ProcessAnalyser]:
    """One that keeps its process, as a worker's does."""
    made = ProcessAnalyser(AnalysisSettings(bundle=f"{bundle}/"))
    yield made
    made.close()


@pytest.fixture
def work(phantom_study: Path, tmp_path: Path) -> Work:
    (tmp_path / "out").mkdir()
    shutil.copytree(phantom_study, tmp_path / "study")
    return Work(tmp_path / "study", tmp_path / "out", ANALYSIS)


def objects(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.dcm")}


def test_a_study_gets_its_whole_report_and_twice_the_same(
    analyser: ProcessAnalyser, work: Work, tmp_path: Path
) -> None:
    analysis = analyser.analyse(work)
    assert (analysis.outcome, analysis.label) == ("verdict", KIND_NOT_TOLD)
    assert {"read", "segment", "prepare", "classify", "report"} <= set(analysis.stages)
    assert all(seconds >= 0 for seconds in analysis.stages.values())
    document = json.loads((work.out / "result.json").read_text("utf-8"))
    assert document["reason"] == analysis.reason
    first = objects(work.out)
    assert len(first) >= 3
    again = Work(work.study, tmp_path / "again", ANALYSIS)
    analyser.analyse(again)
    assert objects(again.out) == first


def test_what_is_no_chest_ct_gets_a_capture_that_says_so(
    analyser: ProcessAnalyser, work: Work
) -> None:
    files = sorted(work.study.iterdir())
    for path in files[1:]:
        path.unlink()
    analysis = analyser.analyse(work)
    assert not analysis.label
    assert analysis.outcome in ("not-a-chest-ct", "unreadable")
    assert analysis.reason
    assert len(objects(work.out)) == 1


def test_two_patients_in_one_study_each_get_a_capture_that_says_so(
    analyser: ProcessAnalyser, work: Work
) -> None:
    for number, path in enumerate(sorted(work.study.iterdir())):
        data = pydicom.dcmread(path)
        data.PatientID = ("4711", "0815")[number % 2]
        data.save_as(path)
    analysis = analyser.analyse(work)
    assert (analysis.outcome, analysis.label) == ("unreadable", "")
    assert "2 patients" in analysis.reason
    captures = [pydicom.dcmread(path) for path in sorted(work.out.rglob("*.dcm"))]
    assert sorted(one.PatientID for one in captures) == ["0815", "4711"]
    assert len({one.SOPInstanceUID for one in captures}) == 2
    assert len({one.StudyInstanceUID for one in captures}) == 1


def test_what_is_no_image_at_all_has_a_reason(analyser: ProcessAnalyser, work: Work) -> None:
    for path in work.study.iterdir():
        path.write_bytes(b"\0" * 128 + b"DICM" + os.urandom(500))
    analysis = analyser.analyse(work)
    assert (analysis.outcome, analysis.label) == ("unreadable", "")
    assert "expected" in analysis.reason
    assert not objects(work.out)


def test_an_analysis_given_up_gets_a_capture_that_says_so(
    analyser: ProcessAnalyser, work: Work
) -> None:
    analysis = analyser.analyse(Work(work.study, work.out, ANALYSIS, given_up="it took too long"))
    assert analysis.outcome == "given-up"
    assert "it took too long" in analysis.reason
    assert len(objects(work.out)) == 1


def test_a_full_disk_is_no_fault_of_the_study_and_the_process_lives_on(
    analyser: ProcessAnalyser, work: Work, small_disk: Path
) -> None:
    analyser.check()
    child = analyser._child
    (small_disk / "filled").write_bytes(bytes(230_000))
    with pytest.raises(NoRoom):
        analyser.analyse(replace(work, out=small_disk / "report"))
    assert [path.name for path in small_disk.iterdir()] == ["filled"], "nothing half"
    assert analyser.analyse(work).label
    assert analyser._child is child


def test_a_process_that_is_killed_is_a_reason_and_the_next_study_gets_a_new_one(
    analyser: ProcessAnalyser, work: Work
) -> None:
    analyser.check()
    child = analyser._child
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(AnalysisFailed, match="SIGKILL"):
        analyser.analyse(work)
    assert analyser.analyse(work).label


def test_an_analysis_that_takes_too_long_is_stopped(
    analyser: ProcessAnalyser, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyser.check()
    child = analyser._child
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)  # it hangs
    monkeypatch.setattr(child, "_limits", Limits(time_s=0.2))
    with pytest.raises(AnalysisFailed, match=r"longer than 0\.2 s"):
        analyser.analyse(work)
    assert not alive(child.pid)


def test_an_analysis_can_be_broken_off_from_another_thread(
    analyser: ProcessAnalyser, work: Work
) -> None:
    analyser.check()
    child = analyser._child
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)
    ended: list[str] = []

    def analyse() -> None:
        try:
            analyser.analyse(work)
        except AnalysisStopped:
            ended.append("stopped")

    thread = threading.Thread(target=analyse)
    thread.start()
    waiting = Path(f"/proc/{os.getpid()}/task")
    assert eventually(lambda: not analyser._stopped.is_set() and len(list(waiting.iterdir())) > 1)
    analyser.stop()
    thread.join(30)
    assert ended == ["stopped"]


def test_memory_is_bounded(bundle: Path, work: Work) -> None:
    """The address space of the process is what it had with the networks, and so much more."""
    made = ProcessAnalyser(AnalysisSettings(bundle=f"{bundle}/", memory_mb=512))
    try:
        made.check()
        assert made._child is not None
        limits = Path(f"/proc/{made._child.pid}/limits").read_text()
        status = Path(f"/proc/{made._child.pid}/status").read_text()
    finally:
        made.close()
    (address_space,) = [line for line in limits.splitlines() if "address space" in line]
    (size,) = [line for line in status.splitlines() if line.startswith("VmSize")]
    room = int(address_space.split()[3]) - int(size.split()[1]) * 1024
    assert 400e6 < room < 520e6
    (core,) = [line for line in limits.splitlines() if "core file" in line]
    assert core.split()[4] == "0"


def test_more_memory_than_that_is_a_reason(bundle: Path, work: Work) -> None:
    """A limit that leaves no room for anything, not even another thread."""
    settings = AnalysisSettings(bundle=f"{bundle}/")
    object.__setattr__(settings, "memory_mb", 1)  # less than settings may say
    made = ProcessAnalyser(settings)
    try:
        with pytest.raises(AnalysisFailed):
            made.analyse(work)
    finally:
        made.close()


def test_weights_that_cannot_be_loaded_are_a_reason(tmp_path: Path) -> None:
    made = ProcessAnalyser(AnalysisSettings(bundle=f"{tmp_path}/none/"))
    with pytest.raises(AnalysisFailed, match=r"bundle\.json"):
        made.check()
    made.close()


def test_settings_without_sense_are_refused() -> None:
    for wrong in ({"memory_mb": 1}, {"time_limit_s": 0.0}):
        with pytest.raises(SettingsError):
            AnalysisSettings(**wrong)  # type: ignore[arg-type]
