"""Files that are a volume of their own: what NIfTI and MetaImage have in common."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry
from groundglass.core.study import Instance, Series, SourceKind
from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError, ReadError
from groundglass.read.candidates import (
    Candidate,
    SelectionSettings,
    why_not_axial,
    why_too_little,
)
from groundglass.read.dicom.stacks.grid import AssemblySettings
from groundglass.read.format import FoundFiles, Place, Progress, SeriesFound, StudyIdentity
from groundglass.read.hounsfield import MissingVoxels, is_exact, refuse_other_units, store_hu
from groundglass.read.sources import Entry, Sources

#: Bytes of a volume file that tell it from others, beside its size.
_VOLUME_LOOK = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFile(Instance):
    """A volume, by its header, and the file that holds its voxels: itself, or one beside it."""

    voxels: Instance

    @property
    def used(self) -> frozenset[Place]:
        """The file beside it that it needs, if any."""
        beside = (self.voxels.path, self.voxels.member)
        return frozenset() if beside == (self.path, self.member) else frozenset((beside,))


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """The voxels of a volume file, shape (slices, rows, columns).

    HU = slope × stored value + intercept; `notes` say what a reader should know.
    """

    values: NDArray[Any]
    slope: float
    intercept: float
    notes: frozenset[str] = frozenset()


_File = TypeVar("_File", bound=VolumeFile)


class VolumeFormat(ABC, Generic[_File]):
    """A format of volume files."""

    kind: SourceKind
    #: Of a series. Not the file's name: exports like to put the patient's name into it.
    description: str

    @property
    def kinds(self) -> frozenset[SourceKind]:
        """What its series are."""
        return frozenset((self.kind,))

    @abstractmethod
    def recognises(self, head: bytes) -> bool:
        """Whether a file is of this format."""

    @abstractmethod
    def read(self, entry: Entry, sources: Sources, head: bytes) -> _File:
        """A file by its header; a ReadError where it is no volume of one number per voxel."""

    @abstractmethod
    def geometry(self, file: _File) -> tuple[Geometry, tuple[int, int, int]]:
        """Its grid, and the stored axis behind each of (slice, row, column).

        Raises
        ------
        AssemblyError
            The header places the voxels nowhere, in two ways, or on a sheared grid.
        """

    @abstractmethod
    def stored(self, file: _File, order: tuple[int, int, int]) -> Stored:
        """Its voxels, axes in this order.

        Raises
        ------
        ReadError, AssemblyError
            They are cut off, or their checksum does not match; nothing is rescaled by guess.
        """

    def identify(self, entry: Entry, sources: Sources, head: bytes) -> StudyIdentity:
        """A study of its own, told from others by its content."""
        with suppress(ReadError):  # what is wrong with it, its analysis says
            file = self.read(entry, sources, head)
            return StudyIdentity(_look(sources, entry, file.voxels), used=file.used)
        return StudyIdentity(_look(sources, entry))

    def sort(self, found: FoundFiles) -> SeriesFound:
        """Each file as a series of its own."""
        files = [file for _, file in found.instances if isinstance(file, VolumeFile)]
        return SeriesFound(
            tuple(Series("", "", self.kind, "", self.description, (file,)) for file in files),
            used=frozenset().union(*(file.used for file in files)),
        )

    def assess(self, series: Series, name: str, settings: SelectionSettings) -> Candidate | str:
        """By its grid. It names no part of the body; whether there is lung, the analysis says."""
        try:
            geometry, _ = self.geometry(cast(_File, series.instances[0]))
        except AssemblyError as error:
            return str(error)
        spacing = round(geometry.spacing_mm[0], 4)  # headers hold single precision
        coverage = geometry.shape[0] * spacing
        reason = why_not_axial(geometry.directions[0], settings) or why_too_little(
            geometry.shape[0], coverage, spacing, settings
        )
        return reason or Candidate(series, name, coverage_mm=coverage)

    def decode(
        self, series: Series, _settings: AssemblySettings, _progress: Progress | None
    ) -> Volume:
        """Its voxels in HU, plane by plane."""
        file = cast(_File, series.instances[0])
        geometry, order = self.geometry(file)
        try:
            stored = self.stored(file, order)
        except ReadError as error:
            raise AssemblyError(
                error.found, expected=error.expected, action=error.action
            ) from error
        slope, intercept = stored.slope, stored.intercept
        whole = stored.values.dtype.kind in "iu" and slope == 1.0 and is_exact(slope, intercept)
        hu = np.empty(geometry.shape, np.int16 if whole else np.float32)
        notes = set(stored.notes)
        missing = MissingVoxels()
        for target, plane in zip(hu, stored.values, strict=True):
            missing.look(plane)
            notes |= store_hu(plane, slope, intercept, target)
        notes |= missing.notes()
        refuse_other_units(hu)
        return Volume(hu, geometry, series, tuple(sorted(notes)))


def _look(sources: Sources, *files: Entry | Instance) -> str:
    """What tells a volume's files from others: their sizes and what they begin with."""
    parts = []
    for one in files:
        size = sources.size(one)
        content = sources.read(one, limit=_VOLUME_LOOK)
        parts.append(f"{size} {hashlib.sha256(content).hexdigest()}")
    return " ".join(dict.fromkeys(parts))
