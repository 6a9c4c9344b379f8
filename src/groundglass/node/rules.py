"""Rules: which study goes first, and whose results go where."""

from __future__ import annotations

import re
from collections.abc import Sequence

from groundglass.core.choices import PriorityName
from groundglass.errors import SettingsError
from groundglass.node.queue.states import Priority
from groundglass.settings.toml import settings

#: The names of `Priority`, as settings and the command line spell them.


@settings
class Rule:
    """What holds for the studies it fits: all, where it names neither sender nor description."""

    name: str
    """For people. `[[rules]]` tables are tried in their order."""
    source_ae: tuple[str, ...] = ()
    """AE titles of senders it fits; empty for any."""
    study_description: str = ""
    """Regular expression (Python's, upper and lower case alike) that must be found somewhere in
    StudyDescription; empty for any."""
    priority: PriorityName = "routine"
    """Emergency studies go first, then urgent ones. A study that several rules fit has the highest
    of their priorities."""
    destinations: tuple[str, ...] = ()
    """Names of the destinations of its results; the first fitting rule that names any decides. A
    study that none decides for goes to every destination."""

    def __post_init__(self) -> None:
        try:
            re.compile(self.study_description)
        except re.error as error:
            raise SettingsError(
                f"study_description = {self.study_description!r} in rule {self.name!r} ({error})",
                expected="a regular expression",
                action="A plain word fits where it occurs; put \\ before characters like ( or +.",
            ) from error

    def fits(self, source_ae: str, study_description: str) -> bool:
        """Whether it holds for a study."""
        from_there = not self.source_ae or source_ae in self.source_ae
        return from_there and bool(
            re.search(self.study_description, study_description, re.IGNORECASE)
        )


class Rules:
    """All rules, in their order; without any everything is routine and goes everywhere.

    Raises
    ------
    SettingsError
        A rule names a destination that there is not.
    """

    def __init__(self, rules: Sequence[Rule], destinations: Sequence[str]) -> None:
        self._rules = tuple(rules)
        self._all = tuple(destinations)
        for rule in rules:
            unknown = sorted(set(rule.destinations) - set(destinations))
            if unknown:
                raise SettingsError(
                    f"destination {unknown[0]!r} in rule {rule.name!r}",
                    expected=f"one of {', '.join(sorted(destinations)) or 'none: none is defined'}",
                    action="Add a [[destinations]] table of this name, or correct the rule.",
                )

    def priority(self, source_ae: str, study_description: str) -> Priority:
        """The highest priority of the rules that fit."""
        fitting = [r for r in self._rules if r.fits(source_ae, study_description)]
        return max((Priority[r.priority.upper()] for r in fitting), default=Priority.ROUTINE)

    def destinations(self, source_ae: str, study_description: str) -> tuple[str, ...]:
        """Where the results go, by name."""
        for rule in self._rules:
            if rule.destinations and rule.fits(source_ae, study_description):
                return rule.destinations
        return self._all
