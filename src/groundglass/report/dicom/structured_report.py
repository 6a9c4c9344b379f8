"""The verdict and the measurements as a DICOM Structured Report (PS3.16 TID 1500)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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

from groundglass.core.analysis import EarlierResult
from groundglass.core.result import (
    KIND_NOT_TOLD,
    MEASURED_BY_HU,
    RESEARCH_USE_ONLY,
    LungSide,
    OpacityBurden,
    ShareOfSlices,
    TriageResult,
    Verdict,
)
from groundglass.core.verdict_words import calls_findings, class_name, not_judged_sentence
from groundglass.read.dicom.result_series_descriptions import MODEL
from groundglass.report.dicom import codes
from groundglass.report.dicom.result_builder import DicomObject, ResultBuilder
from groundglass.report.dicom.result_uids import ResultKind
from groundglass.report.dicom.segmentation import LUNGS_SEGMENT
from groundglass.report.dicom.source_images import SourceImages, empty_header

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
    """A verdict and what was measured, coded, with the images and lungs they rest on."""
    writer = _Writer(result, source, segmentation, builder)
    dataset = builder.create_document(_KIND, writer.content(), writer.evidence())
    dataset.CodingSchemeIdentificationSequence = [codes.own_scheme()]
    dataset.PerformedProcedureCodeSequence = []
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.PreliminaryFlag = "PRELIMINARY"
    earlier = result.analysis.replaced
    if earlier is not None and earlier.sop_instance_uid:
        dataset.PredecessorDocumentsSequence = [_predecessor(earlier)]
    return builder.finalize(dataset, _KIND)


def _predecessor(earlier: EarlierResult) -> Dataset:
    """The report that this one replaces (PS3.3 C.17.2, table C.17-3a)."""
    document, series, study = Dataset(), Dataset(), Dataset()
    document.ReferencedSOPClassUID = earlier.sop_class_uid
    document.ReferencedSOPInstanceUID = earlier.sop_instance_uid
    series.SeriesInstanceUID = earlier.series_instance_uid
    series.ReferencedSOPSequence = [document]
    study.StudyInstanceUID = earlier.study_instance_uid
    study.ReferencedSeriesSequence = [series]
    return study


@dataclass(frozen=True, slots=True)
class _Writer:
    """One result as content items."""

    result: TriageResult
    source: SourceImages
    segmentation: DicomObject
    builder: ResultBuilder

    def content(self) -> Dataset:
        """The document's tree."""
        verdict, burden = self.result.verdict, self.result.opacity_burden
        classes = [] if verdict is None else self._classes(verdict)
        opacities = [] if burden is None else self._opacities(burden)
        report = MeasurementReport(
            observation_context=ObservationContext(observer_device_context=self.builder.observer),
            procedure_reported=codes.CT_CHEST,
            imaging_measurements=[*classes, self._lungs(), *opacities, *self._not_judged()],
            title=codes.MEASUREMENT_REPORT,
            language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
                CodedConcept("en", "RFC5646", "English")
            ),
        )[0]
        self._say_first(report)
        return report

    def evidence(self) -> list[Dataset]:
        """What the tree refers to: key slices and the segmentation."""
        made = empty_header(self.source.study_instance_uid, self.segmentation.series_instance_uid)
        made.SOPClassUID = self.segmentation.sop_class_uid
        made.SOPInstanceUID = self.segmentation.sop_instance_uid
        key_slices = [heatmap.slice_index for heatmap in self.result.heatmaps]
        return [made, *self.source.evidence(key_slices)]

    def _say_first(self, report: Dataset) -> None:
        """Research use, which analysis, training and how the verdict came about, before any number.

        TID 1500 is extensible; viewers that show it as text show these lines first.
        """
        statement = self.result.provenance.bundle_statement
        measured = MEASURED_BY_HU if self.result.opacity_burden else ""
        notes = (note.text for note in self.result.notes_beside_reason)
        left_out = self.result.not_judged
        unseen = "" if left_out is None else not_judged_sentence(left_out)
        said = self.builder.analysed
        texts = (RESEARCH_USE_ONLY, said, statement, self.result.reason, unseen, *notes, measured)
        comments = [
            TextContentItem(
                name=codes.COMMENT,
                value=self.builder.encodable(text),
                relationship_type=RelationshipTypeValues.CONTAINS,
            )
            for text in texts
            if text
        ]
        items = list(report.ContentSequence)
        at = next(k for k, item in enumerate(items) if item.ValueType == "CONTAINER")
        report.ContentSequence = [*items[:at], *comments, *items[at:]]

    def _classes(self, verdict: Verdict) -> list[MeasurementsAndQualitativeEvaluations]:
        """The verdict, and a group for each class with its probability and what speaks for it."""
        found = verdict.by_share
        if found is not None:
            return self._answers(verdict, found)
        answer = QualitativeEvaluation(codes.VERDICT, self._class(verdict.label))
        return [
            self._verdict([answer]),
            *(self._of_class(label, verdict) for label in self.result.labels),
        ]

    def _answers(
        self, verdict: Verdict, found: ShareOfSlices
    ) -> list[MeasurementsAndQualitativeEvaluations]:
        """Whether there are findings, of which kind, and what decided it; then what was answered.

        Readers list the types of the groups as findings: a kind that is not told has none, nor
        have findings that were not called, unless their evidence was asked for.
        """
        called, told = calls_findings(verdict), verdict.label in found.kinds
        answer, kind = codes.answer_codes(verdict, self.builder.encodable)
        evaluations = [QualitativeEvaluation(codes.VERDICT, answer)]
        if kind is not None:
            evaluations.append(QualitativeEvaluation(codes.KIND, kind))
        measured = [
            Measurement(codes.SHARE_OF_SLICES, 100 * found.share, codes.PERCENT),
            Measurement(codes.STUDY_THRESHOLD, 100 * found.study_threshold, codes.PERCENT),
            Measurement(codes.SLICE_THRESHOLD, found.slice_threshold, codes.NO_UNIT),
        ]
        answered = [KIND_NOT_TOLD if called else verdict.label, *(found.kinds if told else ())]
        explained = self.result.explained_label or verdict.label
        return [
            self._verdict(evaluations, measured),
            *(self._of_class(label, verdict) for label in dict.fromkeys([*answered, explained])),
        ]

    def _verdict(
        self,
        evaluations: list[QualitativeEvaluation],
        measurements: list[Measurement] | None = None,
    ) -> MeasurementsAndQualitativeEvaluations:
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=self._tracking("verdict", "Verdict"),
            algorithm_id=self._algorithm(self._recipe()),
            finding_sites=[FindingSite(codes.LUNG)],
            measurements=measurements,
            qualitative_evaluations=evaluations,
        )

    def _of_class(self, label: str, verdict: Verdict) -> MeasurementsAndQualitativeEvaluations:
        """A class, or findings as such, with its probability and what speaks for it."""
        found, finding = verdict.by_share, self._class(label)
        kinds: tuple[str, ...] = (label,)
        if found is not None and label == KIND_NOT_TOLD:
            finding, kinds = codes.FINDINGS, tuple(found.kinds)
        elif found is not None and label not in found.kinds:
            finding = codes.NONE_SEEN
        probability = float(sum(verdict.probabilities[kind] for kind in kinds))
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=self._tracking(f"class {label}", class_name(label, found)),
            finding_type=finding,
            algorithm_id=self._algorithm(),
            finding_sites=[FindingSite(codes.LUNG)],
            measurements=[Measurement(codes.PROBABILITY, probability, codes.NO_UNIT)],
            source_images=self._key_slices(label),
        )

    def _lungs(self) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
        """The lungs as segmented, and their volume (TID 1411)."""
        volume_ml = float(np.count_nonzero(self.result.mask) * self.source.geometry.voxel_ml)
        return VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=self._tracking("lungs", "Lungs"),
            referenced_segment=ReferencedSegment(
                sop_class_uid=self.segmentation.sop_class_uid,
                sop_instance_uid=self.segmentation.sop_instance_uid,
                segment_number=LUNGS_SEGMENT,
                source_series=SourceSeriesForSegmentation(self.source.series_instance_uid),
            ),
            finding_type=codes.LUNG,
            algorithm_id=self._algorithm(),
            finding_sites=[FindingSite(codes.LUNG)],
            measurements=[Measurement(codes.VOLUME, volume_ml, codes.MILLILITER)],
        )

    def _opacities(self, burden: OpacityBurden) -> list[MeasurementsAndQualitativeEvaluations]:
        """Ground glass and consolidation by HU: both lungs, right, left."""
        found = []
        for side, (words, laterality) in _SIDES.items():
            region = burden.of(side)
            ground_glass = region.ground_glass_ml, region.ground_glass_share
            consolidation = region.consolidation_ml, region.consolidation_share
            for code, (low, high), (volume_ml, share) in (
                (codes.GROUND_GLASS, burden.ground_glass_hu, ground_glass),
                (codes.CONSOLIDATION, burden.consolidation_hu, consolidation),
            ):
                name = f"{code.meaning}, {words}, {low:g} to {high:g} HU"
                found.append(
                    MeasurementsAndQualitativeEvaluations(
                        tracking_identifier=self._tracking(name, name),
                        finding_type=code,
                        algorithm_id=self._threshold(low, high),
                        finding_sites=[FindingSite(codes.LUNG, laterality=laterality)],
                        measurements=[
                            Measurement(codes.VOLUME, volume_ml, codes.MILLILITER),
                            Measurement(codes.SHARE_OF_LUNG, 100 * share, codes.PERCENT),
                        ],
                    )
                )
        return found

    def _not_judged(self) -> list[MeasurementsAndQualitativeEvaluations]:
        """What of the lungs, and of the opacity, the classifier was not shown: all, by third."""
        found = self.result.not_judged
        if found is None:
            return []
        parts = {"both lungs": found.total}
        parts |= {f"{third} third of both lungs": part for third, part in found.thirds.items()}
        return [
            MeasurementsAndQualitativeEvaluations(
                tracking_identifier=self._tracking(f"not judged, {where}", f"Not judged, {where}"),
                finding_type=codes.NOT_JUDGED,
                algorithm_id=self._algorithm(),
                finding_sites=[FindingSite(codes.LUNG)],
                measurements=[
                    Measurement(codes.LUNG_NOT_JUDGED, 100 * part.lung_share, codes.PERCENT),
                    Measurement(codes.OPACITY_NOT_JUDGED, 100 * part.opacity_share, codes.PERCENT),
                ],
            )
            for where, part in parts.items()
        ]

    def _key_slices(self, label: str) -> list[SourceImageForMeasurementGroup]:
        """The slices that speak for a class, the strongest first."""
        images = [
            self.source.images[heatmap.slice_index]
            for heatmap in self.result.heatmaps
            if heatmap.label == label
        ]
        return [
            SourceImageForMeasurementGroup(
                image.sop_class_uid,
                image.sop_instance_uid,
                None if image.frame_number is None else [image.frame_number],
            )
            for image in images
        ]

    def _class(self, label: str) -> Code:
        return codes.class_code(self.builder.encodable(label))

    def _tracking(self, what: str, words: str) -> TrackingIdentifier:
        return TrackingIdentifier(
            uid=self.builder.identity.uid(what), identifier=self.builder.encodable(words)
        )

    def _algorithm(self, parameters: list[str] | None = None) -> AlgorithmIdentification:
        """The networks (TID 4019)."""
        return AlgorithmIdentification(
            name=MODEL,
            version=self.builder.version,
            family=codes.ARTIFICIAL_INTELLIGENCE,
            parameters=parameters,
        )

    def _recipe(self) -> list[str]:
        """What makes the result again: weights by their hashes, and the number format."""
        made = self.result.provenance
        hashes = [f"{name} SHA-256 {value}" for name, value in sorted(made.bundle_sha256.items())]
        return [self.builder.encodable(text) for text in (f"precision {made.precision}", *hashes)]

    def _threshold(self, low: float, high: float) -> AlgorithmIdentification:
        """Measuring by HU, which the networks have no part in but for the lung mask."""
        return AlgorithmIdentification(
            name=f"{MODEL} opacity burden",
            version=self.builder.program,
            parameters=[
                f"{low:g} to {high:g} HU within the lung mask, vessels set aside",
                "No part of the verdict",
            ],
        )
