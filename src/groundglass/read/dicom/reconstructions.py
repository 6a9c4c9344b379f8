"""What kind of image a frame is: a slice reconstructed from a CT scan, or something else."""

from __future__ import annotations

from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from groundglass.read.dicom.description_terms import computed_by_type
from groundglass.read.dicom.frames import Frame
from groundglass.read.dicom.uids import named

_CT_CLASSES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)


def is_ct_class(uid: str) -> bool:
    """Whether a SOP Class UID is a CT image's (PS3.3 A.3, A.38, A.70)."""
    return uid in _CT_CLASSES


def why_not_ct(frame: Frame) -> str | None:
    """The object class, where it is not a CT image's."""
    uid = frame.header.sop_class_uid
    return None if is_ct_class(uid) else f"{named(uid, 'an object')}, not a CT image"


def why_no_reconstruction(frame: Frame) -> str | None:
    """What a CT image is by its Image Type, where it is no slice of the scan."""
    if any("LOCALIZER" in value or "SCOUT" in value for value in frame.image_type):
        return "a localizer"
    computed = computed_by_type(frame.image_type)
    return computed_images(computed) if computed is not None else None


def computed_images(by: str) -> str:
    """That images are computed, and the word that says so."""
    return f"computed images ({by}), not a reconstruction of the scan"


def is_reconstruction(frame: Frame) -> bool:
    """Whether a frame is a CT slice reconstructed from the scan, as far as its header says."""
    return why_not_ct(frame) is None and why_no_reconstruction(frame) is None
