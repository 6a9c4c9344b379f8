"""What timing gives: samples, paired samples and targets."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

#: Does the work once and says how many seconds it took, or any other figure of one run.
Run = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of some runs, in their order; at least one."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("no runs found; expected at least one")

    @property
    def median(self) -> float:
        """The middle value."""
        return float(median(self.values))

    @property
    def low(self) -> float:
        """The smallest value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest value."""
        return max(self.values)

    def times(self, factor: float) -> Sample:
        """The same in another unit."""
        return Sample(tuple(value * factor for value in self.values))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Two things run in turn, so that what else the machine does meets both alike; in seconds."""

    ours: Sample
    peer: Sample

    @property
    def ratio(self) -> Sample:
        """How many times as long the peer took, pair by pair."""
        both = zip(self.peer.values, self.ours.values, strict=True)
        return Sample(tuple(peer / ours for peer, ours in both))


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure of a row, ours or the ratio, is meant to reach."""

    limit: float
    at_least: bool = False
    of: str = "ours"

    def met(self, figure: float) -> bool:
        """Whether a figure reaches it."""
        return figure >= self.limit if self.at_least else figure <= self.limit


def seconds(work: Callable[[], object]) -> Run:
    """A run that takes the wall time of some work."""

    def run() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return run


def repeated(run: Run, times: int, *, warm_up: bool = True) -> Sample:
    """Run so many times; the first, which fills caches, does not count."""
    if warm_up:
        run()
    return Sample(tuple(run() for _ in range(times)))


def in_turn(ours: Run, peer: Run, pairs: int, pause_s: float = 0.05) -> Pairs:
    """Run ours, the peer, ours, the peer …; the first pair fills caches and does not count.

    Each is run twice in its turn and the second time counts: of a run of 0.1 s, what the other one
    left in the caches would be a third.

    Parameters
    ----------
    ours, peer : callable
        Each runs once and returns seconds.
    pairs : int
        Pairs that count.
    pause_s : float
        Rest before each turn in s, so that threads of the one before have gone to sleep.
    """

    def turn(run: Run) -> float:
        time.sleep(pause_s)
        run()
        return run()

    found = [(turn(ours), turn(peer)) for _ in range(pairs + 1)]
    counted = found[1:]
    return Pairs(Sample(tuple(a for a, _ in counted)), Sample(tuple(b for _, b in counted)))
