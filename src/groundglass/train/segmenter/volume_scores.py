"""How well lung masks are on whole volumes, cleaned as in service: per volume, end slices included.

    python -m groundglass.train.segmenter.volume_scores lungs/cohort.csv \
        --segmenter segmenter.onnx --out scores
    python -m groundglass.train.segmenter.volume_scores lungs/cohort.csv \
        --segmenter 1=fold-1.onnx --segmenter 2=fold-2.onnx --out scores

Scores the table's volumes that are marked on every slice. Segmenters given by fold score the
volumes of that fold (column `fold`): those that they have not seen, where each was trained with its
fold held out. Mean Dice and millilitres tell little of a mask that decides a verdict, so what it
takes in (dense tissue), loses (air, disease) and misjudges (slices) stands beside.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundglass.cohort import Case, read_cohort
from groundglass.cohort.splitting import FOLD
from groundglass.core.atomic_files import write_whole
from groundglass.errors import InputError
from groundglass.infer import CpuEngine, Precision, Segmenter
from groundglass.infer.bundle import sha256_of
from groundglass.prepare import Recipe, clean_lung_mask
from groundglass.prepare.intensity import segmenter_window
from groundglass.train.data.annotated_volumes import AnnotatedVolume
from groundglass.train.segmenter.reading import is_whole_volume, read_whole_volume

Mask = NDArray[np.bool_]

#: HU above which tissue is dense, and under which a voxel holds air.
_DENSE_HU, _AIR_HU = -300, -600
#: A slice has much lung when it has more than this share of the largest one's.
_MUCH = 0.3
#: Dice under which a slice with much lung is misjudged.
_MISJUDGED = 0.9
_WORST = 5
#: Name of the one segmenter that scores every fold.
_EVERY = ""


@dataclass(frozen=True, slots=True)
class VolumeScore:
    """What a mask is worth on one volume; slices whose truth is wrong are left out."""

    row: int
    """Of the table."""
    slices: int
    """How many were compared."""
    dice: float
    """Of all voxels."""
    dice_lower_third: float
    """Of the lowest third of the slices with lung, and what lies below."""
    false_dense_ml: float
    """Dense tissue (above -300 HU) taken for lung."""
    missed_air_ml: float
    """Air (under -600 HU) of the lungs that is missing."""
    lesion_inside: float | None
    """Share of the marked disease inside the mask; None where none is marked."""
    consolidation_inside: float | None
    """Likewise of the disease above -300 HU."""
    slices_with_much_lung: int
    """Those with more than 0.3 of the largest slice's lung."""
    slices_misjudged: int
    """Of these, with a Dice under 0.9."""
    worst_slices: tuple[tuple[int, float], ...]
    """Of these the worst five: slice, from 0 in the file, and its Dice."""


