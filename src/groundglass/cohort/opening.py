"""One study opened as training will open it, and its pixels made comparable."""

from __future__ import annotations

from groundglass.cohort.case import Case
from groundglass.cohort.fingerprint import SliceDigest, combine, digests_of, slice_digests
from groundglass.cohort.leaks import Examined
from groundglass.cohort.stack_columns import stack_settings
from groundglass.cohort.stacks import read_stack
from groundglass.cohort.studies import StudyKind, read_slice, study_kind, without_names
from groundglass.errors import InputError
from groundglass.read import read_study, read_volume, select_chest_ct


def examine(case: Case) -> Examined:
    """Open a study: its fingerprint, or why it cannot be used.

    A phantom is not rendered: its settings decide its voxels.
    """
    try:
        slices = _slices(case)
    except InputError as error:
        return Examined(case, problem=without_names(case, str(error)))
    marked = frozenset(one.sha256 for one in slices if not one.blank)
    return Examined(case, fingerprint=combine(slices), slices=marked)


def _slices(case: Case) -> list[SliceDigest]:
    kind = study_kind(case.study)
    if kind in (StudyKind.DICOM, StudyKind.NIFTI, StudyKind.METAIMAGE):
        study = read_study(case.study)
        series = select_chest_ct(study)
        if kind is StudyKind.DICOM:  # of a volume file the digests read all there is
            read_volume(series)
        return digests_of(study)
    if kind is StudyKind.IMAGE and not case.extra.get("mask"):
        read_slice(case.study)  # with a mask it is for the segmenter, which takes 16 bits
    if kind is StudyKind.IMAGE_STACK:
        read_stack(case.study, stack_settings(case))
    return slice_digests(case.study)
