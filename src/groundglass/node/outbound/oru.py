"""A report as an HL7 v2.5.1 ORU^R01 message (chapter 7.3.1): unsolicited observations.

The segments are written here, every text escaped, and read back strictly by hl7apy before they go
out: hl7apy's own escaping lets an escape sequence within a text pass for one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from textwrap import wrap
from typing import Any

from pydicom.sr.coding import Code

from groundglass.errors import SettingsError
from groundglass.node.outbound.delivery import DeliveryError
from groundglass.node.outbound.fhir_report import CT_CHEST
from groundglass.node.outbound.study_report import (
    REVISION,
    Finding,
    StudyReport,
    one_line,
)
from groundglass.report.dicom import codes

#: Chapter 2.7: the separators, which a text may hold only in an escape sequence.
_ESCAPES = str.maketrans(
    {sign: f"\\{name}\\" for sign, name in zip("\\|^&~", "EFSTR", strict=True)}
)
_SEPARATORS = r"^~\&"
_VERSION = "2.5.1"
_SEXES = frozenset("MFO")
_FILLER = "GROUNDGLASS"
#: Letters of a line of text. TX may have 65536; hl7apy takes 199 for the most, as ST has.
_LINE = 190
_IMPRESSION = Code("19005-8", "LN", "Radiology Imaging study [Impression] (narrative)")
_FINDING = Code("121071", "DCM", "Finding")
_STUDY = Code("110180", "DCM", "Study Instance UID")
_SERIES = Code("112002", "DCM", "Series Instance UID")
_REPLACES = Code("replaces", codes.OWN, "Report that this one replaces")
#: Table 0085: preliminary; a result that cannot be had.
_PRELIMINARY, _NOT_TO_BE_HAD = "P", "X"


@dataclass(frozen=True, slots=True)
class Parties:
    """Who speaks to whom, as the receiver's interface wants it (MSH-3 to MSH-6, MSH-11, CX-4)."""

    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str
    """`sending_application`, `sending_facility`, `receiving_application`, `receiving_facility`:
    MSH-3 to MSH-6."""
    processing_id: str
    """MSH-11: P, T or D (table 0103)."""
    assigning_authority: str
    """PID-3.4 where the images name no issuer."""


@dataclass(frozen=True, slots=True)
class _Observation:
    """One OBX segment (7.4.2)."""

    concept: Code
    kind: str
    """OBX-2: the data type of the value."""
    value: str
    """OBX-5, escaped."""
    group: str
    """OBX-4: observations of one group belong together."""
    unit: Code | None = None
    status: str = _PRELIMINARY


def control_id(report: StudyReport) -> str:
    """MSH-10, at most 20 characters: the same for the same report, so that a second one shows."""
    return hashlib.sha256(report.uid.encode()).hexdigest()[:20]


def escape(text: str) -> str:
    """A text as a field holds it: one line, printable, its separators escaped (chapter 2.7)."""
    return one_line(text).translate(_ESCAPES)


def oru_message(report: StudyReport, parties: Parties, now: datetime) -> str:
    """The message, its segments ended by carriage returns, strictly read back.

    Raises
    ------
    DeliveryError
        It is no ORU^R01 of version 2.5.1: the images name no patient by number, for one.
    SettingsError
        The library is not installed.
    """
    segments = [
        _msh(report, parties, now),
        _pid(report, parties),
        _segment("ORC", {1: "RE", 3: _filler(report)}),
        _obr(report),
        *(_obx(number, one, report) for number, one in enumerate(_observations(report), start=1)),
    ]
    message = "".join(f"{segment}\r" for segment in segments)
    _read_back(message)
    return message


def hl7_parser() -> tuple[Any, Any]:
    """hl7apy's parser, strict, and what its errors are.

    Raises
    ------
    SettingsError
        The library is not installed.
    """
    try:
        from hl7apy.exceptions import HL7apyException  # noqa: PLC0415
        from hl7apy.parser import parse_message  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            "a destination of kind hl7 without the library it needs",
            expected="the extra hl7",
            action="`pip install '.[hl7]'` in a checkout.",
        ) from error
    return parse_message, HL7apyException


def _read_back(message: str) -> None:
    parse, wrong = hl7_parser()
    try:
        parse(message, validation_level=1).validate()
    except (wrong, ValueError, LookupError, AttributeError) as error:
        raise DeliveryError(
            f"a report that is no HL7 {_VERSION} message ({type(error).__name__})",
            expected="a Patient ID, and fields of the lengths that the standard has",
            action="Correct the study's patient in the PACS and send it again.",
        ) from None  # the library quotes the field: the patient


def _msh(report: StudyReport, parties: Parties, now: datetime) -> str:
    """Chapter 2.14.9; MSH-1 is the separator itself."""
    fields = {
        1: _SEPARATORS,
        2: escape(parties.sending_application),
        3: escape(parties.sending_facility),
        4: escape(parties.receiving_application),
        5: escape(parties.receiving_facility),
        6: _time(now),
        8: "ORU^R01^ORU_R01",
        9: control_id(report),
        10: parties.processing_id,
        11: _VERSION,
        17: "UNICODE UTF-8",
    }
    return _segment("MSH", fields)


