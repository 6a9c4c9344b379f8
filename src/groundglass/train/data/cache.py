"""The prepared-slice cache: what the classifier sees of each case, made once, read at every epoch.

A case is an array on disk that is mapped into memory (uint8, slices × size × size, feet to head,
after lungs, elimination and equalisation), where its lesions are known a second one of the same
shape, and a small JSON entry, written last. Files are named by a hash of all that decides their
content, so that what is stale is never read and one folder serves many experiments.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort import Case, StudyKind, study_kind
from groundglass.cohort.image_files import STACK_COLUMNS
from groundglass.cohort.opening import without_names
from groundglass.core.atomic_files import open_whole, write_whole
from groundglass.core.result import SliceGroup
from groundglass.errors import GroundglassError, InputError
from groundglass.prepare import Recipe, gather, group_slices
from groundglass.train.data.prepare_case import Lungs, prepare_case
from groundglass.train.data.prepare_slice import (
    LESION_COLUMN,
    PATCHES_COLUMN,
    REALISM_COLUMN,
    SLICE_COLUMNS,
)

Images = NDArray[np.uint8]
#: Told (done, in all).
Progress = Callable[[int, int], None]

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")

#: Changes when the same inputs would be prepared to other images by newer code.
_VERSION = 2
#: Files up to this many bytes are known by their content, larger ones by size and time of change.
_SMALL = 1 << 20


@dataclass(frozen=True, slots=True)
class PreparedCase:
    """One case in the cache."""

    case: Case
    """Row of the cohort."""
    path: Path
    """Its images."""
    lesion_path: Path | None
    """Its lesion masks, where they are known."""
    slices: int
    """How many images."""
    is_volume: bool
    """Whether they are a study, which has groups, or one slice alone."""
    fingerprint: str
    """`study_fingerprint` of the study."""

    def images(self) -> Images:
        """The images, mapped: uint8, shape (slices, size, size), feet to head."""
        mapped: Images = np.load(self.path, mmap_mode="r")
        return mapped

    def lesion(self) -> Images | None:
        """Lesion masks of the same shape: 0, 1, or 255 where it is not known. None: no masks."""
        return None if self.lesion_path is None else np.load(self.lesion_path, mmap_mode="r")

    def groups(self, size: int) -> tuple[SliceGroup, ...]:
        """The groups the sequence model sees; their indices count within `images`."""
        return group_slices(range(self.slices), size)

    def group_images(self, group: SliceGroup) -> Images:
        """(group.size, size, size) images fed to the networks for one group."""
        return gather(group, self.images()[list(group.slice_indices)])


@dataclass(frozen=True, slots=True)
class ExcludedCase:
    """A case that cannot be used: its row in the cohort's table and why, without names."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class PreparedCohort:
    """What can be trained on, and what cannot, both in the table's order."""

    cases: tuple[PreparedCase, ...]
    excluded: tuple[ExcludedCase, ...]

    def of_split(self, split: str) -> tuple[PreparedCase, ...]:
        """The cases of one split."""
        return tuple(case for case in self.cases if case.case.split == split)


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """Where prepared slices are kept and who makes them."""

    folder: Path
    """Made if missing. Several experiments may share it."""
    processes: int = 2
    """How many cases are prepared at once; each takes some 1 GB."""


def prepare_cohort(
    cases: Sequence[Case],
    lungs: Lungs,
    recipe: Recipe,
    cache: CacheSettings,
    progress: Progress,
) -> PreparedCohort:
    """Prepare every case that is not in the cache yet, in parallel.

    A case that cannot be prepared is excluded with its reason; the others go on. `progress` is
    told (done, in all) cases.
    """
    cache.folder.mkdir(parents=True, exist_ok=True)
    wanted: dict[int, _Job] = {}
    failed: dict[int, str] = {}
    for place, case in enumerate(cases):
        try:
            wanted[place] = _job(case, lungs, recipe, cache.folder)
        except (GroundglassError, OSError) as error:
            failed[place] = reason_of(case, error)
    missing = {job.stem: job for job in wanted.values() if not _is_whole(job)}
    before = len(cases) - len(missing)
    progress(before, len(cases))
    jobs = list(missing.values())
    troubles: dict[Path, str] = {}
    for done, (number, trouble) in enumerate(in_processes(_do, jobs, cache.processes), start=1):
        if trouble is not None:
            troubles[jobs[number].stem] = trouble
        progress(before + done, len(cases))
    failed |= {place: troubles[job.stem] for place, job in wanted.items() if job.stem in troubles}
    return PreparedCohort(
        tuple(_read(job) for place, job in wanted.items() if place not in failed),
        tuple(ExcludedCase(cases[place].row, failed[place]) for place in sorted(failed)),
    )


