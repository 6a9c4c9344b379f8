"""Every setting of preparing, in one value that travels with the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from groundglass.errors import SettingsError

#: Settings that bundles made before them do not name; they mean the default.
_LATER = frozenset({"judge_between", "outside_hu"})


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a volume becomes what the networks see.

    The paper fixes the image size, the elimination ratios, the group size and the vote's threshold;
    the rest is marked "our choice". A bundle stores its recipe, so training, evaluation and service
    prepare through the same code with the same values.
    """

    image_size: int = 256
    """Rows and columns in pixels the networks see. Paper section 2.2: 256."""
    window_center_hu: float = -600.0
    window_width_hu: float = 1500.0
    """`window_center_hu`, `window_width_hu`: lung window before 8 bits, in HU. Our choice:
    -600/1500, the usual lung window."""
    clahe_clip_limit: float = 2.0
    """Contrast limit of the adaptive histogram equalisation (paper section 2.1 names the method
    only). Our choice: 2, enough to lift ground glass, too little to draw noise."""
    clahe_tiles: int = 8
    """Tiles per side for it. Our choice: 8."""
    segmenter_low_hu: float = -1024.0
    segmenter_high_hu: float = 476.0
    """`segmenter_low_hu`, `segmenter_high_hu`: hU shown to the U-Net as 0 and 1. Our choice: from
    air to above contrast-free soft tissue, so that lung, fat, muscle and bone stay apart."""
    mask_margin_px: int = 4
    """Pixels (of `image_size`) around the lung mask that stay visible; everything further out is
    black ("segmented slices are fed to CNN blocks", Figure 3). Our choice: 4, so that the pleura
    and what lies against it can be seen."""
    outside_hu: float | None = None
    """HU that everything further out is given before the equalisation, which then works on the
    square: so how the lungs look hangs neither on how much of the body an image shows nor on its
    size. None, as where a bundle does not state it: the whole slice is equalised as it is. Ours;
    the paper does not say."""
    lung_threshold: float = 0.5
    """Probability above which a pixel is lung."""
    min_lung_ml: float = 400.0
    """Smaller lung volumes are the outcome "no lung". Our choice: 400 ml, less than half of the
    smallest adult total seen on CT in expiration."""
    headward_ratio: float = 0.4
    feetward_ratio: float = 0.9
    """`headward_ratio`, `feetward_ratio`: slices with less than this share of the study's largest
    lung area are eliminated, towards the head and towards the feet. Paper section 2.2.2: 0.4 and
    0.9."""
    judge_between: bool = False
    """Whether slices with lung between slices that stay are judged whatever their area, so that
    there are no holes. The paper's elimination has them where the area is not largest in the
    middle."""
    group_size: int = 50
    """Slices per group. Paper section 2.2.3: 50."""
    min_slices: int = 13
    """Fewer slices in a volume are the outcome "too few slices". Paper section 2.1: data start at
    13."""
    vote_threshold: float = 0.9
    """A healthy majority yields to a group above this probability. Paper section 2.4: 0.9."""

    def __post_init__(self) -> None:
        for name in ("headward_ratio", "feetward_ratio", "lung_threshold", "vote_threshold"):
            _check(0.0 <= getattr(self, name) <= 1.0, name, getattr(self, name), "0 to 1")
        for name in ("image_size", "group_size", "min_slices", "clahe_tiles"):
            _check(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        _check(self.window_width_hu > 0, "window_width_hu", self.window_width_hu, "above 0")
        span = self.segmenter_high_hu - self.segmenter_low_hu
        _check(span > 0, "segmenter_high_hu", self.segmenter_high_hu, "above segmenter_low_hu")

    def to_dict(self) -> dict[str, float | int | None]:
        """The settings by name, for `bundle.json` and `result.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, float | int | None]) -> Recipe:
        """Settings from what `to_dict` gave.

        Raises
        ------
        SettingsError
            If a setting is missing or unknown.
        """
        known = {field.name for field in fields(cls)}
        missing, extra = sorted(known - _LATER - set(values)), sorted(set(values) - known)
        if missing or extra:
            raise SettingsError(
                f"a recipe without {missing} and with unknown {extra}",
                expected=f"exactly {sorted(known)}",
                action="Use a bundle made for this version of groundglass.",
            )
        return cls(**values)  # type: ignore[arg-type]


def _check(ok: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001
    if not ok:
        raise SettingsError(
            f"{name} = {value}", expected=expected, action="Correct the recipe's value."
        )