def _pid(report: StudyReport, parties: Parties) -> str:
    """Chapter 3.4.2: as the images' header has it."""
    header = report.header
    number = escape(header["PatientID"])
    issuer = escape(header["IssuerOfPatientID"] or parties.assigning_authority)
    sex = header["PatientSex"]
    fields = {
        1: "1",
        3: f"{number}^^^{issuer}^MR" if number else "",
        5: _name(header["PatientName"]),
        7: _date(header["PatientBirthDate"]),
        8: sex if sex in _SEXES else "",
    }
    return _segment("PID", fields)


def _name(stated: str) -> str:
    """XPN: PN has prefix before suffix, XPN suffix before prefix. No name is of type U.

    Of a PN's groups (PS3.5 6.2.1.1: alphabetic, ideographic, phonetic) the first that is there.
    """
    group = next(filter(None, stated.split("=")), "")
    if not group:
        return "^^^^^^U"
    family, given, middle, prefix, suffix = [*map(escape, group.split("^")), *[""] * 5][:5]
    return "^".join((family, given, middle, suffix, prefix)).rstrip("^")


def _obr(report: StudyReport) -> str:
    """Chapter 7.4.1; the Accession Number in OBR-18, as IHE's (RAD TF-2, table 4.4-6)."""
    fields = {
        1: "1",
        3: _filler(report),
        4: _coded(CT_CHEST),
        7: _date(report.header["StudyDate"]),
        18: escape(report.header["AccessionNumber"]),
        22: _time(report.at),
        24: "CT",
        25: _PRELIMINARY,
    }
    return _segment("OBR", fields)


def _filler(report: StudyReport) -> str:
    """Our own number of this revision's report: a new revision is a report of its own."""
    return f"{report.uid}^{_FILLER}"


def _observations(report: StudyReport) -> Iterator[_Observation]:
    """Words first, research use before all; then answers and numbers, then where to look."""
    for number, line in enumerate(_lines(report), start=1):
        yield _Observation(_IMPRESSION, "TX", line, str(number))
    if not report.findings:
        yield _Observation(codes.VERDICT, "CE", "", "1", status=_NOT_TO_BE_HAD)
    for number, finding in enumerate(report.findings, start=1):
        yield from _of_finding(finding, str(number))
    if report.revision is not None:
        yield _Observation(REVISION, "NM", str(report.revision), "1")
    if report.replaces:
        yield _Observation(_REPLACES, "ST", escape(report.replaces), "1")
    yield _Observation(_STUDY, "ST", escape(report.study_instance_uid), "1")
    series = dict.fromkeys(one.series_instance_uid for one in report.objects)
    for number, uid in enumerate(series, start=1):
        yield _Observation(_SERIES, "ST", escape(uid), str(number))


def _lines(report: StudyReport) -> Iterator[str]:
    """The words, escaped: a sentence a line, and no line longer than many receivers show."""
    first, *others = report.sentences
    for sentence in (first, f"{report.headline}.", *others):
        yield from wrap(escape(sentence), _LINE, break_long_words=False, break_on_hyphens=False)


def _of_finding(finding: Finding, group: str) -> Iterator[_Observation]:
    if finding.answer is None:
        yield _Observation(_FINDING, "CE", _coded(finding.concept), group)
    else:
        yield _Observation(finding.concept, "CE", _coded(finding.answer), group)
    for one in finding.quantities:
        yield _Observation(one.concept, "NM", f"{one.value:.4g}", group, one.unit)


def _obx(number: int, one: _Observation, report: StudyReport) -> str:
    made_by = "~".join(escape(version) for version in report.software_versions)
    fields = {
        1: str(number),
        2: one.kind,
        3: _coded(one.concept),
        4: one.group,
        5: one.value,
        6: "" if one.unit is None else _coded(one.unit),
        11: one.status,
        14: _time(report.at),
        18: made_by,
    }
    return _segment("OBX", fields)


def _coded(code: Code) -> str:
    """CE; DICOM's designators of coding schemes are HL7's too (table 0396), 99… are local."""
    return "^".join(map(escape, (code.value, code.meaning, code.scheme_designator)))


def _date(stated: str) -> str:
    """A date (VR DA) as DTM has it; empty where it is none."""
    return stated if len(stated) == 8 and stated.isascii() and stated.isdigit() else ""


def _time(at: datetime | None) -> str:
    """DTM, to the second, with the offset from UTC (chapter 2.A.22)."""
    return "" if at is None else at.strftime("%Y%m%d%H%M%S%z")


def _segment(name: str, fields: Mapping[int, str]) -> str:
    numbered = (fields.get(number, "") for number in range(1, max(fields) + 1))
    return "|".join((name, *numbered)).rstrip("|")