def in_processes(
    work: Callable[[_Given], _Made], jobs: Sequence[_Given], processes: int
) -> Iterator[tuple[int, _Made]]:
    """Do every job, several at once; the number of each and what came of it, as they end."""
    if processes <= 1 or len(jobs) <= 1:
        yield from enumerate(map(work, jobs))
        return
    # Not forked: the parent may hold threads of PyTorch or OpenVINO.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context) as pool:
        futures = {pool.submit(work, job): number for number, job in enumerate(jobs)}
        for future in as_completed(futures):
            yield futures[future], future.result()


def reason_of(case: Case, error: GroundglassError | OSError) -> str:
    """Why a case was set aside; names of its files, which may name someone, are left out."""
    if isinstance(error, GroundglassError):
        text = f"{error.found}; expected {error.expected}"
    else:
        text = f"a study that cannot be read ({error.strerror or type(error).__name__})"
    text = text.replace(str(case.study), "the study").replace(case.study.name, "the study")
    text = without_names(case, text)
    return text.removeprefix(f"row {case.row}: ")


@dataclass(frozen=True, slots=True)
class _Job:
    case: Case
    lungs: Lungs
    recipe: Recipe
    stem: Path

    def file(self, suffix: str) -> Path:
        return self.stem.with_name(self.stem.name + suffix)


def _job(case: Case, lungs: Lungs, recipe: Recipe, folder: Path) -> _Job:
    kind = study_kind(case.study)
    # What comes after preparing does not change it.
    later = ("group_size", "vote_threshold")
    decides: dict[str, Any] = {
        "version": _VERSION,
        "kind": kind,
        "study": _signature(case.study),
        "lungs": "true" if lungs.true_lungs and kind is StudyKind.PHANTOM else lungs.sha256,
        "recipe": {k: v for k, v in recipe.to_dict().items() if k not in later},
    }
    if kind is StudyKind.IMAGE_STACK:
        decides["stack"] = {name: case.extra.get(name, "") for name in STACK_COLUMNS}
    if kind is StudyKind.IMAGE:
        decides["slice"] = {name: case.extra.get(name, "") for name in SLICE_COLUMNS}
    for column in (LESION_COLUMN, PATCHES_COLUMN, REALISM_COLUMN):
        if case.extra.get(column):
            decides[column] = _signature(case.study.parent / case.extra[column])
    text = json.dumps(decides, sort_keys=True)
    return _Job(case, lungs, recipe, folder / hashlib.sha256(text.encode()).hexdigest()[:32])


def _signature(path: Path) -> str:
    """What tells that files have changed, without reading gigabytes."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    known = hashlib.sha256()
    for file in files:
        state = file.stat()
        if state.st_size <= _SMALL and len(files) == 1:
            known.update(file.read_bytes())
        else:
            name = file.relative_to(path) if path.is_dir() else ""
            known.update(f"{name}|{state.st_size}|{state.st_mtime_ns};".encode())
    return known.hexdigest()


def _is_whole(job: _Job) -> bool:
    return job.file(".json").exists() and job.file(".npy").exists()


def _read(job: _Job) -> PreparedCase:
    entry = json.loads(job.file(".json").read_text(encoding="utf-8"))
    return PreparedCase(
        case=job.case,
        path=job.file(".npy"),
        lesion_path=job.file(".lesion.npy") if entry["lesion"] else None,
        slices=entry["slices"],
        is_volume=entry["is_volume"],
        fingerprint=entry["fingerprint"],
    )


def _do(job: _Job) -> str | None:
    """Prepare a case and keep it; why not, where it failed."""
    try:
        found = prepare_case(job.case, job.lungs, job.recipe)
    except (InputError, OSError) as error:
        return reason_of(job.case, error)
    if found.lesion is not None:
        _write(job.file(".lesion.npy"), found.lesion)
    _write(job.file(".npy"), found.images)
    entry = {
        "slices": len(found.images),
        "is_volume": found.is_volume,
        "lesion": found.lesion is not None,
        "fingerprint": found.fingerprint,
    }
    write_whole(job.file(".json"), json.dumps(entry, sort_keys=True) + "\n")
    return None


def _write(path: Path, array: Images) -> None:
    with open_whole(path) as file:
        np.save(file, array)
