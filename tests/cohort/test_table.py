"""The table: what is read is what was written, and what cannot be used is refused with its row."""

from __future__ import annotations

import builtins
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundglass.cohort import SPLITS, Case, Cohort, patient_hash, read_cohort, write_cohort
from groundglass.errors import InputError, ReadError, ReportError, SettingsError


def test_paths_are_resolved_against_the_tables_folder(make_table: Any, tmp_path: Path) -> None:
    path = make_table({"study": "deep/../a.png"}, {"study": "/else/where"})
    cohort = read_cohort(path)
    assert [case.study for case in cohort.cases] == [tmp_path / "a.png", Path("/else/where")]
    assert [case.row for case in cohort.cases] == [2, 3]


def test_other_columns_are_kept(make_table: Any) -> None:
    case = read_cohort(make_table({"age": "61", "scanner": ""})).cases[0]
    assert dict(case.extra) == {"age": "61", "scanner": ""}


def test_the_order_of_columns_and_blank_lines_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "source,label,patient,split,study\n\n here ,CP,p1,,a.png\n\nhere,CP,p2,test,b.png\n"
    )
    cases = read_cohort(path).cases
    assert [(case.patient, case.source, case.row) for case in cases] == [
        ("p1", "here", 3),
        ("p2", "here", 5),
    ]


def test_a_table_from_a_spreadsheet_with_a_byte_order_mark_is_read(make_table: Any) -> None:
    path = make_table({})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_cohort(path).cases) == 1


_word = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=12)
_cell = st.one_of(st.just(""), _word)


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(_word, _word, _word, st.sampled_from(("", *SPLITS)), _word, _cell), min_size=1
    ),
    suffix=st.sampled_from([".csv", ".parquet"]),
)
def test_what_is_read_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], suffix: str
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("round")
    cases = tuple(
        Case(p, folder / f"s{k}" if len(name) % 2 else Path("/data") / f"s{k}", label, split,
             source, k, {"note, with comma": note, 'quote"': name})
        for k, (p, name, label, split, source, note) in enumerate(rows, 2)
    )  # fmt: skip
    path = folder / f"table{suffix}"
    assert read_cohort(write_cohort(Cohort(path, cases), path)) == Cohort(path, cases)


def test_a_moved_folder_is_still_a_cohort(make_table: Any, tmp_path: Path) -> None:
    cohort = read_cohort(make_table({"study": "in/a.png"}))
    (tmp_path / "old").mkdir()
    inside = Cohort(tmp_path / "x.csv", cohort.cases)
    write_cohort(inside, tmp_path / "x.csv")
    assert "in/a.png" in (tmp_path / "x.csv").read_text()
    assert str(tmp_path) not in (tmp_path / "x.csv").read_text()
    write_cohort(inside, tmp_path / "old" / "x.csv")
    assert str(tmp_path / "in" / "a.png") in (tmp_path / "old" / "x.csv").read_text()


@pytest.mark.parametrize("gone", ["patient", "study", "label", "split", "source"])
def test_a_missing_column_is_refused(make_table: Any, gone: str) -> None:
    columns = [name for name in ("patient", "study", "label", "split", "source") if name != gone]
    with pytest.raises(InputError, match=f"without the columns {gone}"):
        read_cohort(make_table({}, columns=columns))


def test_a_table_with_semicolons_is_told_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("patient;study;label;split;source\n")
    with pytest.raises(InputError, match="separated by commas"):
        read_cohort(path)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"patient": ""}, "row 3: no patient"),
        ({"study": " "}, "row 3: no study"),
        ({"label": "", "source": ""}, "row 3: no label and no source"),
        ({"split": "holdout"}, "row 3: the split 'holdout'"),
    ],
)
def test_a_bad_row_is_refused_by_number(make_table: Any, row: dict[str, str], words: str) -> None:
    with pytest.raises(InputError) as refused:
        read_cohort(make_table({}, row))
    assert words in str(refused.value)
    assert "row 2" not in str(refused.value)
    assert "Doe" not in str(refused.value)


def test_all_bad_rows_are_named_at_once_up_to_a_limit(make_table: Any) -> None:
    with pytest.raises(InputError, match=r"row 2: .*row 3: .*row 9: .*and 2 more rows"):
        read_cohort(make_table(*[{"label": ""}] * 10))


