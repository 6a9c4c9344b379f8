"""A result as DICOM objects in the study it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import groundglass
from groundglass.core.analysis import Analysis
from groundglass.core.result import Outcome, TriageResult
from groundglass.core.study import Instance
from groundglass.core.volume import Volume
from groundglass.errors import GroundglassError, NoChestCT, ReportError
from groundglass.read.dicom.patients import by_patient
from groundglass.read.dicom.uids import study_uid_of
from groundglass.report.dicom.capture import capture
from groundglass.report.dicom.capture_pages import Naming, refusal_page, verdict_pages
from groundglass.report.dicom.key_objects import key_objects
from groundglass.report.dicom.result_builder import DicomObject, ResultBuilder
from groundglass.report.dicom.result_uids import Identity
from groundglass.report.dicom.saliency_map import saliency_map
from groundglass.report.dicom.segmentation import lung_segmentation
from groundglass.report.dicom.settings import DICOM, DicomSettings
from groundglass.report.dicom.source_images import SourceImages, identify, why_no_dicom
from groundglass.report.dicom.structured_report import structured_report
from groundglass.report.view_model import ViewModel

_CHEST = "CHEST"


def dicom_results(
    result: TriageResult, volume: Volume, settings: DicomSettings = DICOM
) -> tuple[DicomObject, ...]:
    """The result as objects for the PACS, each kind in a series of its own.

    With a verdict: captures, structured report, segmentation, saliency; captures alone of images
    that have no valid UIDs to refer to (`why_captures_only`). Without one: a capture that says so
    and why. The same input, weights, version of the program and analysis give the same objects.

    Parameters
    ----------
    volume : Volume
        The volume that was judged, read from DICOM.

    Raises
    ------
    ReportError
        The volume was not read from DICOM (`why_no_dicom` says it without raising).
    ReadError
        The study's files are no longer there.
    """
    reason = why_no_dicom(volume.series)
    if reason is not None:
        raise ReportError(
            f"a volume that cannot have DICOM results. {reason}",
            expected="a volume read from a DICOM series",
            action="Write the report without them.",
        )
    source = SourceImages.of(volume)
    made = result.provenance
    builder = ResultBuilder(
        header=source.header,
        study_instance_uid=source.study_instance_uid,
        identity=Identity.of_result(source.keys, result),
        program=made.groundglass_version,
        weights=made.bundle,
        body_part=_body_part(source, result.outcome),
        analysis=result.analysis,
    )
    view = ViewModel(result, volume)
    naming = Naming(lambda index: source.images[view.index_as_read(index)].name, builder.analysed)
    pages = verdict_pages(view, naming)
    objects = [capture(page, builder, number) for number, page in enumerate(pages, 1)]
    if result.verdict is None or not source.identified:
        return tuple(objects)
    segmentation = lung_segmentation(result.mask, source, builder)
    shown = _with_shown_slices(result, view)
    objects += [structured_report(shown, source, segmentation, builder), segmentation]
    if result.heatmaps:
        objects.append(saliency_map(result, source, builder))
    if shown.heatmaps and settings.key_objects:
        objects.append(key_objects(shown, source, builder))
    return tuple(objects)


def _with_shown_slices(result: TriageResult, view: ViewModel) -> TriageResult:
    """The result with those key slices alone whose heat a reader sees in the pictures."""
    seen = {view.index_as_read(heatmap.slice_index) for heatmap in view.key_heatmaps}
    return replace(result, heatmaps=tuple(h for h in result.heatmaps if h.slice_index in seen))


def refusal_results(
    instances: Sequence[Instance], error: GroundglassError, analysis: Analysis
) -> tuple[DicomObject, ...]:
    """A capture that says that a study was not analysed, and why.

    For what never became a result: no chest CT in it, slices that make no regular volume. Where
    the images name several patients, each gets one: whoever looks at either is to know.

    Parameters
    ----------
    instances : sequence of Instance
        Images of the study; what is not DICOM is passed over.

    Raises
    ------
    ReportError
        No image is DICOM.
    ReadError
        The study's files are no longer there.
    """
    images = [image for image in instances if image.sop_class_uid]
    if not images:
        raise ReportError(
            "a study without DICOM images",
            expected="at least one, whose study the capture belongs to",
            action="Tell the reason where the study came from.",
        )
    program = groundglass.__version__
    lines = [f"Found {error.found}.", f"Expected {error.expected}.", error.action]
    if isinstance(error, NoChestCT) and error.rejections:
        lines = ["No series is an axial chest CT fit for the lungs.", error.action]
        lines += error.rejections
    lines += [note.text for note in analysis.notes]
    builders = [
        _refusal_builder(patient.instances, error, analysis) for patient in by_patient(images)
    ]
    return tuple(
        capture(
            refusal_page("Not analysed", [builder.analysed, *lines], program),
            builder,
            number,
            quotes=True,
        )
        for number, builder in enumerate(builders, 1)
    )


def _refusal_builder(
    images: Sequence[Instance], error: GroundglassError, analysis: Analysis
) -> ResultBuilder:
    """The study of one patient's images."""
    header = identify(images)
    keys: list[tuple[str, int | None]] = [(image.sop_instance_uid, None) for image in images]
    program = groundglass.__version__
    return ResultBuilder(
        header=header,
        study_instance_uid=study_uid_of(images),
        identity=Identity.of_refusal(keys, program, str(error), analysis),
        program=program,
        weights="",
        body_part=str(header.get("BodyPartExamined") or _CHEST),
        analysis=analysis,
    )


def _body_part(source: SourceImages, outcome: Outcome) -> str:
    """What the CT says it shows; the chest where it says nothing and lungs were judged."""
    stated = str(source.header.get("BodyPartExamined") or "")
    return _CHEST if outcome is Outcome.VERDICT else stated or _CHEST
