"""The standard's SOP classes of services, and the transfer syntaxes of messages without pixels."""

from __future__ import annotations

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

VERIFICATION = UID("1.2.840.10008.1.1")
STORAGE_COMMITMENT = UID("1.2.840.10008.1.20.1")
#: The one instance of the Storage Commitment Push Model (PS3.4 section J.3.5).
STORAGE_COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")
STUDY_ROOT_FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
STUDY_ROOT_MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
STUDY_ROOT_GET = UID("1.2.840.10008.5.1.4.1.2.2.3")

#: For everything that has no pixels.
MESSAGE_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
