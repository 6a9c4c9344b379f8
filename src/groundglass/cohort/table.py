"""The table on disk: CSV or Parquet, one row a study."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from groundglass.cohort.case import SPLITS, Case, Cohort
from groundglass.core.atomic_files import write_whole
from groundglass.core.csv_text import csv_text
from groundglass.errors import InputError, ReadError, ReportError, install_extra

#: The columns every table has, in the order in which they are written.
COLUMNS = ("patient", "study", "label", "split", "source")
#: Other columns that hold paths: masks of the lungs and of the disease.
PATH_COLUMNS = ("mask", "lesion_mask")
#: Of `COLUMNS`, cells that may be empty.
_MAY_BE_EMPTY = frozenset(("split",))
_PARQUET = (".parquet", ".pq")
#: Problems shown of a table that has many.
_SHOWN = 8
#: The header is row 1.
_FIRST_ROW = 2

_Rows = Iterable[tuple[int, Sequence[str]]]


def read_cohort(path: str | Path) -> Cohort:
    """Read a table of patients.

    Opens no study. Columns `patient, study, label, split, source` in any order; all others go to
    `Case.extra`. A relative path of a study or a mask (columns `mask`, `lesion_mask`) counts from
    the table's folder.

    Parameters
    ----------
    path : str or Path
        `.csv` (UTF-8, commas) or `.parquet`, which needs pyarrow.

    Returns
    -------
    Cohort
        At least one case, in the table's order.

    Raises
    ------
    ReadError
        No such file, no table, or pyarrow is missing.
    InputError
        A column is missing, or rows have empty cells or unknown splits; all rows are named.
    """
    path = _absolute(Path(path))
    header, rows = _read_parquet(path) if path.suffix in _PARQUET else _read_csv(path)
    _check_header(header)
    cases: list[Case] = []
    problems: list[str] = []
    for number, cells in rows:
        problem = _problem(header, cells)
        if problem:
            problems.append(f"row {number}: {problem}")
        else:
            cases.append(_case(dict(zip(header, cells, strict=True)), number, path.parent))
    if problems:
        shown = problems[:_SHOWN]
        if len(problems) > _SHOWN:
            shown.append(f"and {len(problems) - _SHOWN} more rows")
        raise InputError(
            f"rows of the table that cannot be used ({'; '.join(shown)})",
            expected=f"a patient, study, label and source in every row, and {', '.join(SPLITS)} "
            "or nothing as split",
            action="Correct these rows, or leave them out.",
        )
    if not cases:
        raise InputError(
            "a table without cases", expected="one row a study", action="Fill the table."
        )
    return Cohort(path, tuple(cases))


def write_cohort(cohort: Cohort, path: str | Path) -> Path:
    """Write a table that `read_cohort` reads back as the same cases.

    Studies below the table's folder are written relative to it, so that the folder can be moved;
    others by their absolute path. Row numbers are those of the new table.

    Parameters
    ----------
    cohort : Cohort
        What to write.
    path : str or Path
        `.csv` or `.parquet`; a file of that name is replaced, whole or not at all.

    Returns
    -------
    Path
        The table, absolute.

    Raises
    ------
    ReportError
        It cannot be written there.
    ReadError
        Parquet without pyarrow.
    """
    path = _absolute(Path(path))
    more = list(dict.fromkeys(name for case in cohort.cases for name in case.extra))
    header = [*COLUMNS, *more]
    rows = [_cells(case, more, path.parent) for case in cohort.cases]
    data = _to_parquet(header, rows) if path.suffix in _PARQUET else _to_csv(header, rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        raise ReportError(
            f"a table that cannot be written ({error.strerror})",
            expected="a folder this user may write to",
            action="Give another place, or mend the permissions.",
        ) from error
    return path


def _absolute(path: Path) -> Path:
    """Absolute and without `..`; links stay as they are named."""
    return Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would follow links)


def _read_csv(path: Path) -> tuple[list[str], _Rows]:
    try:
        text = path.read_text("utf-8-sig")
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except OSError as error:
        raise _no_table(f"no table that can be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise _no_table("a table that is not UTF-8 text") from error
    except csv.Error as error:
        raise _no_table(f"a file that is no comma-separated table ({error})") from error
    if not records:
        raise _no_table("an empty file")
    header = [name.strip() for name in records[0]]
    rows = [
        (number, [cell.strip() for cell in record])
        for number, record in enumerate(records[1:], _FIRST_ROW)
        if any(record)
    ]
    return header, rows


def _read_parquet(path: Path) -> tuple[list[str], _Rows]:
    pa, parquet = _pyarrow()
    try:
        table = parquet.read_table(path)
    except FileNotFoundError as error:
        raise _no_table("no table of that name") from error
    except (OSError, pa.ArrowException) as error:
        raise _no_table(f"a Parquet file that cannot be read ({type(error).__name__})") from error
    columns = [
        ["" if value is None else str(value).strip() for value in column.to_pylist()]
        for column in table.columns
    ]
    header = [str(name) for name in table.column_names]
    return header, list(enumerate((list(cells) for cells in zip(*columns, strict=True)),
                                  _FIRST_ROW))  # fmt: skip


def _pyarrow() -> tuple[Any, Any]:
    """The library and its Parquet module; an extra, so imported only here."""
    try:
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise ReadError(
            "a Parquet table, and no pyarrow to read it",
            expected="pyarrow, which comes with the extra `evaluate`, or a table as CSV",
            action=f"Save the table as CSV. {install_extra('evaluate')}",
        ) from error
    return pa, parquet


def _no_table(found: str) -> ReadError:
    return ReadError(
        found,
        expected="a CSV (UTF-8, commas) or Parquet table of patients",
        action="Give such a table; docs/reference/cohort-table.md describes it.",
    )


def _check_header(header: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in header]
    twice = [name for name, count in Counter(header).items() if count > 1]
    if missing:
        raise InputError(
            f"a table without the columns {', '.join(missing)}; it has "
            f"{', '.join(name or '(no name)' for name in header)}",
            expected=f"the columns {', '.join(COLUMNS)}, separated by commas",
            action="Add them. `split` may be left empty.",
        )
    if twice or "" in header:
        raise InputError(
            f"columns of one name ({', '.join(twice)})" if twice else "a column without a name",
            expected="every column once, with a name",
            action="Rename or remove the others.",
        )


def _problem(header: Sequence[str], cells: Sequence[str]) -> str:
    """Why a row cannot be used; empty when it can."""
    if len(cells) != len(header):
        return f"{len(cells)} cells under {len(header)} columns"
    values = dict(zip(header, cells, strict=True))
    empty = [name for name in COLUMNS if not values[name] and name not in _MAY_BE_EMPTY]
    if empty:
        return f"no {' and no '.join(empty)}"
    if values["split"] not in ("", *SPLITS):
        return f"the split {values['split']!r}"
    return ""


def _case(values: Mapping[str, str], row: int, folder: Path) -> Case:
    return Case(
        patient=values["patient"],
        study=_absolute(folder / values["study"]),
        label=values["label"],
        split=values["split"],
        source=values["source"],
        row=row,
        extra={
            name: str(_absolute(folder / cell)) if cell and name in PATH_COLUMNS else cell
            for name, cell in values.items()
            if name not in COLUMNS
        },
    )


def _cells(case: Case, more: Sequence[str], folder: Path) -> list[str]:
    extra = {
        name: _relative(Path(cell), folder) if cell and name in PATH_COLUMNS else cell
        for name, cell in case.extra.items()
    }
    return [
        case.patient,
        _relative(case.study, folder),
        case.label,
        case.split,
        case.source,
        *(extra.get(name, "") for name in more),
    ]


def _relative(path: Path, folder: Path) -> str:
    """A path below the table's folder from there; any other as it is."""
    below = path.is_relative_to(folder) and path != folder
    return (path.relative_to(folder) if below else path).as_posix()


def _to_csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    return csv_text([header, *rows]).encode()


def _to_parquet(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    pa, parquet = _pyarrow()
    columns = {name: [row[index] for row in rows] for index, name in enumerate(header)}
    table = pa.table(columns, schema=pa.schema([(name, pa.string()) for name in header]))
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()
