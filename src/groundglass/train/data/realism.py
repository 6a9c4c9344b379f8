"""Real or made: how lesions look in their slice, and a classifier that throws out bad fakes.

All features are counted against the same slice: contrast against the lung around, grain against the
grain of the lung and of soft tissue, edges as shares of the contrast. Even so most give a fake away
by one sign in one source and by the other in another (equalised pictures have less grain in dense
parts, others more). Fakes are thrown out in sources where nobody marked a real lesion, so the
classifier that does it is given only what gives them away alike in both sources with marks: the
outline, and texture of about 3 mm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from groundglass.core.atomic_files import write_whole
from groundglass.evaluate.statistics.roc import auc, auc_interval

Hu = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: Pixels of the smallest lesion that is looked at.
_LEAST_PIXELS = 60
#: How much denser than the lung around a pixel of a lesion is, in HU, in the slice smoothed by a
#: pixel. Marks are drawn by hand, laid-in lesions known exactly: both are outlined anew by this.
_DENSER_HU = 80.0
#: Pixels into a lesion (negative: out of it) at which its edge is looked at.
_EDGE_PX = (-3, -2, -1, 1, 2, 3)
#: Derivatives along columns and rows.
_ALONG = ((1, 0), (0, 1))
#: Bands of texture: finer than the first, and between neighbours, in pixels.
_SCALES = (0.7, 1.4, 2.8)
FEATURES = (
    "contrast", "spread", "skew", "tail",
    *(f"edge {px:+d}" for px in _EDGE_PX), "slope", "slope spread", "edge grain",
    "grain 0 of lung", "grain 1 of lung", "grain 2 of lung",
    "grain 0 of tissue", "grain 1 of tissue",
    "grain 0 to 1", "grain 1 to 2", "peaks",
    "area", "solidity", "stretch", "at pleura", "ragged",
)  # fmt: skip
#: The kind of lesions that somebody marked.
REAL = "real"
#: What the classifier that throws out is given.
JUDGED = ("grain 2 of lung", "solidity", "stretch", "ragged")
_JUDGED_COLUMNS = [FEATURES.index(name) for name in JUDGED]
#: Share of made slices thrown out, of those it was fitted on.
_THROWN_OUT = 0.1
#: Patients with lesions from whom it can be learnt and crosswise tested.
_FEWEST_PATIENTS = 4
_FOLDS = 8


@dataclass(frozen=True, slots=True, eq=False)
class SeenSlice:
    """The lesions of one slice, all real or all made."""

    patient: str
    kind: str
    """`REAL`, or how they were made."""
    features: NDArray[np.float64]
    """Shape (lesions, len(FEATURES))."""

    @property
    def made(self) -> bool:
        """Whether they were laid in."""
        return self.kind != REAL


@dataclass(frozen=True, slots=True)
class RealOrMade:
    """A logistic regression, and above which probability of being made a slice is thrown out."""

    weights: tuple[float, ...]
    """Of `JUDGED`."""
    intercept: float
    limit: float
    real: int
    made: int
    """`real`, `made`: lesions it was fitted on."""
    auc: float
    auc_low: float
    auc_high: float
    """`auc` with its 95 % interval: of lesions of patients left out of the fit."""

    @classmethod
    def fit(cls, slices: Sequence[SeenSlice]) -> Self | None:
        """Learn from slices; None where they are of too few patients."""
        shown = [one for one in slices if len(one.features)]
        patients = np.repeat([one.patient for one in shown], [len(one.features) for one in shown])
        made = np.repeat([one.made for one in shown], [len(one.features) for one in shown])
        if len(np.unique(patients[~made])) < _FEWEST_PATIENTS or not made.any():
            return None
        rows = np.concatenate([one.features for one in shown])[:, _JUDGED_COLUMNS]
        model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
        folds = GroupKFold(min(_FOLDS, len(np.unique(patients))))
        left_out = cross_val_predict(
            model, rows, made, groups=patients, cv=folds, method="predict_proba"
        )[:, 1]
        area = auc(left_out, made)
        interval = auc_interval(
            left_out, made, patients=np.unique(patients, return_inverse=True)[1]
        )
        if area is None or interval is None:
            return None
        scaler, logistic = model.fit(rows, made)
        weights = logistic.coef_[0] / scaler.scale_
        fitted = cls(
            tuple(weights.tolist()),
            float(logistic.intercept_[0] - (weights * scaler.mean_).sum()),
            1.0, int((~made).sum()), int(made.sum()),
            area, interval.low, interval.high,
        )  # fmt: skip
        worst = np.quantile([fitted(one.features) for one in shown if one.made], 1 - _THROWN_OUT)
        return cls(**{**asdict(fitted), "limit": float(worst)})

    def __call__(self, features: NDArray[np.float64]) -> float:
        """Probability that a slice's lesions are made, large ones counting more; 0 of none."""
        if not len(features):
            return 0.0
        logits = features[:, _JUDGED_COLUMNS] @ np.array(self.weights) + self.intercept
        pixels = np.exp(features[:, FEATURES.index("area")])
        return float(np.average(1 / (1 + np.exp(-logits)), weights=pixels))

    def write(self, path: Path) -> None:
        """Keep it as JSON."""
        write_whole(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` kept."""
        kept = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**kept, "weights": tuple(kept["weights"])})


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    hu: Hu
    lung: Mask
    region: Mask
    base: float
    bands: tuple[Hu, ...]
    soft: Hu
    lung_grain: tuple[float, ...]
    tissue_grain: tuple[float, ...]
    pleura: Mask


def lesion_features(
    hu: Hu, lung: Mask, lesion: Mask, ignored: Mask | None = None
) -> NDArray[np.float64]:
    """One row of `FEATURES` for each lesion of a slice that is large enough.

    Parameters
    ----------
    hu : ndarray of float32, shape (size, size)
        A slice in HU.
    lung, lesion : ndarray of bool, same shape
        Its lungs, and where the lesions are, by whomever.
    ignored : ndarray of bool, same shape, optional
        Other lesions, which are no lung around and not looked at.
    """
    other = np.zeros_like(lung) if ignored is None else _grown(ignored, 9)
    near = _grown(lesion, 11) & lung & ~other
    free = lung & ~_grown(lesion, 13) & ~other
    if free.sum() < 200 or not near.any():
        return np.zeros((0, len(FEATURES)))
    soft = _blur(hu, 1.0)
    base = float(np.median(hu[free]))
    region = near & (soft > base + _DENSER_HU)
    steps = [hu, *(_blur(hu, scale) for scale in _SCALES)]
    bands = tuple(a - b for a, b in pairwise(steps))
    tissue = _shrunk(~_grown(lung, 9) & (steps[1] > -50) & (steps[1] < 130), 5)
    if tissue.sum() < 100:
        tissue = free
    one = _Slice(
        hu, lung, region, base, bands, soft,
        tuple(_spread(band[free]) for band in bands),
        tuple(_spread(band[tissue]) for band in bands),
        lung & ~_shrunk(lung, 7),
    )  # fmt: skip
    return np.array(list(_rows(one)), dtype=np.float64).reshape(-1, len(FEATURES))


def _rows(one: _Slice) -> Iterator[list[float]]:
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(one.region.astype(np.uint8))
    for part in range(1, count):
        if boxes[part][4] < _LEAST_PIXELS:
            continue
        left, top, width, height, _ = boxes[part]
        box = np.s_[max(0, top - 6) : top + height + 6, max(0, left - 6) : left + width + 6]
        yield _row(one, parts[box] == part, box)


def _row(one: _Slice, mask: Mask, box: tuple[slice, slice]) -> list[float]:
    hu, lung = one.hu[box] - one.base, one.lung[box]
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    beyond = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
    signed = np.where(mask, np.ceil(depth), -np.ceil(beyond))
    others = lung & (mask | ~one.region[box])
    values = hu[mask]
    low, middle, high, top = np.percentile(values, [10, 50, 90, 99])
    contrast = max(float(middle), 30.0)
    free_edge = (np.abs(signed) <= 1) & _shrunk(lung, 5)
    slope = np.hypot(*(cv2.Sobel(one.soft[box], cv2.CV_32F, *d, ksize=3) / 8 for d in _ALONG))
    along = slope[free_edge] if free_edge.sum() > 5 else slope[mask]
    inner = mask & (depth >= 2) if (mask & (depth >= 2)).sum() > 30 else mask
    grain = [_spread(band[box][inner]) for band in one.bands]
    rim = _spread(one.bands[0][box][free_edge]) if free_edge.sum() > 20 else grain[0]
    profile = [
        _mean(hu[others & (signed == px)], 0.0 if px < 0 else contrast) / contrast
        for px in _EDGE_PX
    ]
    return [
        contrast / 100,
        float(high - low) / contrast,
        float(((values - values.mean()) ** 3).mean() / max(values.std(), 1) ** 3),
        float(top - high) / contrast,
        *profile,
        float(along.mean()) / contrast,
        float(along.std() / max(along.mean(), 1e-3)),
        _log(rim, grain[0]),
        *(_log(a, b) for a, b in zip(grain, one.lung_grain, strict=True)),
        _log(grain[0], one.tissue_grain[0]),
        _log(grain[1], one.tissue_grain[1]),
        _log(grain[0], grain[1]),
        _log(grain[1], grain[2]),
        float(np.percentile(one.bands[1][box][inner], 98)) / max(grain[1], 1),
        *_shape(mask, one.pleura[box]),
    ]


def _shape(mask: Mask, pleura: Mask) -> list[float]:
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=len)
    hull = cv2.contourArea(cv2.convexHull(outline))
    (_, (width, height), _) = cv2.minAreaRect(outline)
    length = cv2.arcLength(outline, closed=True)
    area = float(mask.sum())
    return [
        float(np.log(area)),
        area / max(hull, area),
        float(np.log((max(width, height) + 1) / (min(width, height) + 1))),
        float((mask & pleura).sum()) / area,
        float(np.log(length**2 / area)),
    ]


def _mean(values: Hu, otherwise: float) -> float:
    return float(values.mean()) if len(values) >= 3 else otherwise


def _spread(values: Hu) -> float:
    """Robust standard deviation, at least 1 HU."""
    low, high = np.percentile(values, [16, 84])
    return max(1.0, float(high - low) / 2)


def _log(one: float, other: float) -> float:
    return float(np.log(one / other))


def _blur(hu: Hu, sigma: float) -> Hu:
    return np.asarray(cv2.GaussianBlur(hu, (0, 0), sigma), dtype=np.float32)


def _grown(mask: Mask, width: int) -> Mask:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), _disc(width)), dtype=np.bool_)


def _shrunk(mask: Mask, width: int) -> Mask:
    return np.asarray(cv2.erode(mask.astype(np.uint8), _disc(width)), dtype=np.bool_)


def _disc(width: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)), dtype=np.uint8)
