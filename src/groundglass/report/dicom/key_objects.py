"""The slices that carried the verdict as a DICOM Key Object Selection (PS3.16 TID 2010)."""

from __future__ import annotations

from collections import defaultdict

from highdicom.ko import KeyObjectSelection

from groundglass.core.result import RESEARCH_USE_ONLY, TriageResult
from groundglass.report.dicom import codes
from groundglass.report.dicom.result_builder import DicomObject, ResultBuilder
from groundglass.report.dicom.result_uids import ResultKind
from groundglass.report.dicom.source_images import SourceImages

_KIND = ResultKind.KEY_OBJECTS


def key_objects(result: TriageResult, source: SourceImages, builder: ResultBuilder) -> DicomObject:
    """The key slices as a list that viewers jump to."""
    indices = [heatmap.slice_index for heatmap in result.heatmaps]
    evidence = source.evidence(indices)
    words = f"{RESEARCH_USE_ONLY} {result.provenance.bundle_statement}"
    content = KeyObjectSelection(
        document_title=codes.OF_INTEREST,
        referenced_objects=evidence,
        observer_device_context=builder.observer,
        description=builder.encodable(words),
    )
    _name_frames(content, source, indices)
    dataset = builder.create_document(_KIND, content[0], evidence)
    return builder.finalize(dataset, _KIND)


def _name_frames(content: KeyObjectSelection, source: SourceImages, indices: list[int]) -> None:
    """Of objects of many frames, say which (PS3.3 table 10-3)."""
    frames: defaultdict[str, list[int]] = defaultdict(list)
    for index in indices:
        image = source.images[index]
        if image.frame_number is not None:
            frames[image.sop_instance_uid].append(image.frame_number)
    for item in content[0].ContentSequence:
        for reference in item.get("ReferencedSOPSequence", ()):
            numbers = sorted(frames[reference.ReferencedSOPInstanceUID])
            if numbers:
                reference.ReferencedFrameNumber = numbers
