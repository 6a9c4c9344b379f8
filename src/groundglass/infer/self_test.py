"""Whether the networks answer on this machine as they did where they were exported."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundglass.core.choices import Precision
from groundglass.core.result import SliceGroup
from groundglass.errors import BundleError
from groundglass.infer.bundle import SEGMENTER, Bundle
from groundglass.infer.bundle_metadata import SelfTest
from groundglass.infer.classify import Classifier
from groundglass.infer.engine import Engine
from groundglass.infer.segment import Segmenter

#: Largest difference of a probability. f32 sums in another order; bf16 keeps 8 bits, and 0.047 was
#: the largest of 50 patients (docs/reference/demonstration-bundle-notes.md).
TOLERANCE = {Precision.F32: 1e-3, Precision.BF16: 0.1}


def ramp_images(count: int, size: int) -> NDArray[np.uint8]:
    """Slanted ramps that wander from image to image: (count, size, size) uint8, anywhere the same.

    Written as a formula, because a random generator may change with its library.
    """
    image, row, column = np.ogrid[:count, :size, :size]
    ramps = (3 * row + 5 * column + 7 * image + row * column // 16) % 256
    return np.asarray(ramps, dtype=np.uint8)


def run_self_test(bundle: Bundle, engine: Engine) -> SelfTest:
    """What the bundle's networks answer to `ramp_images`; that they load is seen as well.

    Raises
    ------
    BundleError
        A network cannot be loaded or run.
    """
    recipe = bundle.recipe
    images = ramp_images(recipe.group_size, recipe.image_size)
    group = SliceGroup(
        0, tuple(range(recipe.group_size)), recipe.group_size, padding=0, interpolated=False
    )
    try:
        lungs = Segmenter(bundle.path(SEGMENTER), engine)(images[:4])
        prediction = Classifier(bundle, engine)(group, images).prediction
    except (RuntimeError, ValueError, IndexError) as error:  # what OpenVINO and shapes raise
        raise BundleError(
            f"networks in {bundle.name} that cannot be run ({type(error).__name__})",
            expected="ONNX graphs of the form in docs/reference/bundle.md",
            action="Export the bundle again with this version of groundglass.",
        ) from error
    return SelfTest(prediction.probabilities, float(lungs.mean()) / 255)


def refuse_other_answers(bundle: Bundle, found: SelfTest, precision: Precision) -> None:
    """Refuse answers, found in a precision, that differ from the bundle's, where it has some.

    Raises
    ------
    BundleError
        An answer differs by more than the precision explains.
    """
    stored = bundle.metadata.self_test
    if stored is None:
        return
    far = max(
        abs(stored.lung_share - found.lung_share),
        *(abs(stored.probabilities[label] - found.probabilities[label]) for label in bundle.labels),
    )
    if far > TOLERANCE[precision]:
        raise BundleError(
            f"a self-test that differs by {far:.4f} in {precision.value}",
            expected=f"at most {TOLERANCE[precision]:g} from the answers in bundle.json",
            action="This machine or its OpenVINO computes otherwise: use f32, or report it.",
        )