def test_rows_of_another_length_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("patient,study,label,split,source\na,b,c\n")
    with pytest.raises(InputError, match="row 2: 3 cells under 5 columns"):
        read_cohort(path)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("patient,study,label,split,source,age,age", r"columns of one name \(age\)"),
        ("patient,study,label,split,source,", "a column without a name"),
    ],
)
def test_columns_must_be_told_apart(tmp_path: Path, header: str, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{header}\n")
    with pytest.raises(InputError, match=words):
        read_cohort(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'patient,"study', "no comma-separated table"),
        (b"patient,study,label,split,source\n", "without cases"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_cohort(path)


def test_no_such_table(tmp_path: Path) -> None:
    for name in ("none.csv", "none.parquet"):
        with pytest.raises(ReadError, match="no table"):
            read_cohort(tmp_path / name)
    with pytest.raises(ReadError, match="no table that can be read"):
        read_cohort(tmp_path)


def test_a_damaged_parquet_table_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 or so")
    with pytest.raises(ReadError, match="Parquet file that cannot be read"):
        read_cohort(tmp_path / "t.parquet")


def test_parquet_without_its_library_is_told(
    make_table: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = read_cohort(make_table({}))
    load = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return load(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    for known in [name for name in sys.modules if name.startswith("pyarrow")]:
        monkeypatch.delitem(sys.modules, known)
    for use in (lambda: write_cohort(cohort, tmp_path / "t.parquet"),
                lambda: read_cohort(tmp_path / "t.parquet")):  # fmt: skip
        with pytest.raises(ReadError, match=r"pip install '\.\[evaluate\]'"):
            use()


def test_a_table_that_cannot_be_written_leaves_nothing(make_table: Any, tmp_path: Path) -> None:
    cohort = read_cohort(make_table({}))
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(ReportError):
        write_cohort(cohort, tmp_path / "taken.csv")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cohort.csv", "taken.csv"]


def test_a_case_is_valid_or_not_there() -> None:
    good = ("p", Path("/s"), "CP", "", "here", 2)
    assert Case(*good)
    for at, bad in ((0, " "), (2, ""), (3, "dev"), (4, ""), (1, Path("relative"))):
        with pytest.raises(InputError, match="row 2"):
            Case(*good[:at], bad, *good[at + 1 :])  # type: ignore[arg-type]


def test_a_case_can_travel_between_processes_and_be_a_key() -> None:
    case = Case("p", Path("/s"), "CP", "", "here", 2, {"age": "4"})
    assert pickle.loads(pickle.dumps(case)) == case  # noqa: S301  (our own)
    assert {case: 1}[case] == 1


def test_counts_are_of_patients_in_every_split_and_class(make_table: Any) -> None:
    cohort = read_cohort(
        make_table(
            {"patient": "a"},
            {"patient": "a"},
            {"patient": "b", "label": "healthy", "split": "test"},
            {"patient": "c", "split": ""},
        )
    )
    assert cohort.labels == ("CP", "healthy")
    assert cohort.patients == ("a", "b", "c")
    assert cohort.sources == ("here",)
    assert cohort.splits == ("train", "test", "")
    assert cohort.counts() == {
        "train": {"CP": 1, "healthy": 0},
        "test": {"CP": 0, "healthy": 1},
        "": {"CP": 1, "healthy": 0},
    }
    assert [case.row for case in cohort.of_split("train").cases] == [2, 3]
    assert cohort.of_split("validation").cases == ()
    assert [case.row for case in cohort.of_label("healthy").cases] == [4]
    with pytest.raises(SettingsError, match="'dev'"):
        cohort.of_split("dev")


def test_hashes_tell_patients_apart_and_depend_on_the_salt() -> None:
    one = patient_hash("Doe^Jane", "salt")
    assert one == patient_hash(" Doe^Jane ", "salt")
    assert len({one, patient_hash("Doe^John", "salt"), patient_hash("Doe^Jane", "pepper")}) == 3
    assert len(one) == 64
    assert int(one, 16)
    with pytest.raises(SettingsError, match="salt"):
        patient_hash("Doe^Jane", "")
