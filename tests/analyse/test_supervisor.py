"""Tasks in processes of their own: all done, none lost but those whose process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from groundglass.analyse import supervisor
from groundglass.analyse.supervisor import (
    UNLIMITED,
    Broken,
    Child,
    Limits,
    Ready,
    in_processes,
    usual_workers,
)
from groundglass.errors import GroundglassError
from made_work import Working, alive, eventually, no_weights

TESTS = Path(__file__).resolve().parents[1]
SOURCES = TESTS.parent / "src"


@pytest.fixture(autouse=True)
def _work_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(SOURCES)]))


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_every_task_is_answered_once(workers: int) -> None:
    tasks = [f"square {k}" for k in range(7)]
    found = dict(in_processes(Working, tasks, workers))
    assert found == {f"square {k}": k * k for k in range(7)}


def test_no_task_is_no_work() -> None:
    assert list(in_processes(Working, [], 2)) == []


def test_each_process_keeps_to_its_share_of_the_cores() -> None:
    mine = sorted(os.sched_getaffinity(0))
    (whole,) = (answer for _, answer in in_processes(Working, ["cores"], 1))
    assert whole == mine
    # More tasks than workers: which process takes how many is not known, their shares are.
    shares = [answer for _, answer in in_processes(Working, ["cores"] * 6, len(mine))]
    assert {core for share in shares for core in share} <= set(mine)
    assert all(len(share) == 1 for share in shares)


def test_a_process_that_is_killed_loses_its_own_task_only() -> None:
    tasks = ["square 1", "die", "square 2", "die", "square 3"]
    found = list(in_processes(Working, tasks, 2))
    assert sorted(task for task, _ in found) == sorted(tasks)
    for task, answer in found:
        if task == "die":
            assert isinstance(answer, Broken)
            assert "SIGKILL" in answer.how
        else:
            assert answer == int(task[-1]) ** 2


def test_a_defect_says_its_kind_and_place_and_quotes_nothing() -> None:
    tasks = ["fail DOE^JANE", "square 3"]
    found = dict(in_processes(Working, tasks, 1))
    assert found["square 3"] == 9
    assert found["fail DOE^JANE"] == Broken(
        "something unforeseen happened: ValueError in Working.fail"
    )


def test_what_a_task_prints_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(in_processes(Working, ["print DOE^JANE"], 1)) == [("print DOE^JANE", None)]
    assert capfd.readouterr() == ("", "")


def test_processes_that_cannot_begin_end_the_work() -> None:
    with pytest.raises(GroundglassError, match=r"RuntimeError in Working\.__init__") as caught:
        list(in_processes(partial(Working, "DOE^JANE"), ["square 1"], 2))
    assert "DOE" not in str(caught.value)


def test_weights_that_cannot_be_loaded_are_told_in_their_own_words() -> None:
    with pytest.raises(GroundglassError, match="no weights"):
        list(in_processes(no_weights, ["square 1"], 1))


def test_a_task_that_takes_too_long_loses_its_own_answer_only(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    tasks = ["square 1", f"hang {begun}", "square 2"]
    found = dict(in_processes(Working, tasks, 1, Limits(time_s=2.0)))
    assert found["square 1"] == 1
    assert found["square 2"] == 4
    assert found[f"hang {begun}"] == Broken("the analysis took longer than 2 s")
    assert not alive(int(begun.read_text()))


def test_a_task_that_takes_too_much_memory_loses_its_own_answer_only() -> None:
    tasks = ["square 1", "fill 300", "fill 30", "square 2"]
    found = dict(in_processes(Working, tasks, 1, Limits(memory_mb=200)))
    assert found == {
        "square 1": 1,
        "fill 300": Broken("the analysis needed more than 200 MB"),
        "fill 30": 30_000_000,
        "square 2": 4,
    }


def test_an_answer_that_is_more_than_data_is_not_taken() -> None:
    found = dict(in_processes(Working, ["answer_code x", "square 2"], 1))
    assert found["square 2"] == 4
    assert isinstance(found["answer_code x"], Broken)


def test_how_a_process_ended_is_what_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_ENDING_S", 1.0)
    found = dict(in_processes(Working, ["leave 3", "close x"], 1))
    assert found == {
        "leave 3": Broken("its process ended with exit code 3"),
        "close x": Broken("its process gave no answer that can be read"),
    }


def test_nothing_is_dumped_and_no_interrupt_arrives() -> None:
    child = Child(Working, UNLIMITED)
    try:
        assert isinstance(child.receive(), Ready)
        os.kill(child.pid, signal.SIGINT)
        os.kill(child.pid, signal.SIGTERM)
        child.give("square 3")
        assert child.receive() == 9
        limits = Path(f"/proc/{child.pid}/limits").read_text()
    finally:
        child.end()
    (core,) = [line for line in limits.splitlines() if "core file" in line]
    assert core.split()[4] == "0"


def test_closing_ends_what_runs(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    work = in_processes(Working, [f"hang {begun}", "process"], 2)
    _, other = next(work)
    assert isinstance(other, int)
    assert eventually(lambda: begun.is_file() and begun.read_text())
    work.close()
    assert not alive(int(begun.read_text()))
    assert not alive(other)


def test_processes_do_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    script = (
        "from groundglass.analyse.supervisor import in_processes\n"
        "from made_work import Working\n"
        f"list(in_processes(Working, ['hang {begun}'], 1))\n"  # no guard of __main__ is needed
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    assert eventually(lambda: begun.is_file() and begun.read_text())
    child = int(begun.read_text())
    assert alive(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert eventually(lambda: not alive(child))


@pytest.mark.parametrize(("free_gb", "expected"), [(100, 16), (2.5, 2), (0.1, 1)])
def test_usually_one_process_a_core_as_far_as_memory_goes(
    monkeypatch: pytest.MonkeyPatch, free_gb: float, expected: int
) -> None:
    monkeypatch.setattr(supervisor, "usable_cores", lambda: tuple(range(16)))
    monkeypatch.setattr(supervisor, "_free_bytes", lambda: int(free_gb * 1e9))
    assert usual_workers() == expected
