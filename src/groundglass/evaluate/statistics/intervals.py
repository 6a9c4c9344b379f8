"""Confidence intervals of proportions."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from groundglass.errors import SettingsError

#: The level of the paper's field: two-sided 95 %.
DEFAULT_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval."""

    low: float
    high: float
    """`low`, `high`: its ends, both included."""
    level: float
    """Wanted coverage, 0 to 1."""
    method: str
    """How it was computed, in words for a table's caption."""


def check_level(level: float) -> None:
    """Refuse a confidence level outside (0, 1)."""
    if not 0 < level < 1:
        raise SettingsError(
            f"a confidence level of {level}",
            expected="a number between 0 and 1",
            action="Give 0.95 for 95 %.",
        )


def wilson(successes: int, trials: int, level: float = DEFAULT_LEVEL) -> Interval | None:
    """Wilson's score interval of a proportion, without continuity correction.

    Keeps its coverage for small samples and for proportions of 0 and 1, where the usual ±1.96 SE
    has no width. Source: Wilson, J Am Stat Assoc 1927;22:209; recommended by Newcombe, Stat Med
    1998;17:857 (method 3).

    Parameters
    ----------
    successes, trials : int
        Counts of patients, 0 ≤ successes ≤ trials.
    level : float
        Confidence level.

    Returns
    -------
    Interval or None
        None without trials: there is no proportion then.

    Raises
    ------
    SettingsError
        Counts that cannot be, or a level outside (0, 1).
    """
    check_level(level)
    if not 0 <= successes <= trials:
        raise SettingsError(
            f"{successes} successes in {trials} trials",
            expected="0 ≤ successes ≤ trials",
            action="Give counts of patients.",
        )
    if trials == 0:
        return None
    found = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    return Interval(float(found.low), float(found.high), level, "Wilson score")
