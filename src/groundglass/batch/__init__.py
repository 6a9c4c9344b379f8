"""Many studies: told apart, analysed side by side, each with a report and a line in a table."""

from groundglass.batch.analysing import Analysed, BatchSettings, analyse_each
from groundglass.dicom.studies import StudyFiles, find_studies

__all__ = ["Analysed", "BatchSettings", "StudyFiles", "analyse_each", "find_studies"]
