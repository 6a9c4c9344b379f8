"""The verdict and the measurements as a DICOM Structured Report (PS3.16 TID 1500)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    FindingSite,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage

from groundglass.core.result import (
    MEASURED_BY_HU,
    RESEARCH_USE_ONLY,
    LungSide,
    OpacityBurden,
    RegionBurden,
    TriageResult,
    Verdict,
)
from groundglass.read.dicom.result_series_descriptions import MODEL
from groundglass.report.dicom import codes
from groundglass.report.dicom.documents import document
from groundglass.report.dicom.result_builder import DicomObject, ResultBuilder
from groundglass.report.dicom.result_uids import ResultKind
from groundglass.report.dicom.segmentation import LUNGS_SEGMENT
from groundglass.report.dicom.source_images import SourceImages, empty_header
from groundglass.report.terms import class_name

_KIND = ResultKind.REPORT
_SIDES: Mapping[LungSide | None, tuple[str, Code | None]] = {
    None: ("both lungs", None),
    LungSide.RIGHT: ("right lung", codes.RIGHT),
    LungSide.LEFT: ("left lung", codes.LEFT),
}


def structured_report(
    result: TriageResult,
    source: SourceImages,
    segmentation: DicomObject,
    builder: ResultBuilder,
) -> DicomObject:
    """A verdict and what was measured, coded, with the images they rest on."""
    writer = _Writer(result, source, segmentation, builder)
    form = (Comprehensive3DSRStorage, "SR")
    dataset = document(writer.content(), writer.evidence(), builder, _KIND, form)
    dataset.CodingSchemeIdentificationSequence = [codes.own_scheme()]
    dataset.PerformedProcedureCodeSequence = []
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.PreliminaryFlag = "PRELIMINARY"
    return builder.finalize(dataset, _KIND, "structured-report.dcm")


class _Writer:
    """One result as content items."""

    def __init__(
        self,
        result: TriageResult,
        source: SourceImages,
        segmentation: DicomObject,
        builder: ResultBuilder,
    ) -> None:
        self._result = result
        self._source = source
        self._segmentation = segmentation
        self._builder = builder

    def content(self) -> Dataset:
        """The document's tree."""
        report = MeasurementReport(
            observation_context=ObservationContext(observer_device_context=self._builder.observer),
            procedure_reported=codes.concept(codes.CT_CHEST),
            imaging_measurements=self._groups(),
            title=codes.concept(codes.MEASUREMENT_REPORT),
            language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
                CodedConcept("en", "RFC5646", "English")
            ),
        )[0]
        self._say_first(report)
        return report

    def evidence(self) -> list[Dataset]:
        """What the tree refers to: key slices and the segmentation."""
        made = empty_header(self._source.study_instance_uid, self._segmentation.series_instance_uid)
        made.SOPClassUID = self._segmentation.sop_class_uid
        made.SOPInstanceUID = self._segmentation.sop_instance_uid
        key_slices = [heatmap.slice_index for heatmap in self._result.heatmaps]
        return [made, *self._source.evidence(key_slices)]

    def _say_first(self, report: Dataset) -> None:
        """Research use, training and how the verdict came about, before any number.

        TID 1500 is extensible; viewers that show it as text show these lines first.
        """
        statement = self._result.provenance.bundle_statement
        measured = MEASURED_BY_HU if self._result.opacity_burden else ""
        notes = (note.text for note in self._result.notes_beside_reason)
        texts = (RESEARCH_USE_ONLY, statement, self._result.reason, *notes, measured)
        comments = [
            TextContentItem(
                name=codes.concept(codes.COMMENT),
                value=self._builder.encodable(text),
                relationship_type=RelationshipTypeValues.CONTAINS,
            )
            for text in texts
            if text
        ]
        items = list(report.ContentSequence)
        at = next(k for k, item in enumerate(items) if item.ValueType == "CONTAINER")
        report.ContentSequence = [*items[:at], *comments, *items[at:]]

    def _groups(
        self,
    ) -> list[
        MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations
    ]:
        verdict = self._result.verdict
        classes = [] if verdict is None else self._classes(verdict)
        burden = self._result.opacity_burden
        opacities = [] if burden is None else self._opacities(burden)
        return [*classes, self._lungs(), *opacities]

    def _classes(self, verdict: Verdict) -> list[MeasurementsAndQualitativeEvaluations]:
        """The verdict, and a group for each class with its probability and what argues for it."""
        answer = QualitativeEvaluation(codes.concept(codes.VERDICT), self._class(verdict.label))
        first = MeasurementsAndQualitativeEvaluations(
            tracking_identifier=self._tracking("verdict", "Verdict"),
            algorithm_id=self._algorithm(self._recipe()),
            finding_sites=[FindingSite(codes.concept(codes.LUNG))],
            qualitative_evaluations=[answer],
        )
        return [first, *(self._of_class(label, verdict) for label in self._result.labels)]

    def _of_class(self, label: str, verdict: Verdict) -> MeasurementsAndQualitativeEvaluations:
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=self._tracking(f"class {label}", class_name(label)),
            finding_type=self._class(label),
            algorithm_id=self._algorithm(),
            finding_sites=[FindingSite(codes.concept(codes.LUNG))],
            measurements=[
                _measured(codes.PROBABILITY, verdict.probabilities[label], codes.NO_UNIT)
            ],
            source_images=self._key_slices(label),
        )

    def _lungs(self) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
        """The lungs as segmented, and their volume (TID 1411)."""
        voxels = np.count_nonzero(self._result.mask)
        return VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=self._tracking("lungs", "Lungs"),
            referenced_segment=ReferencedSegment(
                sop_class_uid=self._segmentation.sop_class_uid,
                sop_instance_uid=self._segmentation.sop_instance_uid,
                segment_number=LUNGS_SEGMENT,
                source_series=SourceSeriesForSegmentation(self._source.series_instance_uid),
            ),
            finding_type=codes.concept(codes.LUNG),
            algorithm_id=self._algorithm(),
            finding_sites=[FindingSite(codes.concept(codes.LUNG))],
            measurements=[
                _measured(codes.VOLUME, voxels * self._source.geometry.voxel_ml, codes.MILLILITER)
            ],
        )

    def _opacities(self, burden: OpacityBurden) -> list[MeasurementsAndQualitativeEvaluations]:
        """Ground glass and consolidation by HU: both lungs, right, left."""
        found = []
        for side, (words, laterality) in _SIDES.items():
            region = burden.of(side)
            kinds = (
                (codes.GROUND_GLASS, burden.ground_glass_hu, *_ground_glass(region)),
                (codes.CONSOLIDATION, burden.consolidation_hu, *_consolidation(region)),
            )
            site = FindingSite(
                codes.concept(codes.LUNG),
                laterality=None if laterality is None else codes.concept(laterality),
            )
            for code, (low, high), volume_ml, share in kinds:
                name = f"{code.meaning}, {words}, {low:g} to {high:g} HU"
                found.append(
                    MeasurementsAndQualitativeEvaluations(
                        tracking_identifier=self._tracking(name, name),
                        finding_type=codes.concept(code),
                        algorithm_id=self._threshold((low, high)),
                        finding_sites=[site],
                        measurements=[
                            _measured(codes.VOLUME, volume_ml, codes.MILLILITER),
                            _measured(codes.SHARE_OF_LUNG, 100 * share, codes.PERCENT),
                        ],
                    )
                )
        return found

    def _key_slices(self, label: str) -> list[SourceImageForMeasurementGroup]:
        """The slices that argue for a class, the strongest first."""
        slices = [h.slice_index for h in self._result.heatmaps if h.label == label]
        images = [self._source.images[index] for index in slices]
        return [
            SourceImageForMeasurementGroup(
                image.sop_class_uid,
                image.sop_instance_uid,
                None if image.frame_number is None else [image.frame_number],
            )
            for image in images
        ]

    def _class(self, label: str) -> CodedConcept:
        return codes.concept(codes.class_code(self._builder.encodable(label)))

    def _tracking(self, what: str, words: str) -> TrackingIdentifier:
        return TrackingIdentifier(
            uid=self._builder.identity.uid(what), identifier=self._builder.encodable(words)
        )

    def _algorithm(self, parameters: list[str] | None = None) -> AlgorithmIdentification:
        """The networks (TID 4019)."""
        return AlgorithmIdentification(
            name=MODEL,
            version=self._builder.version,
            family=codes.concept(codes.ARTIFICIAL_INTELLIGENCE),
            parameters=parameters,
        )

    def _recipe(self) -> list[str]:
        """What makes the result again: weights by their hashes, and the number format."""
        made = self._result.provenance
        hashes = [f"{name} SHA-256 {value}" for name, value in sorted(made.bundle_sha256.items())]
        parameters = [f"precision {made.precision}", *hashes]
        return [self._builder.encodable(text) for text in parameters]

    def _threshold(self, hu: tuple[float, float]) -> AlgorithmIdentification:
        """Measuring by HU, which the networks have no part in but for the lung mask."""
        return AlgorithmIdentification(
            name=f"{MODEL} opacity burden",
            version=self._builder.program,
            parameters=[
                f"{hu[0]:g} to {hu[1]:g} HU within the lung mask, vessels set aside",
                "No part of the verdict",
            ],
        )


def _measured(name: Code, value: float, unit: Code) -> Measurement:
    return Measurement(codes.concept(name), float(value), codes.concept(unit))


def _ground_glass(region: RegionBurden) -> tuple[float, float]:
    return region.ground_glass_ml, region.ground_glass_share


def _consolidation(region: RegionBurden) -> tuple[float, float]:
    return region.consolidation_ml, region.consolidation_share
