"""What a report says, for receivers of messages: read from its files, in words and in codes.

Words and codes are those of the report's own objects (`core.verdict_words`, `report.dicom.codes`),
so that a chart says what the PACS says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.sr.coding import Code

from groundglass.core.analysis import Analysis
from groundglass.core.quiet import quietly
from groundglass.core.result import (
    MEASURED_BY_HU,
    RESEARCH_USE_ONLY,
    LeftOut,
    LungThird,
    NotJudged,
    Outcome,
    Verdict,
)
from groundglass.core.verdict_words import Answers, not_judged_sentence
from groundglass.node.outbound.delivery import DeliveryError
from groundglass.node.outbound.identity import report_of
from groundglass.read.dicom.headers.damage import PARSE_ERRORS
from groundglass.report import REFUSAL
from groundglass.report.dicom import codes
from groundglass.report.dicom.result_uids import ResultKind
from groundglass.report.result_json import stored_verdict
from groundglass.report.terms import OUTCOME_TERMS
from groundglass.report.writing import MANIFEST

#: What a receiver files a report by; nothing else of the patient goes out.
_FILED_BY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "StudyInstanceUID", "StudyDate", "AccessionNumber",
)  # fmt: skip
#: How a receiver is told which analysis of the study it is.
REVISION = Code("revision", codes.OWN, "Revision of the analysis")
_OBJECT = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality", "SoftwareVersions")
_REFUSED = "Not analysed"
_REASON_ELSEWHERE = "The capture in the study says why."


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number."""

    concept: Code
    """What was measured."""
    value: float
    """In the unit beside it."""
    unit: Code
    """UCUM."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is said of the patient, coded."""

    concept: Code
    """What is asked, or, without an answer, what was measured."""
    answer: Code | None = None
    """What the answer is."""
    quantities: tuple[Quantity, ...] = ()
    """The numbers behind it."""


@dataclass(frozen=True, slots=True)
class SentObject:
    """A DICOM object of the report, where a reader finds the rest."""

    header: Mapping[str, str] = field(repr=False)
    """Patient and study as received, by keyword (`_FILED_BY`); empty where the images say nothing.
    For the receiver only: never for a log."""
    software_versions: tuple[str, ...]
    """Program and weights."""
    modality: str
    """Of its series."""
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    """`sop_class_uid`, `sop_instance_uid`, `series_instance_uid`: which one."""


@dataclass(frozen=True, slots=True)
class StudyReport:
    """A report on one patient's study."""

    objects: tuple[SentObject, ...]
    """The report's DICOM objects, the one that identifies the report first."""
    headline: str
    """The verdict in words, or that there is none."""
    sentences: tuple[str, ...]
    """What must be read with it, research use first."""
    findings: tuple[Finding, ...]
    """The verdict first; empty without one."""
    revision: int | None = None
    """Counts the analyses of the study, from 1; None where the report does not say."""
    replaces: str = ""
    """SOP Instance UID of the structured report that this one takes the place of; empty: none."""
    at: datetime | None = None
    """When it was analysed, with its time zone; None where the report does not say."""

    @property
    def uid(self) -> str:
        """What identifies the report: another revision has another."""
        return self.objects[0].sop_instance_uid

    @property
    def header(self) -> Mapping[str, str]:
        """Patient and study as received."""
        return self.objects[0].header

    @property
    def study_instance_uid(self) -> str:
        """The study."""
        return self.header["StudyInstanceUID"]

    @property
    def software_versions(self) -> tuple[str, ...]:
        """Program and weights."""
        return self.objects[0].software_versions

    @property
    def text(self) -> str:
        """Everything said in words, research use first."""
        first, *others = self.sentences
        return " ".join([first, f"{self.headline}.", *others])


def study_reports(files: Sequence[Path]) -> list[StudyReport]:
    """The report that some of its files belong to: one, but for a refusal of mixed patients.

    Raises
    ------
    DeliveryError
        It has no DICOM object that says whose it is, or no manifest.
    """
    folder = report_of(files[0])
    objects = [one for path in _dicom(folder) if (one := _read(path)) is not None]
    if not objects:
        raise _unusable("no DICOM object")
    refused = (folder / REFUSAL).is_file()
    # A refusal of images of two patients has a capture for each.
    parts = [[one] for one in objects] if refused else [objects]
    try:
        document = json.loads((folder / (REFUSAL if refused else MANIFEST)).read_text("utf-8"))
        return [_study_report(document, part, refused=refused) for part in parts]
    except (OSError, LookupError, AttributeError, TypeError, ValueError) as error:
        raise _unusable(type(error).__name__) from None  # what is wrong may quote the patient


def _unusable(why: str) -> DeliveryError:
    return DeliveryError(
        f"a report that messages cannot be made of ({why})",
        expected="a manifest, and DICOM objects that say whose study it is",
        action="Report it as a defect.",
    )


def _dicom(folder: Path) -> list[Path]:
    """The DICOM objects, the structured report first, else a capture."""
    order = (ResultKind.REPORT.value, f"{ResultKind.CAPTURE.value}-1")

    def rank(path: Path) -> tuple[int, str]:
        return (order.index(path.stem) if path.stem in order else len(order)), path.name

    return sorted(folder.rglob("*.dcm"), key=rank)


