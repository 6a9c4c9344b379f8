"""The folder of many reports and its table, `outcomes.csv`, which says how each study ended.

A line is added and synced as each study ends, so a run that was broken off goes on where it
stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

import groundglass
from groundglass.analyse.batch.analysing import Analysed
from groundglass.core.atomic_files import append_synced, clear_unfinished, write_whole
from groundglass.core.csv_text import csv_text, whole_rows
from groundglass.errors import ReportError
from groundglass.infer import Bundle, CpuEngine, Precision
from groundglass.read.studies import StudyFiles
from groundglass.report.writing import MANIFEST, exclusive_lock, refusing_unwritable

TABLE = "outcomes.csv"
_STUDIES = "study-*"
_WHICH = ("study", "study_instance_uid", "file", "files", "bytes")
_BY_SHARE = ("ill_slices", "judged_slices", "share")
_ENDED = ("reason", "notes", "slices", "seconds", "bundle")

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Conditions:
    """All that decides a report but the study itself."""

    bundle: Bundle
    """Weights."""
    precision: Precision
    """The number format asked for."""
    explain: str | None
    """As in `BatchSettings`."""

    def made(self, report: Path) -> bool:
        """Whether a report was made under these."""
        try:
            document = json.loads((report / MANIFEST).read_text("utf-8"))
            provenance = document["provenance"]
            return bool(
                provenance["groundglass_version"] == groundglass.__version__
                and provenance["bundle_sha256"] == dict(self.bundle.sha256)
                and provenance["recipe"] == json.loads(json.dumps(self.bundle.recipe.to_dict()))
                and provenance["precision"] == _in_use(self.precision)
                and self._explains(document)
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _explains(self, document: Mapping[str, Any]) -> bool:
        verdict = document["verdict"]
        if verdict is None:
            return True
        return bool(document["explained_label"] == (self.explain or verdict["label"]))


@dataclass(slots=True)
class Outcomes:
    """The table and the folder it lies in; `opened` keeps others out meanwhile."""

    folder: Path
    """Holds the table and a folder for each report."""
    conditions: Conditions
    """Under which studies are analysed now."""
    rows: dict[str, Row] = field(default_factory=dict)
    """By name of the study."""

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, conditions: Conditions) -> Iterator[Self]:
        """Open the folder of a run that was broken off or ended, or make one.

        Raises
        ------
        ReportError
            It holds other things, another run is writing into it, its table has the classes of
            another bundle, or it cannot be written.
        """
        outcomes = cls(folder, conditions)
        with refusing_unwritable(folder):
            made = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(folder):
            try:
                with refusing_unwritable(folder):
                    clear_unfinished(folder / TABLE)
                    outcomes._refuse_others()
                    outcomes._read()
                yield outcomes
            finally:
                if made and not any(folder.iterdir()):
                    folder.rmdir()

    @property
    def header(self) -> tuple[str, ...]:
        """Names of the columns."""
        labels = (f"p_{label}" for label in self.conditions.bundle.labels)
        return (*_WHICH, "outcome", "verdict", *labels, *_BY_SHARE, *_ENDED)

    def has(self, study: StudyFiles) -> bool:
        """Whether the study's report is there: of these files, made under these conditions."""
        row = self.rows.get(study.name)
        return (
            row is not None
            and row["slices"] != ""
            and (row["files"], row["bytes"]) == (str(len(study.entries)), str(study.size))
            and self.conditions.made(self.folder / study.name)
        )

    def add(self, analysed: Analysed) -> None:
        """Enter how a study ended, synced before the next.

        Raises
        ------
        ReportError
            The table cannot be written.
        """
        row = self._row(analysed)
        self.rows[row["study"]] = row
        with refusing_unwritable(self.folder):
            append_synced(self.folder / TABLE, csv_text([[row[name] for name in self.header]]))

    def write(self, studies: Sequence[StudyFiles]) -> Path:
        """Write the table anew, each study once: these in their order, then those of earlier runs.

        Raises
        ------
        ReportError
            The table cannot be written.
        """
        names = [study.name for study in studies if study.name in self.rows]
        self.rows = {name: self.rows[name] for name in dict.fromkeys([*names, *self.rows])}
        lines = [self.header, *([row[n] for n in self.header] for row in self.rows.values())]
        with refusing_unwritable(self.folder):
            write_whole(self.folder / TABLE, csv_text(lines), synced=True)
        return self.folder / TABLE

    def _row(self, analysed: Analysed) -> Row:
        study, bundle = analysed.study, self.conditions.bundle
        given, found = analysed.probabilities, analysed.by_share
        values: dict[str, object] = {
            "study": study.name,
            "study_instance_uid": study.study_instance_uid,
            # Nothing else tells which file a NIfTI row is about.
            "file": "" if study.study_instance_uid else study.entries[0].name,
            "files": len(study.entries),
            "bytes": study.size,
            "outcome": analysed.outcome,
            "verdict": analysed.label,
            **{f"p_{label}": repr(given[label]) if given else "" for label in bundle.labels},
            "ill_slices": found.ill if found else "",
            "judged_slices": found.judged if found else "",
            "share": repr(found.share) if found else "",
            "reason": analysed.reason,
            "notes": " ".join(analysed.notes),
            "slices": analysed.slices or "",
            "seconds": f"{analysed.seconds:.2f}",
            "bundle": f"{bundle.name} {bundle.version}",
        }
        return {name: str(value) for name, value in values.items()}

    def _refuse_others(self) -> None:
        allowed = {TABLE, *(path.name for path in self.folder.glob(_STUDIES))}
        others = sorted(path.name for path in self.folder.iterdir() if path.name not in allowed)
        if others:
            raise ReportError(
                f"{len(others)} other things in {self.folder}, such as {others[0]!r}",
                expected="an empty directory, or one with the reports of an earlier batch",
                action="Give another directory for the reports.",
            )

    def _read(self) -> None:
        """The rows that are whole; a line cut short was not synced, and its study comes again."""
        table = self.folder / TABLE
        if not table.exists():
            return
        records = whole_rows(table.read_text("utf-8"))
        if records and tuple(records[0]) != self.header:
            raise ReportError(
                f"a {TABLE} with other columns in {self.folder}",
                expected=", ".join(self.header),
                action="Give another directory: this bundle has other classes, or the table is of "
                "another version or was changed.",
            )
        for record in records[1:]:
            if len(record) == len(self.header):
                row = dict(zip(self.header, record, strict=True))
                self.rows[row["study"]] = row


@cache
def _in_use(precision: Precision) -> str:
    """What is asked for as this processor has it; asked only where there is a report to compare."""
    return CpuEngine(precision).precision.value
