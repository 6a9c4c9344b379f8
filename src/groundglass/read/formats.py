"""The formats that are read, and which of them a file or a series is of."""

from __future__ import annotations

from groundglass.core.study import Series
from groundglass.read.dicom.format import DicomFormat
from groundglass.read.format import Format
from groundglass.read.image_stack.stack import ImageStackFormat
from groundglass.read.metaimage import MetaImageFormat
from groundglass.read.nifti.volume import NiftiFormat

#: The first that recognises a file has it.
FORMATS: tuple[Format, ...] = (
    DicomFormat(),
    NiftiFormat(),
    MetaImageFormat(),
    ImageStackFormat(),
)


def format_of(head: bytes) -> Format | None:
    """The format of a file, by its first bytes; None where it is none of them."""
    return next((one for one in FORMATS if one.recognises(head)), None)


def format_for(series: Series) -> Format:
    """The format a series is of."""
    return next(one for one in FORMATS if series.kind in one.kinds)