def _read(path: Path) -> SentObject | None:
    """What an object says of itself; None when it is none. No library's warning may quote it."""
    try:
        with quietly():
            dataset = dcmread(path, stop_before_pixels=True, specific_tags=[*_FILED_BY, *_OBJECT])
            versions = dataset.get("SoftwareVersions") or ()
            return SentObject(
                header={keyword: _text(dataset.get(keyword)) for keyword in _FILED_BY},
                software_versions=(versions,) if isinstance(versions, str) else tuple(versions),
                modality=str(dataset.Modality),
                sop_class_uid=str(dataset.SOPClassUID),
                sop_instance_uid=str(dataset.SOPInstanceUID),
                series_instance_uid=str(dataset.SeriesInstanceUID),
            )
    except (InvalidDicomError, *PARSE_ERRORS):
        return None


def _text(value: object) -> str:
    """A value of the header; several of one that should be single are one with a backslash."""
    if isinstance(value, MultiValue):
        value = "\\".join(map(str, value))
    return one_line("" if value is None else str(value)).strip()


def one_line(text: str) -> str:
    """A text without line breaks and control characters: those may be structure elsewhere."""
    return "".join(
        " " if letter.isspace() else letter if letter.isprintable() else "" for letter in text
    )


def _study_report(
    document: Mapping[str, Any], objects: Sequence[SentObject], *, refused: bool
) -> StudyReport:
    verdict = None if refused else stored_verdict(document["verdict"])
    analysis = document.get("analysis") or {}
    at, earlier = analysis.get("at"), analysis.get("replaces") or {}
    return StudyReport(
        objects=tuple(objects),
        headline=_REFUSED if refused else _headline(document, verdict),
        sentences=tuple(_sentences(document, refused=refused)),
        findings=() if verdict is None else tuple(_findings(document, verdict)),
        revision=analysis.get("revision"),
        replaces=earlier.get("sop_instance_uid") or "",
        at=datetime.fromisoformat(at) if at else None,
    )


def _not_judged(stated: Mapping[str, Any] | None) -> NotJudged | None:
    if stated is None:
        return None
    volumes = ("lung_ml", "opacity_ml", "of_lung_ml", "of_opacity_ml")
    thirds = stated["thirds"]  # sorted by name, as all of the document
    return NotJudged(
        {
            third: LeftOut(**{name: thirds[third][name] for name in volumes})
            for third in LungThird
            if third in thirds
        }
    )


def _headline(document: Mapping[str, Any], verdict: Verdict | None) -> str:
    if verdict is not None:
        return str(Answers.of(verdict))
    return OUTCOME_TERMS[Outcome(document["outcome"])].title


def _sentences(document: Mapping[str, Any], *, refused: bool) -> Iterator[str]:
    """What the structured report says in words, in its order; of a refusal where to look."""
    yield RESEARCH_USE_ONLY
    analysis = document.get("analysis")
    if analysis:
        at = datetime.fromisoformat(analysis["at"])
        yield f"{Analysis(at, analysis['revision']).words}."
    if refused:
        yield _REASON_ELSEWHERE
        return
    yield document["statement"]
    yield document["reason"]
    left_out = _not_judged(document["not_judged"])
    if left_out is not None:
        yield not_judged_sentence(left_out)
    for note in document["notes"]:
        if note["text"] not in document["reason"]:
            yield note["text"]
    if document["opacity_burden"]:
        yield MEASURED_BY_HU


def _findings(document: Mapping[str, Any], verdict: Verdict) -> Iterator[Finding]:
    answer, kind = codes.answer_codes(verdict)
    yield Finding(codes.VERDICT, answer, tuple(_decided_by(verdict)))
    if kind is not None:
        yield Finding(codes.KIND, kind)
    burden = document["opacity_burden"]
    if burden:
        for code, name in (
            (codes.GROUND_GLASS, "ground_glass"),
            (codes.CONSOLIDATION, "consolidation"),
        ):
            volume, share = (burden["total"][f"{name}_{what}"] for what in ("ml", "share"))
            yield Finding(
                code,
                quantities=(
                    Quantity(codes.VOLUME, volume, codes.MILLILITER),
                    Quantity(codes.SHARE_OF_LUNG, 100 * share, codes.PERCENT),
                ),
            )
    left_out = _not_judged(document["not_judged"])
    if left_out is not None:
        total = left_out.total
        yield Finding(
            codes.NOT_JUDGED,
            quantities=(
                Quantity(codes.LUNG_NOT_JUDGED, 100 * total.lung_share, codes.PERCENT),
                Quantity(codes.OPACITY_NOT_JUDGED, 100 * total.opacity_share, codes.PERCENT),
            ),
        )


def _decided_by(verdict: Verdict) -> Iterator[Quantity]:
    """The numbers that a verdict rests on: the share of ill slices, or the class's probability."""
    found = verdict.by_share
    if found is None:
        yield Quantity(codes.PROBABILITY, verdict.probabilities[verdict.label], codes.NO_UNIT)
        return
    yield Quantity(codes.SHARE_OF_SLICES, 100 * found.share, codes.PERCENT)
    yield Quantity(codes.STUDY_THRESHOLD, 100 * found.study_threshold, codes.PERCENT)
    yield Quantity(codes.SLICE_THRESHOLD, found.slice_threshold, codes.NO_UNIT)
