"""How often readers agree with verdicts, with the interval that so few readings leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from groundglass.evaluate.statistics.intervals import wilson
from groundglass.web.readings.readings import Answer, Reading


@dataclass(frozen=True, slots=True)
class Agreement:
    """Readings of one kind of verdict."""

    bundle: str
    verdict: str
    month: str
    """`bundle`, `verdict`, `month`: which ones; the month as 2026-11. Empty for all of them."""
    agree: int
    disagree: int
    unsure: int
    """`agree`, `disagree`, `unsure`: readings."""

    @property
    def decided(self) -> int:
        """Readings that say yes or no."""
        return self.agree + self.disagree

    @property
    def share(self) -> float | None:
        """Part of the decided that agree, 0 to 1; None without any."""
        return self.agree / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Its 95 % interval (Wilson); None without any."""
        found = wilson(self.agree, self.decided)
        return None if found is None else (found.low, found.high)


def agreement(readings: Iterable[Reading], *, by_month: bool = False) -> list[Agreement]:
    """Per bundle, verdict and, if wanted, month; readings of studies without verdict count not."""
    counts: dict[tuple[str, str, str], Counter[Answer]] = {}
    for one in readings:
        if one.verdict:
            month = f"{datetime.fromtimestamp(one.at, UTC):%Y-%m}" if by_month else ""
            key = one.bundle, one.verdict, month
            counts.setdefault(key, Counter())[one.opinion.answer] += 1
    return [
        Agreement(*key, found[Answer.AGREE], found[Answer.DISAGREE], found[Answer.UNSURE])
        for key, found in sorted(counts.items())
    ]


def agreement_with(readings: Iterable[Reading], bundle: str, verdict: str) -> Agreement:
    """Return this site's own record of one verdict of one bundle."""
    mine = [one for one in readings if (one.bundle, one.verdict) == (bundle, verdict)]
    found = agreement(mine)
    return found[0] if found else Agreement(bundle, verdict, "", 0, 0, 0)
