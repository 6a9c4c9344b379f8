from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, KeyObjectSelectionDocumentStorage

from groundglass.report.dicom.result_builder import ResultBuilder
from groundglass.report.dicom.result_uids import Identity, ResultKind
from made_result import ANALYSIS


def image(series: str, uid: str) -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.SeriesInstanceUID = CTImageStorage, uid, series
    return made


def test_evidence_is_listed_by_series_and_the_tree_is_the_documents() -> None:
    builder = ResultBuilder(
        Dataset(), "2.25.1", Identity("made"), "1.0", "made 1", "CHEST", ANALYSIS
    )
    root, line = Dataset(), Dataset()
    line.TextValue = "said"
    root.ValueType, root.ContentSequence = "CONTAINER", [line]
    evidence = [image("2.25.2", "2.25.3"), image("2.25.4", "2.25.5"), image("2.25.2", "2.25.6")]
    made = builder.create_document(ResultKind.KEY_OBJECTS, root, evidence)
    (study,) = made.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == made.StudyInstanceUID == "2.25.1"
    listed = {
        series.SeriesInstanceUID: [
            ref.ReferencedSOPInstanceUID for ref in series.ReferencedSOPSequence
        ]
        for series in study.ReferencedSeriesSequence
    }
    assert listed == {"2.25.2": ["2.25.3", "2.25.6"], "2.25.4": ["2.25.5"]}
    assert made.ContentSequence[0].TextValue == "said"
    assert (made.ValueType, made.Modality) == ("CONTAINER", "KO")
    assert made.SOPClassUID == KeyObjectSelectionDocumentStorage
    assert made.PatientName is None or made.PatientName == ""
