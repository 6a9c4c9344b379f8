"""The one use case: in its order, told on the way, and every end it can have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from groundglass.analyse.study import (
    ReportPlan,
    StudyObserver,
    analyse_study,
    in_a_table,
    open_chest_ct,
)
from groundglass.analyse.triage import Triage
from groundglass.core.result import KIND_NOT_TOLD, Outcome, TriageResult
from groundglass.core.study import Series, Study
from groundglass.core.volume import Volume
from groundglass.errors import (
    AssemblyError,
    BundleError,
    GroundglassError,
    NoChestCT,
    ReadError,
    ReportError,
)
from groundglass.read import read_study
from groundglass.read.reading import Progress


class Recorder(StudyObserver):
    """Writes down what it is told, each kind once in a row."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.error: GroundglassError | None = None

    def _tell(self, what: str) -> None:
        if self.told[-1:] != [what]:
            self.told.append(what)

    def reading(self, done: int, total: int) -> None:
        self._tell("reading")

    def read(self, study: Study) -> None:
        self._tell(f"{len(study.series)} read")

    def chosen(self, study: Study, series: Series) -> None:
        assert series.series_instance_uid == study.series[0].series_instance_uid
        self._tell("chosen")

    def decoding(self, done: int, total: int) -> None:
        self._tell("decoding")

    def decoded(self, volume: Volume) -> None:
        self._tell(f"{len(volume.hu)} decoded")

    def stage(self, name: str) -> None:
        self._tell(name)

    def reported(self, result: TriageResult) -> None:
        self._tell(f"reported {result.outcome}")

    def refused(self, error: GroundglassError) -> str:
        self.error = error
        return "no"


@pytest.fixture(scope="module")
def triage(bundle: Path) -> Triage:
    return Triage.load(bundle)


def reader(study: Path) -> Callable[[Progress], Study]:
    return lambda progress: read_study(study, progress=progress)


STAGES = ["segment", "measure", "prepare", "classify", "explain"]


def test_a_study_goes_the_whole_way_and_each_step_is_told_in_its_order(
    triage: Triage, phantom_study: Path, tmp_path: Path
) -> None:
    seen = Recorder()
    plan = ReportPlan(tmp_path / "report")
    end = analyse_study(partial(open_chest_ct, reader(phantom_study)), triage, seen, plan)
    files = len(list(phantom_study.iterdir()))
    opened = ["reading", "1 read", "chosen", "decoding", f"{files} decoded"]
    assert seen.told == [*opened, *STAGES, "report", "reported verdict"]
    assert end.outcome is Outcome.VERDICT
    assert sum(end.probabilities.values()) == pytest.approx(1)
    assert end.label in (*end.probabilities, KIND_NOT_TOLD)
    assert end.slices == files
    assert set(end.stages) == {"read", *STAGES, "report"}
    assert 0 < sum(end.stages.values()) <= end.seconds
    assert (tmp_path / "report" / "result.json").is_file()


def test_without_a_plan_nothing_is_written(
    triage: Triage, phantom_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = Recorder()
    end = analyse_study(partial(open_chest_ct, reader(phantom_study)), triage, seen)
    assert end.outcome is Outcome.VERDICT
    assert "report" not in seen.told
    assert list(tmp_path.iterdir()) == []


def failing(error: GroundglassError) -> Callable[[StudyObserver], Volume]:
    def opened(_observer: StudyObserver) -> Volume:
        raise error

    return opened


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (NoChestCT, Outcome.NOT_CHEST_CT),
        (ReadError, Outcome.UNREADABLE),
        (AssemblyError, Outcome.UNREADABLE),
        (ReportError, Outcome.NOT_WRITTEN),
        (BundleError, Outcome.NOT_WRITTEN),
    ],
)
def test_each_error_is_one_end(
    triage: Triage, kind: type[GroundglassError], outcome: Outcome
) -> None:
    error = kind("a", expected="b", action="c")
    seen = Recorder()
    end = analyse_study(failing(error), triage, seen)
    assert (end.outcome, end.reason, seen.error) == (outcome, "no", error)
    assert (end.label, end.probabilities, end.slices, end.stages) == ("", {}, 0, {})


def test_whoever_does_not_want_an_end_gets_the_error(triage: Triage) -> None:
    error = ReadError("a", expected="b", action="c")
    with pytest.raises(ReadError) as caught:
        analyse_study(failing(error), triage, StudyObserver())
    assert caught.value is error


def test_a_place_that_cannot_be_used_is_told_before_anything_is_read(
    triage: Triage, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    seen = Recorder()
    opened = failing(ReadError("a", expected="b", action="c"))
    end = analyse_study(opened, triage, seen, ReportPlan(tmp_path))
    assert end.outcome is Outcome.NOT_WRITTEN
    assert isinstance(seen.error, ReportError)


def test_a_reason_in_a_table_is_one_line_that_names_no_file() -> None:
    error = ReadError("in DOE  JANE.dcm\n nothing", expected="an\nimage", action="None.")
    told = in_a_table(error, ["DOE  JANE.dcm"])
    assert told == "in a file nothing; expected an image"
