"""Dice of the shipped lung segmenter on the annotated test slices, by the shipped code in f32.

Quality is told of one number format; the section `precision` tells what bf16 changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Sample
from groundglass.analyse.triage import Triage
from groundglass.infer import Bundle, CpuEngine, Precision, Segmenter, load_bundle
from groundglass.infer.bundle import SEGMENTER
from groundglass.phantom import LABELS, PhantomSettings, make_phantom
from groundglass.prepare import clean_lung_mask
from groundglass.prepare.intensity import segmenter_window
from groundglass.train.data.annotated_slices import AnnotatedSlice, read_annotated_slices
from groundglass.train.segmenter.augment import add_consolidation

#: A pixel is made ill when it rises by this much; slices with fewer such pixels are passed over.
_DISEASE_HU, _FEWEST_PIXELS = 400, 200
#: Denser than this is consolidation, not ground glass.
_SOLID_HU = -100


@dataclass(frozen=True, slots=True)
class DiceTable:
    """Dice per slice, worst first."""

    names: tuple[str, ...]
    dice: tuple[float, ...]

    def interval(self, seed: int = 0) -> tuple[float, float]:
        """95 % bootstrap interval of the mean over slices (one slice a patient)."""
        rng = np.random.default_rng(seed)
        values = np.array(self.dice)
        means = rng.choice(values, (10_000, len(values))).mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval()
        worst = ", ".join(
            f"{n} {d:.4f}" for n, d in list(zip(self.names, self.dice, strict=True))[:5]
        )
        mean, count = np.mean(self.dice), len(self.dice)
        return f"Dice {mean:.4f} (95 % {low:.4f}-{high:.4f}, n = {count}); worst: {worst}"


def found_masks(
    slices: list[AnnotatedSlice], bundle: Bundle, *, cleaned: bool
) -> list[NDArray[np.bool_]]:
    """Lung masks of single slices, straight from the U-Net or after the cleaning of service."""
    segmenter = Segmenter(bundle.path(SEGMENTER), CpuEngine(Precision.F32))
    images = np.stack([segmenter_window(s.hu, bundle.recipe) for s in slices])
    probability = segmenter(images)
    if not cleaned:
        return list(probability > round(255 * bundle.recipe.lung_threshold))
    return [
        clean_lung_mask(p[None], i[None], bundle.recipe)[0]
        for p, i in zip(probability, images, strict=True)
    ]


def dice_table(folder: Path, bundle: Bundle, *, cleaned: bool = True) -> DiceTable:
    """Dice of every slice in `folder`."""
    slices = read_annotated_slices(folder)
    masks = found_masks(slices, bundle, cleaned=cleaned)
    pairs = sorted(
        (2 * float((m & s.lung).sum()) / float(m.sum() + s.lung.sum()), s.name)
        for m, s in zip(masks, slices, strict=True)
    )
    return DiceTable(tuple(name for _, name in pairs), tuple(dice for dice, _ in pairs))


def disease_kept(bundle: Bundle, folder: Path, patients: int = 12) -> dict[str, float]:
    """Share of disease that stays inside the mask, as in service; a mask must not lose it.

    Means over annotated real slices, into whose lungs ground glass and consolidation are made, and
    over severe phantoms, CP and NCP in turn.
    """
    rng = np.random.default_rng(5)
    ill, changed = [], []
    for one in read_annotated_slices(folder):
        hu = add_consolidation(one.hu.astype(np.float32), one.lung.astype(np.uint8), rng)
        dense = one.lung & (hu - one.hu > _DISEASE_HU)
        if dense.sum() >= _FEWEST_PIXELS:
            ill.append(replace(one, hu=np.rint(hu).astype(np.int16)))
            changed.append(dense)
    masks = found_masks(ill, bundle, cleaned=True)
    made = [(m & c).sum() / c.sum() for m, c in zip(masks, changed, strict=True)]
    triage = Triage(bundle, CpuEngine(Precision.F32))
    lesions, solid = [], []
    for seed in range(300, 300 + patients):
        label = LABELS[seed % 2]
        phantom = make_phantom(
            PhantomSettings(label, severity=0.95, seed=seed, matrix=256, slice_spacing_mm=8.0)
        )
        mask = triage.find_lungs(phantom.volume).volume
        dense = phantom.lesion & (phantom.volume.hu > _SOLID_HU)
        lesions.append((mask & phantom.lesion).sum() / phantom.lesion.sum())
        solid.append((mask & dense).sum() / dense.sum())
    return {
        f"disease made into {len(made)} real slices": float(np.mean(made)),
        f"lesions of {patients} severe phantoms": float(np.mean(lesions)),
        f"their solid part (above {_SOLID_HU} HU)": float(np.mean(solid)),
    }


def section(bench: Bench) -> Section:
    """Dice of the U-Net alone and as in service; disease that stays inside."""
    found = Section()
    if not bench.marked_slices.is_dir():
        reason = f"no annotated slices at {bench.marked_slices}"
        found.rows.append(Row.missing("mean Dice on annotated slices", reason, unit=""))
        return found
    bundle = load_bundle(bench.bundle)
    for what, cleaned in (("the U-Net alone", False), ("as in service", True)):
        bench.tell(f"Dice, {what}")
        found.rows.append(_dice(what, dice_table(bench.marked_slices, bundle, cleaned=cleaned)))
    bench.tell("disease")
    for what, share in disease_kept(bundle, bench.marked_slices).items():
        found.rows.append(Row(f"kept inside the mask: {what}", Sample((share,)), unit=""))
    return found


def _dice(what: str, table: DiceTable) -> Row:
    mean = sum(table.dice) / len(table.dice)
    return Row(f"mean Dice, {what}", Sample((mean,)), unit="", note=str(table))
