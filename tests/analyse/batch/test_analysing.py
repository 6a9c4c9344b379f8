"""Studies one after the other in a process, and side by side in several."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from collections import Counter
from pathlib import Path

import pytest

from groundglass.analyse import study as one_study
from groundglass.analyse.batch import analysing
from groundglass.analyse.batch.analysing import (
    Analysed,
    BatchSettings,
    StudyAnalyser,
    analyse_each,
)
from groundglass.analyse.supervisor import Broken, Limits
from groundglass.core.result import Outcome
from groundglass.core.study import Series
from groundglass.core.volume import Volume
from groundglass.errors import SettingsError
from groundglass.read import read_volume
from groundglass.read.format import Progress
from groundglass.read.studies import StudyFiles, find_studies


def settings(bundle: Path, workers: int = 2) -> BatchSettings:
    return BatchSettings(bundle=f"{bundle}/", workers=workers)


def without_times(report: Path) -> dict[str, object]:
    document = json.loads((report / "result.json").read_text("utf-8"))
    document.pop("timings_ms")
    document["files"].pop("report.html")  # shows the times
    return document  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def studies(pile: Path) -> tuple[StudyFiles, ...]:
    return find_studies([pile])[0]


@pytest.fixture(scope="module")
def ended(
    studies: tuple[StudyFiles, ...], bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Analysed], Path]:
    out = tmp_path_factory.mktemp("reports")
    return list(analyse_each(studies, out, settings(bundle))), out


def test_every_study_ends_once_and_failures_stop_nobody(
    ended: tuple[list[Analysed], Path], studies: tuple[StudyFiles, ...]
) -> None:
    found, out = ended
    assert sorted(one.study.name for one in found) == sorted(study.name for study in studies)
    assert Counter(one.outcome for one in found) == {
        "verdict": 2,
        Outcome.UNREADABLE: 1,
        "not-a-chest-ct": 1,
    }
    for one in found:
        assert (out / one.study.name / "result.json").is_file() == one.has_report
        assert one.seconds > 0
        assert bool(one.label) == (one.outcome == "verdict")
        assert one.slices == (24 if one.label else 0)


def test_reasons_are_one_line_and_name_no_file(ended: tuple[list[Analysed], Path]) -> None:
    for one in ended[0]:
        assert one.reason
        assert "\n" not in one.reason
        assert "DOE" not in one.reason
    (missing,) = (one for one in ended[0] if one.outcome == Outcome.UNREADABLE)
    assert "slice" in missing.reason
    (mr,) = (one for one in ended[0] if one.outcome == "not-a-chest-ct")
    assert "MR" in mr.reason


def test_side_by_side_gives_what_one_after_the_other_gives(
    ended: tuple[list[Analysed], Path], bundle: Path, tmp_path: Path
) -> None:
    found, out = ended
    analyse = StudyAnalyser(settings(bundle), tmp_path)
    for one in found:
        again = analyse(one.study)
        assert (again.outcome, again.label, again.reason) == (one.outcome, one.label, one.reason)
        assert again.probabilities == pytest.approx(one.probabilities, abs=1e-5)
        if one.label:
            ours, theirs = (without_times(f / one.study.name) for f in (tmp_path, out))
            assert ours["input"] == theirs["input"]
            assert set(ours["files"]) == set(theirs["files"])  # type: ignore[call-overload]


def test_a_volume_is_gone_before_the_next_is_read(
    studies: tuple[StudyFiles, ...], bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumes: list[weakref.ref[object]] = []
    held: list[int] = []

    def reading(series: Series, progress: Progress) -> Volume:
        gc.collect()
        held.append(sum(one() is not None for one in volumes))
        volume = read_volume(series, progress=progress)
        volumes.append(weakref.ref(volume.hu))
        return volume

    monkeypatch.setattr(one_study, "read_volume", reading)
    analyse = StudyAnalyser(settings(bundle), tmp_path)
    for study in studies:
        analyse(study)
    assert held == [0] * 3  # the MR has no series to read
    assert len(volumes) == 2  # the one with a gap is refused while it is read


def test_a_report_that_cannot_be_written_is_told_before_the_analysis(
    studies: tuple[StudyFiles, ...], bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / studies[0].name).mkdir()
    (tmp_path / studies[0].name / "notes.txt").write_text("mine")
    ended = StudyAnalyser(settings(bundle), tmp_path)(studies[0])
    assert ended.outcome == Outcome.NOT_WRITTEN
    assert ended.slices == 0
    assert [path.name for path in (tmp_path / studies[0].name).iterdir()] == ["notes.txt"]


def test_files_that_vanish_meanwhile_are_one_study_s_failure(
    pile: Path, bundle: Path, tmp_path: Path
) -> None:
    shutil.copytree(pile / "DOE^JANE", tmp_path / "pile" / "a")
    shutil.copytree(pile / "DOE^JOHN", tmp_path / "pile" / "b")
    studies, _ = find_studies([tmp_path / "pile"])
    shutil.rmtree(tmp_path / "pile" / "a")
    found = list(analyse_each(studies, tmp_path / "out", settings(bundle, 1)))
    assert sorted(one.outcome for one in found) == [Outcome.UNREADABLE, "verdict"]


def test_the_largest_study_comes_first(
    studies: tuple[StudyFiles, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[StudyFiles] = []

    def taken(_begin: object, tasks: list[StudyFiles], _workers: int, _limits: Limits) -> object:
        given.extend(tasks)
        return (one for one in ())

    monkeypatch.setattr(analysing, "in_processes", taken)
    list(analyse_each(studies, tmp_path, BatchSettings()))
    sizes = [study.size for study in given]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == len(studies)


def test_a_study_in_whose_midst_its_process_ended_says_so(
    studies: tuple[StudyFiles, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Broken("its process was ended by SIGKILL")

    def ended(_begin: object, tasks: list[StudyFiles], _workers: int, _limits: Limits) -> object:
        return ((task, lost) for task in tasks)

    monkeypatch.setattr(analysing, "in_processes", ended)
    found = list(analyse_each(studies, tmp_path, BatchSettings()))
    assert {one.outcome for one in found} == {Outcome.BROKE_DOWN}
    assert {one.reason for one in found} == {lost.how}
    assert not any(one.has_report for one in found)


def test_each_study_is_held_to_its_limits(
    studies: tuple[StudyFiles, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Limits] = []

    def taken(_begin: object, _tasks: list[StudyFiles], _workers: int, limits: Limits) -> object:
        given.append(limits)
        return (one for one in ())

    monkeypatch.setattr(analysing, "in_processes", taken)
    list(analyse_each(studies, tmp_path, BatchSettings(memory_mb=600, time_limit_s=3.0)))
    assert given == [Limits(memory_mb=600, time_s=3.0)]


def test_fewer_than_no_workers_are_refused() -> None:
    with pytest.raises(SettingsError, match="-1 workers"):
        BatchSettings(workers=-1)


@pytest.mark.parametrize("wrong", [{"memory_mb": 1}, {"time_limit_s": 0.0}], ids=str)
def test_limits_without_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        BatchSettings(**wrong)  # type: ignore[arg-type]
