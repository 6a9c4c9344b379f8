"""`groundglass batch`: a pile of studies in, a report of each and a table out, whatever happens."""

from __future__ import annotations

import csv
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from child_environment import child_environment
from groundglass.analyse.batch.analysing import Analysed
from groundglass.cli.commands.batch import _line
from groundglass.core.result import KIND_NOT_TOLD, Outcome, ShareOfSlices
from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series
from groundglass.read.studies import StudyFiles
from groundglass.report.writing import exclusive_lock
from made_ct import ct_series, write
from made_work import alive, eventually

Invoke = Callable[..., Result]
Command = Callable[..., "subprocess.CompletedProcess[str]"]
_MANY = 8
Done = tuple["subprocess.CompletedProcess[str]", Path]


def phantom(folder: Path, seed: int, slices: int = 24) -> None:
    settings = PhantomSettings(
        label="CP", severity=0.8, seed=seed, matrix=128, slice_count=slices, slice_spacing_mm=10.0
    )
    write_dicom_series(make_phantom(settings), folder)


@pytest.fixture(scope="module")
def pile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good studies, one that is no CT, and a letter; named as exports like to name them."""
    folder = tmp_path_factory.mktemp("pile")
    phantom(folder / "DOE^JANE", 4)
    phantom(folder / "DOE^JOHN", 5)
    mr = ct_series(Modality="MR", StudyInstanceUID="1.2.3.4", PatientName="DOE^JACK")
    write(mr, folder / "DOE^JACK", stem="DOE^JACK")
    (folder / "DOE^JIM.txt").write_text("a letter")
    return folder


@pytest.fixture(scope="module")
def done(
    command: Command, pile: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Done:
    out = tmp_path_factory.mktemp("done") / "reports"
    return command("batch", pile, "--out", out, "--bundle", f"{bundle}/", "--workers", 2), out


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "outcomes.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written(out: Path) -> dict[str, int]:
    """When each report was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("*/result.json")}


def test_each_study_has_its_report_and_its_line(done: Done) -> None:
    ended, out = done
    assert ended.returncode == 1, ended.stderr  # one study has no verdict
    table = rows(out)
    assert [row["outcome"] for row in table].count("verdict") == 2
    (mr,) = (row for row in table if row["outcome"] != "verdict")
    assert mr["study_instance_uid"] == "1.2.3.4"
    assert "modality MR" in mr["reason"]
    for row in table:
        folder = out / row["study"]
        if row["outcome"] == "verdict":
            assert {path.name for path in folder.iterdir()} == {
                "report.html", "result.json", "dicom"
            }  # fmt: skip
            assert row["slices"] == "24"
        else:
            assert not folder.exists()


def test_people_are_told_each_end_and_the_reasons(done: Done) -> None:
    ended, out = done
    for row in rows(out):
        assert row["study"] in ended.stdout
        assert (row["verdict"] or row["reason"]) in ended.stdout
    assert "Studies: 3" in ended.stdout
    assert "Files set aside: 1" in ended.stdout
    assert "Without a verdict: 1" in ended.stdout
    assert str(out / "outcomes.csv") in ended.stdout
    assert "Research use only" in ended.stdout
    assert ended.stderr == ""


def test_no_patient_is_named_in_names_tables_or_messages(done: Done) -> None:
    ended, out = done
    named = [path.as_posix() for path in out.rglob("*")]
    table = (out / "outcomes.csv").read_text("utf-8")
    for text in (ended.stdout, ended.stderr, table, *named):
        for identifier in ("DOE", "JANE", "JOHN", "JACK", "Phantom^", "PHANTOM-", "PH0000"):
            assert identifier not in text


def test_again_only_what_has_no_report_is_tried(
    command: Command, done: Done, pile: Path, bundle: Path, tmp_path: Path
) -> None:
    _, out = done
    shutil.copytree(out, tmp_path / "out")
    before = written(tmp_path / "out")
    more = tmp_path / "more"
    phantom(more, 6)
    inputs = (pile, more, tmp_path / "out")  # its own results are not taken for files of a study
    ended = command("batch", *inputs, "--out", tmp_path / "out", "--bundle", f"{bundle}/")
    assert "Studies: 4" in ended.stdout
    assert "2 with a report already" in ended.stdout
    after = written(tmp_path / "out")
    assert len(after) == 3
    assert {name: after[name] for name in before} == before
    assert len(rows(tmp_path / "out")) == 4


