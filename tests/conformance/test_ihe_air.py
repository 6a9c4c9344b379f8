"""Every "yes" of the page on IHE AI Results stands in the objects of a made study."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from highdicom.sr import srread
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SegmentationStorage,
)

import groundglass as gg
from groundglass.report.dicom.results import dicom_results
from groundglass.report.dicom.settings import DicomSettings
from made_ct import ct_series, write
from made_result import made_result
from made_verdicts import by_share

_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "ihe-air.md"
_ROW = re.compile(r"^\| ([a-z-]+) \|.*\| (\*\*yes\*\*|no|n/a) \|$", re.MULTILINE)
_ROWS = dict(_ROW.findall(_PAGE.read_text("utf-8")))
_YES = [name for name, answer in _ROWS.items() if "yes" in answer]
#: tests/node/test_round_trip.py sends them to Orthanc and finds them there.
_ELSEWHERE = {"stored"}
_PUBLIC = {"SCT", "DCM", "UCUM", "RFC5646", "LN"}


@dataclass(frozen=True)
class Made:
    """A study's CT and its results."""

    ct: Dataset
    objects: dict[str, Dataset]
    files: dict[str, bytes]

    @property
    def report(self) -> Dataset:
        return self.objects["structured-report"]

    @property
    def segmentation(self) -> Dataset:
        return self.objects["segmentation"]

    @property
    def saliency(self) -> Dataset:
        return self.objects["saliency"]

    @property
    def groups(self) -> list[Dataset]:
        """The measurement groups of the report (125007, DCM)."""
        return [one for one in items(self.report) if named(one) == "125007"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    images = ct_series()
    for image in images:
        image.PatientID, image.StudyDate = "4711", "20210304"
    study = gg.read_study(write(images, tmp_path_factory.mktemp("ct")))
    volume = gg.read_volume(gg.select_chest_ct(study))
    result = by_share(made_result(volume), 12, cp=0.95)
    found = dicom_results(result, volume, DicomSettings(key_objects=True))
    files = {one.name.removesuffix(".dcm"): one.content for one in found}
    objects = {name: pydicom.dcmread(BytesIO(content)) for name, content in files.items()}
    return Made(images[0], objects, files)


def items(item: Dataset) -> Iterator[Dataset]:
    """Content items below one, depth first."""
    for below in item.get("ContentSequence", ()):
        yield below
        yield from items(below)


def named(item: Dataset) -> str:
    """The code of a content item's concept."""
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].CodeValue) if names else ""


def value_of(item: Dataset, concept: str) -> Dataset:
    """The one content item of a concept below another."""
    (found,) = [one for one in items(item) if named(one) == concept]
    return found


def codes_in(item: Dataset) -> Iterator[Dataset]:
    """All coded entries below a data set."""
    for element in item:
        if element.VR == "SQ":
            for below in element.value:
                if "CodingSchemeDesignator" in below:
                    yield below
                yield from codes_in(below)


CHECKS: dict[str, Callable[[Made], bool]] = {}


def check(name: str) -> Callable[[Callable[[Made], bool]], Callable[[Made], bool]]:
    def enter(trial: Callable[[Made], bool]) -> Callable[[Made], bool]:
        CHECKS[name] = trial
        return trial

    return enter


@check("same-study")
def _(made: Made) -> bool:
    keys = ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate")
    return all(
        str(one.get(key) or "") == str(made.ct.get(key) or "")
        for one in made.objects.values()
        for key in keys
    )


@check("own-series")
def _(made: Made) -> bool:
    series = {(one.SeriesInstanceUID, one.SOPClassUID) for one in made.objects.values()}
    uids = {uid for uid, _ in series}
    return len(uids) == len(series) and made.ct.SeriesInstanceUID not in uids


@check("iods")
def _(made: Made) -> bool:
    wanted = {Comprehensive3DSRStorage, SegmentationStorage, ParametricMapStorage,
              KeyObjectSelectionDocumentStorage}  # fmt: skip
    return wanted <= {one.SOPClassUID for one in made.objects.values()}


@check("software-versions")
def _(made: Made) -> bool:
    return all(
        one.Manufacturer and one.ManufacturerModelName and len(one.SoftwareVersions) == 2
        for one in made.objects.values()
    )


@check("sr-root")
def _(made: Made) -> bool:
    (template,) = made.report.ContentTemplateSequence
    return (template.TemplateIdentifier, template.MappingResource) == ("1500", "DCMR")


@check("procedure-reported")
def _(made: Made) -> bool:
    (code,) = value_of(made.report, "121058").ConceptCodeSequence
    return (code.CodeValue, code.CodingSchemeDesignator) == ("169069000", "SCT")


@check("language")
def _(made: Made) -> bool:
    (code,) = value_of(made.report, "121049").ConceptCodeSequence
    return (code.CodeValue, code.CodingSchemeDesignator) == ("en", "RFC5646")


@check("observer")
def _(made: Made) -> bool:
    (kind,) = value_of(made.report, "121005").ConceptCodeSequence
    told = [value_of(made.report, code) for code in ("121012", "121013", "121014", "121015")]
    return kind.CodeValue == "121007" and len(told) == 4


@check("unverified")
def _(made: Made) -> bool:
    flags = made.report.VerificationFlag, made.report.PreliminaryFlag
    return flags == ("UNVERIFIED", "PRELIMINARY") and "VerifyingObserverSequence" not in made.report


