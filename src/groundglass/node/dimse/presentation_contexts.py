"""What we take and what we ask for: SOP classes and transfer syntaxes, in one place.

The listener and the clients negotiate from these tables, and the conformance statement prints them.
"""

from __future__ import annotations

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    Comprehensive3DSRStorage,
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    KeyObjectSelectionDocumentStorage,
    LegacyConvertedEnhancedCTImageStorage,
    ParametricMapStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom.presentation import PresentationContext, build_context

VERIFICATION = UID("1.2.840.10008.1.1")
STORAGE_COMMITMENT = UID("1.2.840.10008.1.20.1")
#: The one instance of the Storage Commitment Push Model (PS3.4 section J.3.5).
STORAGE_COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")
STUDY_ROOT_FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
STUDY_ROOT_MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
STUDY_ROOT_GET = UID("1.2.840.10008.5.1.4.1.2.2.3")

#: What is taken in (PS3.4 table B.5-1).
TAKEN_CLASSES = (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)
#: How, best first: whatever `groundglass.read` decodes but for deflated data sets, of which a
#: small one may become gigabytes.
IMAGE_SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    RLELossless,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ExplicitVRBigEndian,
    JPEGLSNearLossless,
    JPEG2000,
    HTJ2K,
    JPEGExtended12Bit,
    JPEGBaseline8Bit,
)
#: What is sent out: `groundglass.report` writes these. Other files, given to `groundglass send` by
#: hand, go under their own class.
RESULT_CLASSES = (
    SecondaryCaptureImageStorage,
    Comprehensive3DSRStorage,
    SegmentationStorage,
    ParametricMapStorage,
    KeyObjectSelectionDocumentStorage,
)
#: In these encodings, or for a map in the last one, as the files are; nothing is encoded anew but
#: Explicit as Implicit VR where a receiver wants that.
RESULT_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless)
#: For everything that has no pixels.
MESSAGE_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


def listener_contexts() -> list[PresentationContext]:
    """What the listener accepts.

    Storage commitment is accepted in both roles (PS3.7 D.3.3.4): peers ask us about what they
    sent, and report on what we sent them.
    """
    commitment = build_context(STORAGE_COMMITMENT, list(MESSAGE_SYNTAXES))
    commitment.scu_role = commitment.scp_role = True
    return [
        build_context(VERIFICATION, list(MESSAGE_SYNTAXES)),
        *(build_context(uid, list(IMAGE_SYNTAXES)) for uid in TAKEN_CLASSES),
        commitment,
    ]