def score_volume(row: int, volume: AnnotatedVolume, mask: Mask) -> VolumeScore:
    """Compare a mask, of the volume's shape, with its truth; the apex first."""
    kept = np.flatnonzero(volume.trusted)
    hu, lung, lesion, mask = volume.hu[kept], volume.lung[kept], volume.lesion[kept], mask[kept]
    ml = float(np.prod(volume.spacing_mm)) / 1000
    area = lung.sum(axis=(1, 2))
    seen = np.flatnonzero(area)
    lower = slice(int(seen[0]) + 2 * int(seen[-1] - seen[0]) // 3, None)
    much = np.flatnonzero(area > _MUCH * area.max())
    per_slice = sorted((dice(mask[k], lung[k]), int(kept[k])) for k in much)
    return VolumeScore(
        row=row,
        slices=len(kept),
        dice=round(dice(mask, lung), 4),
        dice_lower_third=round(dice(mask[lower], lung[lower]), 4),
        false_dense_ml=round(float((mask & ~lung & (hu > _DENSE_HU)).sum()) * ml, 1),
        missed_air_ml=round(float((~mask & lung & (hu < _AIR_HU)).sum()) * ml, 1),
        lesion_inside=_share(mask, lesion),
        consolidation_inside=_share(mask, lesion & (hu > _DENSE_HU)),
        slices_with_much_lung=len(much),
        slices_misjudged=sum(one < _MISJUDGED for one, _ in per_slice),
        worst_slices=tuple((number, round(one, 3)) for one, number in per_slice[:_WORST]),
    )


def dice(found: Mask, truth: Mask) -> float:
    """Twice the common part over the sum of both; 1 where both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else 1.0


def _share(mask: Mask, part: Mask) -> float | None:
    whole = int(part.sum())
    return round(int((mask & part).sum()) / whole, 4) if whole else None


def lung_mask(volume: AnnotatedVolume, segmenter: Segmenter, recipe: Recipe) -> Mask:
    """The mask of a volume on the networks' square, as service cleans it."""
    images = segmenter_window(volume.hu, recipe)
    return clean_lung_mask(segmenter(images), images, recipe)


def score_cohort(cases: Sequence[Case], segmenters: Mapping[str, Path]) -> list[VolumeScore]:
    """Score every whole volume whose fold has a segmenter.

    Parameters
    ----------
    cases : sequence of Case
        Rows without whole volumes are passed over.
    segmenters : mapping of str to Path
        ONNX files by fold; "" for every fold.

    Raises
    ------
    InputError
        There is no volume to score.
    """
    recipe, engine = Recipe(), CpuEngine(Precision.F32)
    loaded = {fold: Segmenter(path, engine) for fold, path in segmenters.items()}
    scores = []
    for case in cases:
        segmenter = loaded.get(_EVERY) or loaded.get(case.extra.get(FOLD, ""))
        if segmenter is not None and is_whole_volume(case):
            volume = read_whole_volume(case, recipe.image_size)
            scores.append(score_volume(case.row, volume, lung_mask(volume, segmenter, recipe)))
    if not scores:
        raise InputError(
            "no volumes to score",
            expected="npz volumes in the table, in a fold that has a segmenter",
            action="Make the table with `python -m groundglass.train.segmenter.lung_cohort`.",
        )
    return scores


def totals(scores: Sequence[VolumeScore]) -> dict[str, float | int]:
    """Means, worst and sums over the volumes."""
    return {
        "volumes": len(scores),
        "mean_dice": round(float(np.mean([one.dice for one in scores])), 4),
        "worst_dice": min(one.dice for one in scores),
        "mean_dice_lower_third": round(float(np.mean([s.dice_lower_third for s in scores])), 4),
        "false_dense_ml": round(sum(one.false_dense_ml for one in scores), 1),
        "missed_air_ml": round(sum(one.missed_air_ml for one in scores), 1),
        "slices_misjudged": sum(one.slices_misjudged for one in scores),
        "slices_with_much_lung": sum(one.slices_with_much_lung for one in scores),
    }


def table(scores: Sequence[VolumeScore]) -> str:
    """The scores as lines of text, totals at the end."""
    lines = ["row  dice   lower  dense ml  air ml  lesion  consol.  <.9"]
    lines += [
        f"{s.row:>3}  {s.dice:.4f} {s.dice_lower_third:.4f} {s.false_dense_ml:>8.0f} "
        f"{s.missed_air_ml:>7.0f}  {_told(s.lesion_inside)}  {_told(s.consolidation_inside)}    "
        f"{s.slices_misjudged} of {s.slices_with_much_lung}"
        for s in scores
    ]
    lines += [f"{name} {value}" for name, value in totals(scores).items()]
    return "\n".join(lines)


def _told(share: float | None) -> str:
    return "  -  " if share is None else f"{share:.3f}"


def _by_fold(given: Sequence[str]) -> dict[str, Path]:
    pairs = [one.rpartition("=") for one in given]
    return {fold: Path(path) for fold, _, path in pairs}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write volume-scores.json, and the same as a table, volume-scores.txt."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("cohort", type=Path, help="table with whole volumes")
    parser.add_argument(
        "--segmenter", action="append", required=True, help="ONNX file, or FOLD=FILE"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the scores")
    given = parser.parse_args(arguments)
    segmenters = _by_fold(given.segmenter)
    scores = score_cohort(read_cohort(given.cohort).cases, segmenters)
    found = {
        "segmenters_sha256": {fold: sha256_of(path) for fold, path in segmenters.items()},
        "totals": totals(scores),
        "volumes": [asdict(one) for one in scores],
    }
    given.out.mkdir(parents=True, exist_ok=True)
    write_whole(given.out / "volume-scores.json", json.dumps(found, indent=1) + "\n")
    write_whole(given.out / "volume-scores.txt", table(scores) + "\n")


if __name__ == "__main__":
    main()
