"""`groundglass cohort`: tables checked, split, imported, joined and made."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from typer.testing import Result

from groundglass.cohort import read_cohort
from groundglass.cohort.importers import DATASETS
from groundglass.cohort.phantoms import PAPER_COUNTS
from groundglass.core.choices import DatasetName

Invoke = Callable[..., Result]
FEW = ("--train", 2, 2, 2, "--validation", 1, 1, 1, "--test", 1, 1, 1)


@pytest.fixture
def made(invoke: Invoke, tmp_path: Path) -> Path:
    """A good cohort."""
    done = invoke("cohort", "phantom", "--out", tmp_path / "made", *FEW, "--matrix", 64)
    assert done.exit_code == 0
    return tmp_path / "made" / "cohort.csv"


def _rewrite(table: Path, column: str, value: str, row: int) -> None:
    """Change one cell, the row counted as a spreadsheet does."""
    with table.open(newline="") as file:
        rows = list(csv.reader(file))
    rows[row - 1][rows[0].index(column)] = value
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_a_good_cohort_passes(invoke: Invoke, made: Path) -> None:
    done = invoke("cohort", "check", made, "--labels", "CP, NCP,healthy")
    assert done.exit_code == 0
    assert "No errors." in done.stdout
    assert "12 rows, 12 patients" in done.stdout


def test_the_default_cohort_has_the_papers_size(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("cohort", "phantom", "--out", tmp_path / "made")
    assert done.exit_code == 0
    assert read_cohort(tmp_path / "made" / "cohort.csv").counts() == PAPER_COUNTS


def test_errors_are_listed_with_their_rows_and_end_in_1(invoke: Invoke, made: Path) -> None:
    _rewrite(made, "label", "flu", 3)
    _rewrite(made, "study", "gone.phantom.json", 4)
    _rewrite(made, "patient", "phantom-100000", 12)
    made.with_name("100007.phantom.json").write_text("{}")
    done = invoke("cohort", "check", made, "--labels", "CP,NCP,healthy")
    assert done.exit_code == 1
    for line in (
        "row 3: The label 'flu' is none of CP, NCP, healthy.",
        "row 4: There is no file or folder of that name.",
        "rows 2, 12: One patient is in the splits test and train.",
        "row 9: Found a phantom file whose fields are not those of PhantomSettings",
    ):
        assert line in done.stdout
    assert "phantom-100000" not in done.output
    assert "This cohort has errors" in done.stdout


def test_the_json_is_alone_on_standard_output(invoke: Invoke, made: Path) -> None:
    _rewrite(made, "study", "gone.phantom.json", 4)
    done = invoke("cohort", "check", made, "--json")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert report["ok"] is False
    assert [(f["kind"], f["rows"]) for f in report["findings"]] == [("missing-study", [4])]
    assert "row 4" in done.stderr


def test_usable_rows_can_be_set_apart(invoke: Invoke, made: Path, tmp_path: Path) -> None:
    made.with_name("100001.phantom.json").write_text("{}")
    done = invoke("cohort", "check", made, "--usable", tmp_path / "made" / "usable.csv")
    assert done.exit_code == 1
    assert "11 usable rows of 12" in done.stdout
    assert invoke("cohort", "check", tmp_path / "made" / "usable.csv").exit_code == 0


def test_the_table_alone_can_be_checked(invoke: Invoke, made: Path) -> None:
    made.with_name("100007.phantom.json").write_text("{}")
    done = invoke("cohort", "check", made, "--table-only")
    assert done.exit_code == 0
    assert "nothing is known of their pixels" in done.stdout


def test_many_findings_of_a_kind_are_cut_short(invoke: Invoke, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    rows = "".join(f"p{k},s{k}.dcm,CP,train,here\n" for k in range(25))
    table.write_text(f"patient,study,label,split,source\n{rows}")
    done = invoke("cohort", "check", table)
    assert done.stdout.count("There is no file") == 20
    assert "and 5 more of the kind missing-study" in done.stdout


def test_a_table_that_is_none_is_refused_with_a_reason(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("name;path\n")
    done = invoke("cohort", "check", tmp_path / "t.csv")
    assert done.exit_code == 1
    assert "a table without the columns patient" in done.stderr


def test_splitting_twice_gives_the_same(invoke: Invoke, made: Path) -> None:
    outs = [made.with_name(f"{name}.csv") for name in "ab"]
    for out in outs:
        done = invoke(
            "cohort", "split", made, "--out", out, "--test", 0.25, "--folds", 3, "--seed", 4
        )
        assert done.exit_code == 0
        assert "validation" in done.stdout
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert {case.extra["fold"] for case in read_cohort(outs[0]).cases} == {"", "1", "2", "3"}


def test_shares_that_leave_nothing_are_wrong_use(invoke: Invoke, made: Path) -> None:
    out = made.with_name("out.csv")
    done = invoke("cohort", "split", made, "--out", out, "--test", 0.9, "--validation", 0.1)
    assert done.exit_code == 2
    assert not out.exists()


def test_a_data_set_is_imported_joined_and_its_licence_told(
    invoke: Invoke, made: Path, tmp_path: Path
) -> None:
    for name in ("CT-0/study_0001", "CT-2/study_0900"):
        path = tmp_path / "mosmed" / "studies" / f"{name}.nii.gz"
        path.parent.mkdir(parents=True)
        path.touch()
    done = invoke("cohort", "import", "mosmed", tmp_path / "mosmed", "--out", tmp_path / "m.csv")
    assert done.exit_code == 0
    assert "CC BY-NC-ND 3.0" in done.stdout
    assert "Morozov" in done.stdout
    done = invoke("cohort", "join", tmp_path / "m.csv", made, "--out", tmp_path / "all.csv")
    assert done.exit_code == 0
    cohort = read_cohort(tmp_path / "all.csv")
    assert cohort.sources == ("mosmed", "phantom")
    assert [case.row for case in cohort.cases] == list(range(2, 16))
    assert all(case.study.exists() for case in cohort.cases)


def test_an_image_stack_can_become_slices_and_columns_be_stated(
    invoke: Invoke, tmp_path: Path
) -> None:
    for k in range(3):
        path = tmp_path / "set" / "NCP" / "16" / "1164" / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((8, 8), k, np.uint8))
    common = ("cohort", "import", "cc-ccii", tmp_path / "set", "--out")
    stated = ("--state", "first_slice=head", "--state", "window_center_hu=-600")
    assert invoke(*common, tmp_path / "a.csv", "--slices", *stated).exit_code == 0
    cases = read_cohort(tmp_path / "a.csv").cases
    assert [case.study.name for case in cases] == ["0.png", "1.png", "2.png"]
    assert {case.extra["window_center_hu"] for case in cases} == {"-600"}
    for wrong in ("first_slice", "first_slice=", "colour=red"):
        done = invoke(*common, tmp_path / "b.csv", "--state", wrong)
        assert done.exit_code == 2
    assert not (tmp_path / "b.csv").exists()


def test_nothing_is_written_over(invoke: Invoke, made: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("mine")
    for arguments in (
        ("split", made, "--out", mine),
        ("join", made, "--out", mine),
        ("import", "folders", tmp_path / "made", "--out", mine),
        ("check", made, "--usable", mine),
        ("phantom", "--out", tmp_path / "made", *FEW),
    ):
        done = invoke("cohort", *arguments)
        assert done.exit_code == 1
        assert "nothing of yours is ever overwritten" in done.stderr
    assert mine.read_text() == "mine"


def test_a_patient_in_two_splits_of_a_kept_test_set_is_refused(
    invoke: Invoke, made: Path, tmp_path: Path
) -> None:
    _rewrite(made, "patient", "phantom-100000", 12)
    out = tmp_path / "out.csv"
    done = invoke("cohort", "split", made, "--out", out, "--test", 0, "--keep-test")
    assert done.exit_code == 1
    assert "row 2" in done.stderr
    assert "phantom-" not in done.stderr


def test_the_names_help_repeats_are_the_importers() -> None:
    assert get_args(DatasetName) == tuple(DATASETS)


@pytest.mark.parametrize(
    "arguments",
    [
        ("cohort", "nosuch"),
        ("cohort", "check"),
        ("cohort", "check", "nosuch.csv"),
        ("cohort", "split", __file__),
        ("cohort", "import", "nosuch", ".", "--out", "x.csv"),
        ("cohort", "import", "folders", "nosuch", "--out", "x.csv"),
        ("cohort", "phantom", "--out", "x", "--matrix", "8"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_exit_code_2(invoke: Invoke, arguments: tuple[str, ...]) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert "Usage" in done.output