@check("groups")
def _(made: Made) -> bool:
    """As highdicom reads them, too."""
    read = srread(BytesIO(made.files["structured-report"])).content
    regions = read.get_volumetric_roi_measurement_groups()
    return len(read.get_image_measurement_groups()) + len(regions) == len(made.groups) > 5


@check("qualitative")
def _(made: Made) -> bool:
    answers = [one for one in items(made.report) if named(one) in {"verdict", "kind"}]
    return len(answers) == 2 and all(len(one.ConceptCodeSequence) == 1 for one in answers)


@check("finding-site")
def _(made: Made) -> bool:
    sites = [value_of(group, "363698007") for group in made.groups]
    sides = {value_of(one, "272741003").ConceptCodeSequence[0].CodeValue for one in sites
             if "ContentSequence" in one}  # fmt: skip
    return {one.ConceptCodeSequence[0].CodeValue for one in sites} == {"39607008"} and sides == {
        "24028007",
        "7771000",
    }


@check("numbers")
def _(made: Made) -> bool:
    numbers = [one for one in items(made.report) if one.ValueType == "NUM"]
    units = [one.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0] for one in numbers]
    return len(numbers) > 10 and {one.CodingSchemeDesignator for one in units} == {"UCUM"}


@check("algorithm")
def _(made: Made) -> bool:
    named_ = [
        {named(one): one.TextValue for one in items(group) if named(one) in {"111001", "111003"}}
        for group in made.groups
    ]
    parameters = [one.TextValue for one in items(made.groups[0]) if named(one) == "111002"]
    return all(len(one) == 2 for one in named_) and any("SHA-256" in one for one in parameters)


@check("tracking")
def _(made: Made) -> bool:
    uids = [value_of(group, "112040").UID for group in made.groups]
    words = [value_of(group, "112039").TextValue for group in made.groups]
    return len(set(uids)) == len(made.groups) and all(words)


@check("evidence")
def _(made: Made) -> bool:
    referred = {
        str(one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for one in items(made.report)
        if one.ValueType == "IMAGE"
    }
    (study,) = made.report.CurrentRequestedProcedureEvidenceSequence
    listed = {
        str(one.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    return len(referred) > 1 and referred <= listed


@check("segmentation")
def _(made: Made) -> bool:
    (segment,) = made.segmentation.SegmentSequence
    category = segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue
    return (category, segment.SegmentedPropertyTypeCodeSequence[0].CodeValue) == (
        "123037004",
        "39607008",
    )


@check("segment-algorithm")
def _(made: Made) -> bool:
    (segment,) = made.segmentation.SegmentSequence
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    return segment.SegmentAlgorithmType == "AUTOMATIC" and bool(algorithm.AlgorithmVersion)


@check("segment-tracking")
def _(made: Made) -> bool:
    (segment,) = made.segmentation.SegmentSequence
    return segment.TrackingUID in {value_of(group, "112040").UID for group in made.groups}


@check("segment-referenced")
def _(made: Made) -> bool:
    reference = value_of(made.report, "121191").ReferencedSOPSequence[0]
    series = value_of(made.report, "121232").UID
    return (
        reference.ReferencedSOPInstanceUID == made.segmentation.SOPInstanceUID
        and reference.ReferencedSegmentNumber == 1
        and series == made.ct.SeriesInstanceUID
    )


@check("map")
def _(made: Made) -> bool:
    shared = made.saliency.SharedFunctionalGroupsSequence[0]
    (mapping,) = shared.RealWorldValueMappingSequence
    quantity = {one.CodeValue for one in codes_in(mapping)}
    return {"130404", "1"} <= quantity and mapping.RealWorldValueSlope == pytest.approx(0.001)


@check("map-research")
def _(made: Made) -> bool:
    return str(made.saliency.ContentQualification) == "RESEARCH"


@check("map-sources")
def _(made: Made) -> bool:
    frames = [
        frame
        for one in (made.saliency, made.segmentation)
        for frame in one.PerFrameFunctionalGroupsSequence
    ]
    same = {made.saliency.FrameOfReferenceUID, made.segmentation.FrameOfReferenceUID}
    return same == {made.ct.FrameOfReferenceUID} and all(
        frame.DerivationImageSequence[0].SourceImageSequence for frame in frames
    )


@check("key-images")
def _(made: Made) -> bool:
    shown = [[one for one in items(group) if one.ValueType == "IMAGE"] for group in made.groups]
    told = [group for group, images in zip(made.groups, shown, strict=True) if len(images) > 1]
    return len(told) == 1 and named(value_of(told[0], "121071")) == "121071"


@check("key-objects")
def _(made: Made) -> bool:
    (title,) = made.objects["key-objects"].ConceptNameCodeSequence
    return str(title.CodeValue) == "113000"


def test_the_page_has_its_rows() -> None:
    assert len(_ROWS) > 30
    assert set(_YES) == set(CHECKS) | _ELSEWHERE


@pytest.mark.parametrize("name", sorted(set(_YES) - _ELSEWHERE))
def test_a_yes_stands_in_the_objects(made: Made, name: str) -> None:
    assert CHECKS[name](made)


def test_codes_of_our_own_are_said_to_be_ours(made: Made) -> None:
    """Why `standard-codes` is no: everything else is of a public scheme."""
    schemes = {str(one.CodingSchemeDesignator) for one in codes_in(made.report)}
    assert schemes - _PUBLIC == {"99GGLASS"}
    assert "99GGLASS" in {
        str(one.CodingSchemeDesignator) for one in made.report.CodingSchemeIdentificationSequence
    }
