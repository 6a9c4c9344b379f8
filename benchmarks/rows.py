"""The rows of a benchmark's table, and what a section gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.samples import Pairs, Sample, Target


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, beside that of a peer where there is one.

    Parameters
    ----------
    what : str
        What was measured.
    ours : Sample or None
        Our figure; None where it could not be measured.
    unit : str
        Of both figures.
    peer : str
        Whom it is compared with, version included.
    theirs : Sample or None
        The peer's figure.
    ratio : Sample or None
        How many times ours the peer's is, pair by pair.
    target : Target or None
        What is meant to be reached.
    note : str
        What must be known to read the figure, or why there is none.
    """

    what: str
    ours: Sample | None = None
    unit: str = "ms"
    peer: str = ""
    theirs: Sample | None = None
    ratio: Sample | None = None
    target: Target | None = None
    note: str = ""

    @classmethod
    def of_pairs(cls, what: str, peer: str, pairs: Pairs, **more: Any) -> Row:
        """A row of paired times, in ms."""
        ours, theirs = pairs.ours.times(1000), pairs.peer.times(1000)
        return cls(what, ours, peer=peer, theirs=theirs, ratio=pairs.ratio, **more)

    @classmethod
    def missing(cls, what: str, reason: str, **more: Any) -> Row:
        """A row that says why there is no figure."""
        return cls(what, note=f"not measured: {reason}", **more)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None without target or figure."""
        figure = None if self.target is None else getattr(self, self.target.of)
        return None if self.target is None or figure is None else self.target.met(figure.median)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": _sample(self.ours),
            "peer": self.peer,
            "theirs": _sample(self.theirs),
            "ratio": _sample(self.ratio),
            "target": None if self.target is None else _target(self.target, self.unit),
            "met": self.met,
            "note": self.note,
        }


@dataclass(slots=True)
class Section:
    """What one section found: rows, Markdown of its own, PNG files by name, more for the JSON."""

    rows: list[Row] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """With what everything is measured.

    Parameters
    ----------
    bundle : str
        Name or folder of the weights.
    peers_python : str
        The interpreter that has the peers.
    studies : Path
        Where made studies are kept from one run to the next.
    marked_slices : Path
        Annotated slices for Dice.
    pairs : int
        Pairs, or runs, that count.
    cohort : int
        Studies of the cohort.
    patients : int
        Made patients for comparing number formats.
    tell : callable
        Told what is being done.
    """

    bundle: str
    peers_python: str
    studies: Path
    marked_slices: Path
    pairs: int = 5
    cohort: int = 24
    patients: int = 12
    tell: Callable[[str], None] = print


def table(header: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)


def _sample(sample: Sample | None) -> dict[str, Any] | None:
    if sample is None:
        return None
    found = {"median": sample.median, "low": sample.low, "high": sample.high}
    return {**found, "values": list(sample.values)}


def _target(target: Target, unit: str) -> str:
    shown = "×" if target.of == "ratio" or unit == "×" else f" {unit}"
    return f"{'≥' if target.at_least else '≤'} {target.limit:g}{shown}".rstrip()
