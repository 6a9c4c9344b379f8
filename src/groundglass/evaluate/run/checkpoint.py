"""Answers on disk as they come, so that a broken run goes on where it stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from groundglass.core.atomic_files import append_synced
from groundglass.core.csv_text import csv_text, whole_rows
from groundglass.core.result import Outcome
from groundglass.errors import InputError, ReportError
from groundglass.evaluate.run.case_prediction import AS_IN_SERVICE, Answer, CasePrediction, Strata
from groundglass.evaluate.run.trivial import NAMES, TrivialStatistics
from groundglass.report.writing import refusing_unwritable

_RUN, _ANSWERS = "run.json", "predictions.csv"
_STRATA = ("source", "scanner", "thickness_mm", "sex", "age_years")
_ABOUT = ("row", "patient", "truth", *_STRATA, *NAMES)
_SAID = ("images", "outcome", "verdict", "forced", "share", "ill", "judged")


@dataclass(frozen=True, slots=True)
class Table:
    """Which columns a table of answers has."""

    labels: tuple[str, ...]
    """The bundle's classes."""
    images: tuple[str, ...] = (AS_IN_SERVICE,)
    """AS_IN_SERVICE and the probes: the lines each case has."""

    @property
    def header(self) -> tuple[str, ...]:
        """Names of the columns."""
        return (*_ABOUT, *_SAID, *(f"p_{label}" for label in self.labels), "reason", "seconds")

    def lines(self, case: CasePrediction) -> str:
        """A case as lines of CSV; numbers are written so that reading gives the same bits."""
        strata = case.strata
        rows: list[tuple[object, ...]] = []
        about = (case.row, case.patient, case.truth, strata.source, strata.scanner,
                 _text(strata.thickness_mm), strata.sex, _text(strata.age_years),
                 *(astuple(case.trivial) if case.trivial else [""] * len(NAMES)))  # fmt: skip
        for images in self.images:
            answer = case.answers[images]
            given = answer.probabilities or {}
            rows.append((
                *about, images, answer.outcome, answer.label, answer.forced,
                _text(answer.share), answer.ill, answer.judged,
                *(_text(given.get(label)) for label in self.labels),
                answer.reason, f"{case.seconds:.3f}",
            ))  # fmt: skip
        return csv_text(rows)

    def content(self, cases: Sequence[CasePrediction]) -> bytes:
        """A whole table, UTF-8."""
        return "".join([csv_text([self.header]), *map(self.lines, cases)]).encode()

    def read(self, text: str) -> Iterator[CasePrediction]:
        """The cases whose every line is whole; a line cut short ends the table.

        Raises
        ------
        InputError
            Other columns.
        """
        records = whole_rows(text)
        if not records or tuple(records[0]) != self.header:
            raise InputError(
                "a table of answers with other columns",
                expected=", ".join(self.header),
                action="Begin again without --resume.",
            )
        step = len(self.images)
        for start in range(1, len(records) - step + 1, step):
            yield self._case([dict(zip(self.header, record, strict=True))
                                for record in records[start : start + step]])  # fmt: skip

    def _case(self, lines: Sequence[Mapping[str, str]]) -> CasePrediction:
        first = lines[0]
        strata = Strata(
            first["source"],
            first["scanner"],
            _number(first["thickness_mm"]),
            first["sex"],
            _number(first["age_years"]),
        )
        return CasePrediction(
            row=int(first["row"]),
            patient=int(first["patient"]),
            truth=first["truth"],
            strata=strata,
            answers={line["images"]: self._answer(line) for line in lines},
            seconds=float(first["seconds"]),
            trivial=_trivial(first),
        )

    def _answer(self, line: Mapping[str, str]) -> Answer:
        outcome = Outcome(line["outcome"])
        given = None
        if outcome is Outcome.VERDICT:
            given = {label: float(line[f"p_{label}"]) for label in self.labels}
        return Answer(
            outcome,
            line["reason"],
            line["verdict"],
            given,
            line["forced"],
            *(int(line[name]) if line[name] else None for name in ("ill", "judged")),
        )


def _trivial(line: Mapping[str, str]) -> TrivialStatistics | None:
    if not line["slices"]:
        return None
    return TrivialStatistics(int(line["slices"]), *(float(line[name]) for name in NAMES[1:]))


def _text(value: float | None) -> str:
    return "" if value is None else repr(float(value))


def _number(text: str) -> float | None:
    return float(text) if text else None


class Checkpoint:
    """A folder beside the report's, made by `begin`: what is evaluated, and the answers so far."""

    def __init__(self, folder: Path, table: Table) -> None:
        self.folder = folder
        self._table = table

    def begin(self, identity: Mapping[str, Any], *, resume: bool) -> tuple[CasePrediction, ...]:
        """Start, or go on with a broken run; the answers that are there.

        Everything that decides the answers is in `identity`, as JSON: a broken run goes on only
        with the same.

        Raises
        ------
        ReportError
            There is a broken run and `resume` is not set, or its identity is another, or the
            folder cannot be written.
        """
        run = self.folder / _RUN
        with refusing_unwritable(self.folder):
            if not run.is_file():
                self.folder.mkdir(parents=True, exist_ok=True)
                (self.folder / _ANSWERS).write_bytes(self._table.content(()))
                run.write_text(_form(identity), "utf-8")
                return ()
            if not resume:
                raise ReportError(
                    f"a broken run in {self.folder}",
                    expected="no earlier run, or --resume to go on with it",
                    action="Add --resume, or remove that folder to begin again.",
                )
            if run.read_text("utf-8") != _form(identity):
                raise ReportError(
                    f"a broken run of something else in {self.folder}",
                    expected="the same cohort, split, bundle, probes, number format and version",
                    action="Remove that folder to begin again, or give another --out.",
                )
            done = tuple(self._table.read((self.folder / _ANSWERS).read_text("utf-8")))
            (self.folder / _ANSWERS).write_bytes(self._table.content(done))
            return done

    def add(self, case: CasePrediction) -> None:
        """Write a case's answers, whole and synced, before the next."""
        with refusing_unwritable(self.folder):
            append_synced(self.folder / _ANSWERS, self._table.lines(case))

    @staticmethod
    def end(folder: Path) -> None:
        """Remove the checkpoints in a folder: a finished run needs them no more."""
        shutil.rmtree(folder, ignore_errors=True)


def _form(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, indent=1, sort_keys=True) + "\n"
