"""A study in: files → Study → the chest CT Series → Volume in HU. Public: three functions."""

from groundglass.dicom.assembly import read_volume
from groundglass.dicom.reading import read_study
from groundglass.dicom.selection import select_chest_ct

__all__ = ["read_study", "read_volume", "select_chest_ct"]
