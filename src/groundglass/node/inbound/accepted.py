"""What we take in: SOP classes and transfer syntaxes, in one place.

The listener and the ways of fetching go by these tables, and the conformance statement prints them.
"""

from __future__ import annotations

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
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
    LegacyConvertedEnhancedCTImageStorage,
    RLELossless,
)
from pynetdicom.presentation import PresentationContext, build_context

from groundglass.node.dimse.presentation_contexts import (
    MESSAGE_SYNTAXES,
    STORAGE_COMMITMENT,
    VERIFICATION,
)

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
