"""What structured report and key objects have in common as documents (PS3.3 C.17.2, C.17.6.2)."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from groundglass.report.dicom.result_builder import ResultBuilder
from groundglass.report.dicom.result_uids import ResultKind


def document(
    root: Dataset,
    evidence: Sequence[Dataset],
    builder: ResultBuilder,
    kind: ResultKind,
    form: tuple[str, str],
) -> Dataset:
    """A document of a content tree, to be filled and sealed.

    Parameters
    ----------
    evidence : sequence of pydicom Dataset
        Everything that the tree refers to, as `SourceImages.evidence` gives it.
    form : tuple of str
        SOP Class UID and Modality.
    """
    dataset = builder.create(kind, form)
    for element in root:
        dataset.add(element)
    dataset.ReferencedPerformedProcedureStepSequence = []
    study = Dataset()
    study.StudyInstanceUID = builder.study_instance_uid
    study.ReferencedSeriesSequence = _series(evidence)
    dataset.CurrentRequestedProcedureEvidenceSequence = [study]
    return dataset


def _series(evidence: Sequence[Dataset]) -> list[Dataset]:
    """The evidence by series (PS3.3 table C.17-3a)."""
    by_series: dict[str, list[Dataset]] = {}
    for image in evidence:
        reference = Dataset()
        reference.ReferencedSOPClassUID = image.SOPClassUID
        reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
        by_series.setdefault(str(image.SeriesInstanceUID), []).append(reference)
    found = []
    for uid, references in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID = uid
        series.ReferencedSOPSequence = references
        found.append(series)
    return found
