"""A study in: files → Study → the chest CT Series → Volume in HU. Public: three functions."""

from groundglass.read.assembly import read_volume
from groundglass.read.reading import read_study
from groundglass.read.selection import select_chest_ct

__all__ = ["read_study", "read_volume", "select_chest_ct"]
