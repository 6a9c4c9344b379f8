"""The self-test: networks that run, and answer as where they were exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from groundglass.errors import BundleError
from groundglass.infer import Bundle, CpuEngine, Precision, load_bundle
from groundglass.infer.bundle import ENCODER, HEAD, SEGMENTER
from groundglass.infer.bundle_metadata import BundleMetadata, SelfTest
from groundglass.infer.self_test import ramp_images, refuse_other_answers, run_self_test


@pytest.fixture(scope="module")
def loaded(bundle: Path) -> Bundle:
    return load_bundle(bundle)


@pytest.fixture(scope="module")
def found(loaded: Bundle) -> SelfTest:
    return run_self_test(loaded, CpuEngine(Precision.F32))


def test_the_images_are_a_formula() -> None:
    images = ramp_images(3, 8)
    assert (images.shape, images.dtype) == ((3, 8, 8), np.uint8)
    assert images[2, 5, 7] == (3 * 5 + 5 * 7 + 7 * 2 + 5 * 7 // 16) % 256


def test_the_same_networks_answer_the_same(loaded: Bundle, found: SelfTest) -> None:
    assert sum(found.probabilities.values()) == pytest.approx(1)
    stored = replace(loaded, metadata=replace(loaded.metadata, self_test=found))
    refuse_other_answers(stored, run_self_test(stored, CpuEngine(Precision.F32)), Precision.F32)


def test_other_answers_are_refused(loaded: Bundle, found: SelfTest) -> None:
    first, second, *_ = loaded.labels
    moved = {**found.probabilities}
    moved[first], moved[second] = moved[first] + 0.2, moved[second] - 0.2
    stored = replace(loaded, metadata=BundleMetadata(self_test=SelfTest(moved, found.lung_share)))
    with pytest.raises(BundleError, match=r"self-test that differs by 0\.2"):
        refuse_other_answers(stored, found, Precision.F32)
    other_lungs = SelfTest(found.probabilities, found.lung_share + 0.5)
    stored = replace(loaded, metadata=BundleMetadata(self_test=other_lungs))
    with pytest.raises(BundleError, match=r"differs by 0\.5"):
        refuse_other_answers(stored, found, Precision.F32)


def test_without_stored_answers_nothing_is_compared(loaded: Bundle, found: SelfTest) -> None:
    refuse_other_answers(replace(loaded, metadata=BundleMetadata()), found, Precision.F32)


def test_networks_that_do_not_load_are_told(loaded: Bundle, tmp_path: Path) -> None:
    for name in (SEGMENTER, ENCODER, HEAD):
        (tmp_path / name).write_bytes(b"no graph")
    with pytest.raises(BundleError, match="cannot be run"):
        run_self_test(replace(loaded, folder=tmp_path), CpuEngine(Precision.F32))
