"""The check finds what is wrong, names the rows, and never the patient."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest

from groundglass.cohort import (
    Case,
    CheckSettings,
    Cohort,
    CohortReport,
    FindingKind,
    Severity,
    check_cohort,
    read_cohort,
)
from groundglass.cohort.checks import check
from groundglass.cohort.checks.pixels import Examined
from groundglass.errors import SettingsError

STACK = {
    "window_center_hu": "-600", "window_width_hu": "1500", "spacing_slices_mm": "8",
    "spacing_rows_mm": "0.7", "spacing_columns_mm": "0.7", "first_slice": "feet",
    "first_row": "front", "first_column": "right",
}  # fmt: skip


def _check(path: Path, **settings: Any) -> CohortReport:
    return check_cohort(read_cohort(path), CheckSettings(**settings))


def _found(report: CohortReport, kind: FindingKind) -> list[tuple[int, ...]]:
    return [finding.rows for finding in report.findings if finding.kind is kind]


@pytest.fixture
def good(make_table: Any, make_image: Any) -> Path:
    """Two classes, two sources that both give both, two splits, a patient with two slices."""
    rows: list[dict[str, str]] = []
    for split in ("train", "test"):
        for label in ("CP", "healthy"):
            for source in ("here", "there"):
                name = f"{split}-{label}-{source}"
                rows += [
                    {
                        "patient": name, "label": label, "split": split, "source": source,
                        "study": make_image(f"{name}-{k}.png", seed=2 * len(rows) + k),
                    }
                    for k in range(2)
                ]  # fmt: skip
    path: Path = make_table(*rows)
    return path


def test_a_good_cohort_has_no_findings(good: Path) -> None:
    report = _check(good, labels=("CP", "healthy"))
    assert report.findings == ()
    assert report.ok
    assert (report.cases, report.patients) == (16, 8)
    assert report.counts["train"] == {"CP": 2, "healthy": 2}
    assert report.sources["here"] == {"CP": 2, "healthy": 2}


def test_progress_reaches_the_end(good: Path) -> None:
    told: list[tuple[int, int]] = []
    check_cohort(read_cohort(good), CheckSettings(), lambda *step: told.append(step))
    assert told == [(k, 16) for k in range(1, 17)]


def test_a_missing_study_is_named_by_its_row(good: Path) -> None:
    (good.parent / "train-CP-here-1.png").unlink()
    report = _check(good)
    assert _found(report, FindingKind.MISSING) == [(3,)]
    assert not report.ok
    assert not _found(report, FindingKind.UNREADABLE)


def test_a_missing_mask_is_named_by_its_row(make_table: Any, make_image: Any) -> None:
    study, mask = make_image("a.png", 1), make_image("m.png", 2)
    table = make_table({"study": study, "mask": mask}, {"study": study, "mask": "gone.png"})
    (finding,) = [f for f in _check(table).findings if f.kind is FindingKind.MISSING]
    assert (finding.rows, finding.words) == ((3,), "There is no file of the name under mask.")


def test_slices_of_16_bits_are_for_the_segmenter_alone(make_table: Any, make_image: Any) -> None:
    table = make_table({"study": "a.tif", "mask": make_image("m.png")}, {"study": "a.tif"})
    cv2.imwrite(str(table.with_name("a.tif")), np.arange(64, dtype=np.uint16).reshape(8, 8))
    assert _found(_check(table), FindingKind.UNREADABLE) == [(3,)]


def test_unknown_labels_are_named_with_all_their_rows(good: Path) -> None:
    report = _check(good, labels=("CP", "NCP"), open_studies=False)
    assert _found(report, FindingKind.UNKNOWN_LABEL) == [(6, 7, 8, 9, 14, 15, 16, 17)]
    empty = [f.words for f in report.findings if f.kind is FindingKind.EMPTY_CLASS]
    assert empty == [
        "The split test has no patient of the class 'NCP'.",
        "The split train has no patient of the class 'NCP'.",
    ]


def test_a_class_without_patients_in_a_split_is_found(make_table: Any, make_image: Any) -> None:
    table = make_table(
        {"patient": "a", "study": make_image("a.png", 1)},
        {"patient": "b", "study": make_image("b.png", 2), "label": "healthy"},
        {"patient": "c", "study": make_image("c.png", 3), "split": "test"},
        {"patient": "d", "study": make_image("d.png", 4), "label": "NCP", "split": ""},
    )
    words = [f.words for f in _check(table).findings if f.kind is FindingKind.EMPTY_CLASS]
    assert words == [
        "The split test has no patient of the class 'NCP'.",
        "The split test has no patient of the class 'healthy'.",
        "The split train has no patient of the class 'NCP'.",
    ]


def test_a_patient_in_two_splits_or_with_two_labels_is_found(
    make_table: Any, make_image: Any
) -> None:
    table = make_table(
        {"study": make_image("a.png", 1)},
        {"study": make_image("b.png", 2), "split": "test"},
        {"study": make_image("c.png", 3), "label": "healthy", "split": ""},
    )
    report = _check(table)
    assert _found(report, FindingKind.PATIENT_IN_SPLITS) == [(2, 3, 4)]
    assert _found(report, FindingKind.PATIENT_WITH_LABELS) == [(2, 3, 4)]
    assert "Doe" not in json.dumps(report.to_json())


@pytest.mark.parametrize(
    ("change", "kind", "severity"),
    [
        ({"split": "test"}, FindingKind.SAME_PIXELS, Severity.ERROR),
        ({"patient": "other"}, FindingKind.SAME_PIXELS, Severity.ERROR),
        ({"label": "healthy"}, FindingKind.SAME_PIXELS, Severity.ERROR),
        ({}, FindingKind.REPEATED, Severity.WARNING),
        ({"split": ""}, FindingKind.REPEATED, Severity.WARNING),
    ],
)
def test_the_same_pixels_twice_are_found(
    make_table: Any,
    make_image: Any,
    change: dict[str, str],
    kind: FindingKind,
    severity: Severity,
) -> None:
    first, second = make_image("a.png", 5), make_image("deep/other name.tif", 5)
    report = _check(make_table({"study": first}, {"study": second, **change}))
    about_pixels = (FindingKind.SAME_PIXELS, FindingKind.REPEATED, FindingKind.SHARED_SLICES)
    same = [f for f in report.findings if f.kind in about_pixels]
    assert [(f.kind, f.severity, f.rows) for f in same] == [(kind, severity, (2, 3))]


def test_slices_in_common_are_found(make_table: Any, tmp_path: Path, phantom_study: Path) -> None:
    """A study cut in two halves that overlap, under two patients."""
    files = sorted(phantom_study.iterdir())
    for name, part in (("low", files[:16]), ("high", files[10:])):
        (tmp_path / name).mkdir()
        for file in part:
            shutil.copy(file, tmp_path / name)
    table = make_table({"study": "low"}, {"study": "high", "patient": "other", "split": "test"})
    shared = [f for f in _check(table).findings if f.kind is FindingKind.SHARED_SLICES]
    assert [(f.rows, f.words) for f in shared] == [
        ((2, 3), "6 slices in common in the splits test, train and under different patients.")
    ]


def test_a_blank_slice_in_common_proves_nothing(
    make_table: Any, make_image: Any, tmp_path: Path
) -> None:
    for seed, name in ((1, "a"), (2, "b")):
        make_image(f"{name}/1.png", seed)
        cv2.imwrite(str(tmp_path / name / "2.png"), np.zeros((16, 16), np.uint8))
    rows = ({"study": "a"}, {"study": "b", "patient": "other", "split": "test"})
    table = make_table(*({**row, **STACK} for row in rows))
    assert not _found(_check(table), FindingKind.UNREADABLE)
    assert not _found(_check(table), FindingKind.SHARED_SLICES)
    shutil.copy(tmp_path / "a" / "1.png", tmp_path / "b" / "3.png")
    assert _found(_check(table), FindingKind.SHARED_SLICES) == [(2, 3)]


def test_corrupt_studies_are_set_aside_by_row(
    make_table: Any, make_image: Any, make_phantom_file: Any, tmp_path: Path, phantom_study: Path
) -> None:
    shutil.copytree(phantom_study, tmp_path / "Doe^Jane")
    damaged = sorted((tmp_path / "Doe^Jane").iterdir())[5].rename(tmp_path / "Doe^Jane/Doe^Jane")
    damaged.write_bytes(damaged.read_bytes()[:-5000])
    (tmp_path / "Doe^Jane.nii.gz").write_bytes(b"\x1f\x8bnot really")
    (tmp_path / "Doe^Jane.mha").write_bytes(b"ObjectType = Image\n")
    (tmp_path / "Doe^Jane.zip").write_bytes(b"PK\x03\x04 cut off")
    (tmp_path / "Doe^Jane.png").write_bytes((tmp_path / make_image("x.png")).read_bytes()[:80])
    (tmp_path / "empty Doe^Jane").mkdir()
    (tmp_path / "Doe^Jane.phantom.json").write_text("{}")
    make_image("stack/Doe^Jane 1.png", 1)
    good = [make_phantom_file("good.phantom.json", label="CP", seed=4), make_image("good.png", 8)]
    bad = [
        "Doe^Jane", "Doe^Jane.nii.gz", "Doe^Jane.mha", "Doe^Jane.zip", "Doe^Jane.png",
        "empty Doe^Jane", "Doe^Jane.phantom.json", "stack",
    ]  # fmt: skip
    table = make_table(*[{"study": name} for name in good + bad])
    report = _check(table)
    assert _found(report, FindingKind.UNREADABLE) == [(row,) for row in range(4, 12)]
    said = [f.words for f in report.findings if f.kind is FindingKind.UNREADABLE]
    for words in said:
        assert words.startswith("Found ")
        assert "Doe" not in words
        assert str(tmp_path) not in words
    usable = report.usable(read_cohort(table))
    assert [case.row for case in usable.cases] == [2, 3]


def test_a_study_without_a_chest_ct_is_unfit(
    make_table: Any, tmp_path: Path, phantom_study: Path
) -> None:
    shutil.copytree(phantom_study, tmp_path / "mr")
    for path in (tmp_path / "mr").iterdir():
        header = pydicom.dcmread(path)
        header.Modality = "MR"
        header.save_as(path)
    (finding,) = [f for f in _check(make_table({"study": "mr"})).findings if f.rows]
    assert (finding.kind, finding.rows) == (FindingKind.UNREADABLE, (2,))
    assert "no axial chest CT" in finding.words


def test_a_class_of_one_source_and_a_source_of_one_class_are_flagged(
    make_table: Any, make_image: Any
) -> None:
    def row(name: str, label: str, source: str, split: str = "train") -> dict[str, str]:
        study = make_image(f"{name}.png", sum(map(ord, name)))
        return {
            "patient": name, "label": label, "source": source, "split": split, "study": study,
        }  # fmt: skip

    table = make_table(
        row("a", "CP", "wards"),
        row("b", "NCP", "wards"),
        row("c", "healthy", "screening"),
        row("d", "CP", "wards", "test"),
        row("e", "NCP", "wards", "test"),
        row("f", "healthy", "wards", "test"),
    )
    report = _check(table)
    flags = {
        f.words.split(":")[0]
        for f in report.findings
        if f.kind in (FindingKind.CLASS_OF_ONE_SOURCE, FindingKind.SOURCE_OF_ONE_CLASS)
    }
    assert flags == {
        "In train the class 'CP' comes from the source 'wards' alone",
        "In train the class 'NCP' comes from the source 'wards' alone",
        "In train the class 'healthy' comes from the source 'screening' alone",
        "In train the source 'screening' gives the class 'healthy' alone",
    }
    assert report.ok, "a shortcut is for people to judge"


def test_without_opening_only_the_table_is_judged(make_table: Any, make_image: Any) -> None:
    make_image("a.png", 5)
    (make_table({}).parent / "b.png").write_bytes(b"no image")
    table = make_table({"study": "a.png"}, {"study": "b.png"})
    report = _check(table, open_studies=False)
    assert not _found(report, FindingKind.UNREADABLE)
    assert report.to_json()["studies_opened"] is False
    assert _found(_check(table), FindingKind.UNREADABLE) == [(3,)]


def test_errors_come_before_warnings_and_json_says_it_all(good: Path) -> None:
    cohort = read_cohort(good)
    only = Cohort(cohort.path, tuple(c for c in cohort.cases if c.source == "here" or c.row < 7))
    report = check_cohort(only, CheckSettings(labels=("CP", "healthy", "NCP")))
    severities = [f.severity for f in report.findings]
    assert severities == sorted(severities)
    assert {Severity.ERROR, Severity.WARNING} == set(severities)
    document = json.loads(json.dumps(report.to_json()))
    assert document["ok"] is False
    assert (document["cases"], document["patients"]) == (len(only.cases), len(only.patients))
    assert len(document["findings"]) == len(report.findings)
    assert document["patients_per_split_and_class"]["test"] == {"CP": 1, "healthy": 1}


def test_the_report_does_not_depend_on_the_number_of_workers(good: Path) -> None:
    (good.parent / "test-CP-here-0.png").write_bytes(b"")
    assert _check(good, workers=1) == _check(good, workers=7)


def test_negative_workers_are_refused() -> None:
    with pytest.raises(SettingsError):
        CheckSettings(workers=-1)


def test_no_warning_of_a_reader_gets_out(
    good: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    def read(case: Case) -> Examined:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.warn("Invalid value for VR PN: 'Doe^Jane'", stacklevel=1)
        warnings.warn("Invalid value for VR PN: 'Doe^Jane'", stacklevel=1)
        return Examined(case, fingerprint=str(case.row))

    monkeypatch.setattr(check, "examine", read)
    assert _check(good, workers=8).ok
    assert not recwarn.list
