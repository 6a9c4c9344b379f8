"""Rules: which study goes first, and whose results go where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field
from typing import Annotated

from pydantic import BeforeValidator

from groundglass.core.choices import PriorityName
from groundglass.errors import SettingsError
from groundglass.node.queue.states import Priority
from groundglass.node.rule_tags import TagTest, TagValues
from groundglass.settings.toml import settings

#: One pattern, or a list of which one must fit.
Patterns = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda given: tuple(given) if isinstance(given, list | tuple) else (given,)),
]


@settings
class Rule:
    """What holds for the studies it fits: all, where it names no condition."""

    name: str
    """For people. `[[rules]]` tables are tried in their order."""
    source_ae: tuple[str, ...] = ()
    """AE titles of senders it fits; empty for any."""
    study_description: str = ""
    """Regular expression (Python's, upper and lower case alike) that must be found somewhere in
    StudyDescription; empty for any."""
    tags: dict[str, Patterns] = field(default_factory=dict)
    """What else the images' headers must say, by DICOM keyword: `Modality = "CT"`, `StationName =
    ["CT1*", "ER?"]` (wildcards, capitals or not; one of a list must fit), `PatientAge = ">= 18"`,
    `SliceThickness = "> 0, <= 1.5"` (comparisons, all of one text; ages in years, or with D, W or M
    behind). All attributes named must fit, each with a value of any of the study's images seen so
    far; "" fits where there is none. What finds a patient (names, numbers, dates) cannot be asked
    for: the job table keeps what rules ask for."""
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

        self.tag_tests()

    def tag_tests(self) -> tuple[TagTest, ...]:
        """What `tags` asks for."""
        return tuple(TagTest(keyword, patterns) for keyword, patterns in self.tags.items())

    def fits(self, source_ae: str, study_description: str, values: TagValues) -> bool:
        """Whether it holds for a study."""
        from_there = not self.source_ae or source_ae in self.source_ae
        return (
            from_there
            and bool(re.search(self.study_description, study_description, re.IGNORECASE))
            and all(test.fits(values.get(test.keyword, ())) for test in self.tag_tests())
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

    @property
    def keywords(self) -> tuple[str, ...]:
        """DICOM keywords of all attributes that they ask for."""
        return tuple(sorted({keyword for rule in self._rules for keyword in rule.tags}))

    def priority(self, source_ae: str, study_description: str, values: TagValues) -> Priority:
        """The highest priority of the rules that fit."""
        fitting = [r for r in self._rules if r.fits(source_ae, study_description, values)]
        return max((Priority[r.priority.upper()] for r in fitting), default=Priority.ROUTINE)

    def destinations(
        self, source_ae: str, study_description: str, values: TagValues
    ) -> tuple[str, ...]:
        """Where the results go, by name."""
        for rule in self._rules:
            if rule.destinations and rule.fits(source_ae, study_description, values):
                return rule.destinations
        return self._all