def start(*arguments: object) -> subprocess.Popen[str]:
    # A shell lets what it starts in the background ignore Ctrl-C, and so would its children.
    heeding = ("env", "--default-signal=INT")
    return subprocess.Popen(
        [*heeding, sys.executable, "-m", "groundglass", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(),
    )


def children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text("ascii")
    return [int(child) for child in found.split()]


@pytest.fixture(scope="module")
def long_pile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many good studies as keep one worker busy for longer than anyone takes to look."""
    folder = tmp_path_factory.mktemp("long-pile")
    for seed in range(_MANY):
        phantom(folder / f"{seed}", 10 + seed)
    return folder


@pytest.fixture
def begun(
    long_pile: Path, bundle: Path, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[str], tuple[object, ...], Path]]:
    """A batch by one worker that has ended its first study, with what it was called by."""
    out = tmp_path / "out"
    arguments = ("batch", long_pile, "--out", out, "--bundle", f"{bundle}/", "--workers", 1)
    process = start(*arguments)
    assert eventually(lambda: written(out)), process.communicate()
    yield process, arguments, out
    process.kill()
    process.communicate()


def test_a_batch_that_was_killed_goes_on_where_it_stopped(
    begun: tuple[subprocess.Popen[str], tuple[object, ...], Path], command: Command
) -> None:
    process, arguments, out = begun
    assert eventually(lambda: any(row["outcome"] == "verdict" for row in rows(out)))
    workers = children(process.pid)
    process.kill()
    process.wait()
    assert eventually(lambda: not any(map(alive, workers)))
    before = written(out)
    ended = command(*arguments)
    assert ended.returncode == 0, ended.stderr
    assert "with a report already" in ended.stdout
    assert [row["outcome"] for row in rows(out)] == ["verdict"] * _MANY
    kept = {name for name, when in written(out).items() if before.get(name) == when}
    assert kept
    hidden = [path for path in out.rglob("*") if path.name.startswith(".")]
    assert hidden == []


def test_ctrl_c_ends_it_at_once_and_leaves_no_half_report(
    begun: tuple[subprocess.Popen[str], tuple[object, ...], Path],
) -> None:
    process, _, out = begun
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in told
    assert not any(map(alive, workers))
    for folder in (path for path in out.iterdir() if path.is_dir()):
        shown = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        assert not shown or "result.json" in shown


def test_two_batches_into_one_folder_are_refused(
    invoke: Invoke, pile: Path, bundle: Path, tmp_path: Path
) -> None:
    with exclusive_lock(tmp_path):
        ended = invoke("batch", pile, "--out", tmp_path, "--bundle", f"{bundle}/")
    assert ended.exit_code == 1
    assert "another run writing into" in ended.stderr


def test_a_pile_without_studies_leaves_nothing(
    invoke: Invoke, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "letter.txt").write_text("a letter")
    ended = invoke("batch", tmp_path, "--out", tmp_path / "out", "--bundle", f"{bundle}/")
    assert ended.exit_code == 1
    assert "no usable image" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_class_the_bundle_does_not_have_is_wrong_use(
    invoke: Invoke, pile: Path, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = invoke("batch", pile, "--out", out, "--bundle", bundle, "--explain", "flu")
    assert ended.exit_code == 2
    assert "the class 'flu' to explain" in ended.stderr
    assert not out.exists()


def test_a_verdict_by_share_is_told_by_its_slices() -> None:
    """Its label need not be a class that has a probability."""
    study = StudyFiles("study-0001", "1.2.3", ())
    given = {"CP": 0.7, "NCP": 0.2, "healthy": 0.1}
    found = ShareOfSlices(23, 100, 0.5, 0.1, {"CP": 0.6, "NCP": 0.4}, None)
    by_vote = Analysed(Outcome.VERDICT, "so", "CP", given, 24, seconds=1.2, study=study)
    told = replace(by_vote, label=KIND_NOT_TOLD, by_share=found, notes=("Coarse.",))
    assert _line(by_vote) == "study-0001    1.2 s  CP 0.700"
    assert _line(told) == "study-0001    1.2 s  kind-not-told, 23 of 100 slices ill; Coarse."
