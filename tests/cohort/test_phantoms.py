"""Made cohorts: the paper's size, seeds of their own, nothing that tells the class but disease."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from groundglass.cohort import open_study, read_cohort
from groundglass.cohort.phantoms import (
    PhantomCohortSettings,
    made_patient,
    read_phantom_settings,
    write_phantom_cohort,
)
from groundglass.errors import InputError, ReportError, SettingsError
from groundglass.phantom import LABELS

FEW = {"train": {"CP": 2, "NCP": 1}, "test": {"healthy": 1}}


def test_the_cohort_has_the_papers_size_and_seeds_of_its_own(tmp_path: Path) -> None:
    made = write_phantom_cohort(PhantomCohortSettings(), tmp_path / "c")
    cohort = read_cohort(tmp_path / "c" / "cohort.csv")
    assert cohort == made
    counts = cohort.counts()
    assert counts["test"] == {"CP": 25, "NCP": 33, "healthy": 20}
    both = {label: counts["train"][label] + counts["validation"][label] for label in LABELS}
    assert both == {"CP": 95, "NCP": 96, "healthy": 79}
    assert counts["validation"] == {"CP": 10, "NCP": 10, "healthy": 8}
    assert len({case.extra["seed"] for case in cohort.cases}) == len(cohort.cases) == 348


def test_the_files_are_the_patients(tmp_path: Path) -> None:
    cohort = write_phantom_cohort(PhantomCohortSettings(FEW, 7, matrix=64), tmp_path / "c")
    assert [case.label for case in cohort.cases] == ["CP", "CP", "NCP", "healthy"]
    for seed, case in enumerate(cohort.cases, 7):
        assert read_phantom_settings(case.study) == made_patient(case.label, seed, 64)


def test_severity_and_spacing_come_from_the_seed_and_not_from_the_class() -> None:
    for seed in range(40):
        drawn = {
            (p.severity, p.slice_spacing_mm) for p in (made_patient(x, seed, 64) for x in LABELS)
        }
        assert len(drawn) == 1
    severities = [made_patient("CP", seed, 64).severity for seed in range(200)]
    assert min(severities) < 0.25
    assert max(severities) > 0.9


def test_the_same_settings_give_the_same_files(tmp_path: Path) -> None:
    for name in "ab":
        write_phantom_cohort(PhantomCohortSettings(FEW), tmp_path / name)
    files = [{p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "ab"]
    assert files[0] == files[1]
    assert len(files[0]) == 5


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(ReportError, match="holds something"):
        write_phantom_cohort(PhantomCohortSettings(FEW), tmp_path)
    with pytest.raises(ReportError, match="cannot be written"):
        write_phantom_cohort(PhantomCohortSettings(FEW), tmp_path / "mine" / "below")
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "counts", [{"dev": {"CP": 1}}, {"train": {"flu": 1}}, {"train": {"CP": -1}}, {"train": {}}]
)
def test_counts_that_make_no_sense_are_refused(counts: dict[str, dict[str, int]]) -> None:
    with pytest.raises(SettingsError):
        PhantomCohortSettings(counts)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no JSON"),
        ("[]", "not those of PhantomSettings"),
        (json.dumps({"label": "CP"}), "not those of PhantomSettings"),
        (json.dumps({"label": "CP", "seed": 1, "colour": 2}), "not those of PhantomSettings"),
        (json.dumps({"label": "flu", "seed": 1}), "label 'flu'"),
        (json.dumps({"label": "CP", "seed": "one"}), "wrong type"),
    ],
)
def test_a_damaged_patient_file_is_refused_by_row(tmp_path: Path, content: str, words: str) -> None:
    cohort = write_phantom_cohort(PhantomCohortSettings(FEW), tmp_path / "c")
    cohort.cases[1].study.write_text(content)
    with pytest.raises(InputError, match=f"row 3: .*{words}"):
        open_study(cohort.cases[1])
