"""Heat maps against lesions marked on real slices.

    python -m benchmarks.real_lesions --data ../shared/data --bundle demonstration

COVID-19 patients of COVID-19-CT-Seg and of MedSeg's volumes (`marked_slices`), up to so many slices
of each with a lesion, drawn with one seed. The map of findings of a bundle that judges slices by
themselves; lungs found by its own network. Within the marked lung: area under the ROC curve of its
pixels, lesion or not. Pointing: the hottest pixel lies in a lesion. Energy: share of the heat in
lesions. Mean per patient, then over patients; intervals: 95 %, patients drawn again, 2000 times.

REFINED_BY_HU was chosen on `CHOSEN_ON` (decision 0021): the other patients are the ones to quote.
HU are estimated from grey values, for the maps and for what they are compared with.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.explanations import METHODS, with_interval
from groundglass.core.geometry import Geometry
from groundglass.errors import SettingsError
from groundglass.evaluate.statistics import auc
from groundglass.explain import (
    Explainer,
    LikelihoodSettings,
    LungTissue,
    SliceHeadWeights,
    encode_views,
    head_of,
    opacity_likelihood,
)
from groundglass.infer import Bundle, Classifier, CpuEngine, Precision, Segmenter, load_bundle
from groundglass.infer.bundle import HEAD, SEGMENTER
from groundglass.prepare import Letterbox, Recipe, classifier_image, clean_lung_mask
from groundglass.prepare.intensity import segmenter_window
from groundglass.train.data.marked_slices import MarkedSlice, lesion_slices, volume_slices

Map = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Patients on whom the default map was chosen.
CHOSEN_ON = tuple(f"covid-19-ct-seg/cs-{k:02d}" for k in (1, 3, 5, 7, 9, 13))
DEFAULT = next(iter(METHODS))
SMOOTHED, LIKELIHOOD = "HU smoothed by 4.5 mm", "likelihood by HU alone"
#: Width in mm of a chest image where nothing states it.
_FIELD_MM = 350.0
#: Fewer pixels of a lesion, or of lung without, are nothing to rank.
_LEAST_PIXELS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One marked slice on the networks' square, as service would see it."""

    patient: str
    image: NDArray[np.uint8]
    tissue: LungTissue
    lung: Mask
    lesion: Mask
    """`lung`, `lesion`: as marked, shapes (size, size)."""


@dataclass(frozen=True, slots=True, eq=False)
class SliceNetworks:
    """A bundle that judges slices by themselves, with what explains it."""

    recipe: Recipe
    segmenter: Segmenter
    classifier: Classifier
    explainers: Mapping[str, Explainer]
    findings: NDArray[np.int64]
    """Indices of the classes with findings."""

    @classmethod
    def of(cls, bundle: Bundle) -> SliceNetworks:
        """Load them."""
        engine = CpuEngine(Precision.F32)
        classifier = Classifier(bundle, engine)
        head = head_of(engine.constants(bundle.path(HEAD)))
        if not isinstance(head, SliceHeadWeights):
            raise SettingsError(
                f"bundle {bundle.name} judges groups, not slices",
                expected="a bundle with a share rule",
                action="Name another bundle.",
            )
        explainers = {
            name: Explainer.of(bundle, classifier, head, settings)
            for name, settings in METHODS.items()
        }
        healthy = bundle.labels.index(bundle.healthy)
        findings = np.delete(np.arange(len(bundle.labels)), healthy)
        segmenter = Segmenter(bundle.path(SEGMENTER), engine)
        return cls(bundle.recipe, segmenter, classifier, explainers, findings)

    def see(self, marked: MarkedSlice) -> Seen:
        """A slice prepared as service prepares it."""
        size, hu = self.recipe.image_size, marked.hu
        pixel_mm = _FIELD_MM / max(hu.shape)
        geometry = Geometry(
            (1, *hu.shape), (5.0, pixel_mm, pixel_mm), (0.0, 0.0, 0.0),
            ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
        )  # fmt: skip
        frame = Letterbox.of(geometry, size)
        shown = segmenter_window(frame.forward(hu, -1024), self.recipe)[None]
        (found,) = clean_lung_mask(self.segmenter(shown), shown, frame.pixel_mm, self.recipe)
        true_lung, lesion = (
            frame.forward(one.astype(np.float32), 0) >= 0.5 for one in (marked.lung, marked.lesion)
        )
        return Seen(
            marked.patient,
            classifier_image(hu, found, frame, self.recipe),
            LungTissue(hu, found, frame),
            true_lung | lesion,
            lesion,
        )

    def maps(self, name: str, slices: Sequence[Seen]) -> Iterator[Map]:
        """Maps of the findings by one of `METHODS`."""
        explainer = self.explainers[name]
        method = explainer.method
        encoded = encode_views(self.classifier, [one.image for one in slices], method)
        for one, seen in zip(slices, encoded, strict=True):
            slope = explainer.scores.gradient(seen.features[None])[self.findings, 0].mean(axis=0)
            yield method.heat(seen, slope, one.tissue)


