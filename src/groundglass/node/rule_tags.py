"""What rules may ask of an image's header beside the sender: which attributes, and what fits.

A pattern for text has the wildcards of a shell (`CT1*`), capitals or not. One for a number or an
age is a comparison, or several that all must hold (`">= 18, < 65"`); ages are in years, or in the
unit behind them (`"< 6M"`).
"""

from __future__ import annotations

import difflib
import fnmatch
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword

from groundglass.errors import SettingsError

#: What is known of a study by DICOM keyword: all the values that its images had, so far as seen.
TagValues = Mapping[str, Sequence[str]]

_TEXT = frozenset({"AE", "CS", "LO", "SH", "UC"})
_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_AGE = "AS"
#: Names, UIDs, dates, free text.
_ONE_S_OWN = frozenset({"PN", "UI", "DA", "DT", "TM", "LT", "ST", "UT"})
#: Identification, acquisition, relationship, presentation of an image (PS3.6): what tells one
#: device, protocol or region from another.
_GROUPS = frozenset({0x0008, 0x0018, 0x0020, 0x0028})
#: Of other groups, what many patients have in common.
_SHARED = frozenset(
    {"PatientAge", "PatientSex", "PatientSize", "PatientWeight"}
    | {"RequestedProcedureDescription", "PerformedProcedureStepDescription"}
    | {"PerformedStationName", "PerformedLocation"}
)
#: What finds one person: numbers of a visit or an order, addresses, remarks in anybody's words.
_FINDING = re.compile(
    r"IDs?$|Number$|Identifier|Identity|Address|Telephone|Telecom|Person|Owner|Contact"
    r"|Comments?$|History$|Remarks?$"
)
#: Numbers of things, not of people.
_THINGS = frozenset({"SeriesNumber", "InstanceNumber", "AcquisitionNumber", "DeviceSerialNumber"})

_COMPARISON = re.compile(r"(<=|>=|<|>|=)?\s*(\d+(?:\.\d+)?)\s*([DWMY]?)")
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}
#: Years in the units of an age (PS3.5 table 6.2-1, VR AS).
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
_AGE_FORM = re.compile(r"(\d{1,3})([DWMY])")


@dataclass(frozen=True, slots=True)
class TagTest:
    """What one attribute must be for a rule to fit.

    Raises
    ------
    SettingsError
        Nothing may be asked of this attribute, or not this.
    """

    keyword: str
    """DICOM's for it (PS3.6)."""
    patterns: tuple[str, ...]
    """One of these must fit; an empty one fits where there is no value."""

    def __post_init__(self) -> None:
        vr = usable_vr(self.keyword)
        for pattern in self.patterns:
            if vr not in _TEXT and pattern:
                _comparisons(self.keyword, pattern, ages=vr == _AGE)

    def fits(self, values: Sequence[str]) -> bool:
        """Whether any of an attribute's values is as asked."""
        if not values:
            return "" in self.patterns
        vr = dictionary_VR(self.keyword)
        return any(_fits(vr, self.keyword, p, v) for p in self.patterns if p for v in values)


def usable_vr(keyword: str) -> str:
    """The value representation of an attribute that rules may ask for.

    Raises
    ------
    SettingsError
        There is none of this keyword, or it says who the patient is, or is no text or number.
    """
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise _unknown(keyword)
    vr = dictionary_VR(tag)
    finding = _FINDING.search(keyword) is not None and keyword not in _THINGS
    if finding or not (tag >> 16 in _GROUPS or keyword in _SHARED) or vr in _ONE_S_OWN:
        raise SettingsError(
            f"{keyword} in a rule, which may say who the patient is or find them",
            expected="an attribute that many patients have in common: what rules ask for is kept "
            "in the job table, which holds no identifiers but UIDs",
            action="Ask for the device, the protocol, the region of the body or the age instead.",
        )
    if vr not in _TEXT | _NUMBERS | {_AGE}:
        raise SettingsError(
            f"{keyword} in a rule, which is no short text or number (VR {vr})",
            expected="an attribute with a plain value",
            action="Ask for another attribute.",
        )
    return vr


def _unknown(keyword: str) -> SettingsError:
    near = difflib.get_close_matches(keyword, keyword_dict, n=3, cutoff=0.7)
    return SettingsError(
        f"{keyword!r} in a rule, which is no DICOM keyword",
        expected=f"{' or '.join(near)}?" if near else "one such as StationName (PS3.6)",
        action="Correct it; a keyword is the attribute's name in one word.",
    )


def _fits(vr: str, keyword: str, pattern: str, value: str) -> bool:
    if vr in _TEXT:
        return fnmatch.fnmatchcase(value.casefold(), pattern.casefold())
    number = _years(value) if vr == _AGE else _number(value)
    if number is None:
        return False
    return all(
        compare(number, bound) for compare, bound in _comparisons(keyword, pattern, ages=vr == _AGE)
    )


def _comparisons(
    keyword: str, pattern: str, *, ages: bool
) -> list[tuple[Callable[[float, float], bool], float]]:
    """Each part of a pattern: how to compare, and with what; ages in years."""
    found = []
    for part in pattern.split(","):
        match = _COMPARISON.fullmatch(part.strip())
        if match is None or (match[3] and not ages):
            raise SettingsError(
                f"{keyword} = {pattern!r} in a rule",
                expected='comparisons with an age, as ">= 18, < 65" or "< 6M" (D, W, M, Y)'
                if ages
                else 'comparisons with a number, as "> 1.5" or ">= 80, <= 120"',
                action="Correct the rule; without <, <=, > or >= the very same value is meant.",
            )
        scale = _YEARS[match[3] or "Y"] if ages else 1.0
        found.append((_OPERATORS[match[1] or "="], float(match[2]) * scale))
    return found


def _years(age: str) -> float | None:
    match = _AGE_FORM.fullmatch(age.strip())
    return float(match[1]) * _YEARS[match[2]] if match else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