def _smoothed_hu(one: Seen) -> Map:
    """HU above air, smoothed within the lung that was found."""
    hu, lung = one.tissue.on_square()
    pixels, inside = 4.5 / one.tissue.frame.pixel_mm, lung.astype(np.float32)
    above = np.asarray(np.clip(hu, -1000, 100) + 1000, np.float32) * inside
    total, count = (cv2.GaussianBlur(values, (0, 0), pixels) for values in (above, inside))
    return np.asarray(inside * total / np.maximum(count, 1e-3), np.float32)


def _likelihood(one: Seen) -> Map:
    hu, lung = one.tissue.on_square()
    return opacity_likelihood(hu, lung, one.tissue.frame.pixel_mm, LikelihoodSettings())


_WITHOUT_NETWORK: Mapping[str, Callable[[Seen], Map]] = {
    SMOOTHED: _smoothed_hu,
    LIKELIHOOD: _likelihood,
}


def against_marks(heat: Map, one: Seen) -> dict[str, float]:
    """Figures of one map."""
    heat = cv2.resize(heat, one.lung.shape[::-1], interpolation=cv2.INTER_LINEAR)
    total, hottest = float(heat.sum()), float(heat.max())
    drawn = heat >= 0.25 * hottest if hottest > 0 else np.zeros_like(one.lung)
    return {
        "AUC in the lung": auc(heat[one.lung].astype(np.float64), one.lesion[one.lung]) or np.nan,
        "pointing game": float(hottest > 0 and one.lesion.ravel()[heat.argmax()]),
        "energy inside lesion": float(heat[one.lesion].sum()) / total if total else 0.0,
        "drawn inside lesion": float(one.lesion[drawn].mean()) if drawn.any() else np.nan,
        "lung drawn over": float(drawn[one.lung].mean()),
        "heat outside lung": 1 - float(heat[one.lung].sum()) / total if total else 0.0,
    }


def marked_patients(data: Path, count: int) -> Iterator[list[MarkedSlice]]:
    """Of each patient so many slices with a lesion, drawn with one seed."""
    rng = np.random.default_rng(3)
    found = [*lesion_slices(data / "lesion-slices"), *volume_slices(data / "lung-volumes")]
    found.sort(key=lambda one: one.patient)
    for _, group in groupby(found, key=lambda one: one.patient):
        slices = [
            one
            for one in group
            if one.lesion.sum() >= _LEAST_PIXELS and (one.lung & ~one.lesion).sum() >= _LEAST_PIXELS
        ]
        if len(slices) > 1:
            yield [slices[k] for k in np.sort(rng.permutation(len(slices))[:count])]


def figures(networks: SliceNetworks, slices: Sequence[Seen]) -> dict[str, dict[str, float]]:
    """Of each map the mean over one patient's slices."""
    maps = {name: list(networks.maps(name, slices)) for name in METHODS}
    maps |= {name: [make(one) for one in slices] for name, make in _WITHOUT_NETWORK.items()}
    found = {}
    for name, heats in maps.items():
        rows = [against_marks(heat, one) for heat, one in zip(heats, slices, strict=True)]
        found[name] = {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0]}
    return found


def table(found: Sequence[dict[str, dict[str, float]]]) -> str:
    """Each map's figures, and what the default has above smoothed HU, patient by patient."""
    keys = list(found[0][DEFAULT])
    lines = [f"| | {' | '.join(keys)} |", "|---" * (len(keys) + 1) + "|"]
    for name in found[0]:
        cells = [with_interval([one[name][key] for one in found]) for key in keys]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    gain = [with_interval([one[DEFAULT][k] - one[SMOOTHED][k] for one in found]) for k in keys]
    return "\n".join([*lines, f"| default − {SMOOTHED}, paired | {' | '.join(gain)} |"])


def main() -> None:
    """Print a table of the patients the map was chosen on, and one of the others."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of public sets")
    parser.add_argument("--bundle", default="demonstration")
    parser.add_argument("--slices", type=int, default=10, help="of each patient at most")
    given = parser.parse_args()
    networks = SliceNetworks.of(load_bundle(given.bundle))
    chosen, others, counts = [], [], {True: 0, False: 0}
    for marked in marked_patients(given.data, given.slices):
        there = marked[0].patient in CHOSEN_ON
        counts[there] += len(marked)
        found = figures(networks, [networks.see(one) for one in marked])
        (chosen if there else others).append(found)
    for title, rows, there in (
        ("Patients the map was not chosen on", others, False),
        ("Patients it was chosen on", chosen, True),
    ):
        print(f"\n## {title}: {len(rows)}, {counts[there]} slices\n\n{table(rows)}", flush=True)


if __name__ == "__main__":
    main()
