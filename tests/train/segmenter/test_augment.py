"""A slice's changes keep image and truth together, and are made as often as set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from groundglass.train.segmenter.augment import augment_lung_slice, change_greys
from groundglass.train.segmenter.lesion_textures import LesionTextures
from groundglass.train.segmenter.slices import SliceForm
from groundglass.train.settings import SegmenterSettings

NOTHING = SegmenterSettings(ill_share=0.0)
NO_LESIONS = LesionTextures((), ())


@pytest.mark.parametrize("seed", range(12))
def test_image_and_truth_move_together(make_slice, seed: int):
    one = make_slice(lesion_hu=-850)
    settings = replace(NOTHING, upside_down_share=0.5)
    hu, lung = augment_lung_slice(one, settings, NO_LESIONS, np.random.default_rng(seed))
    if lung.sum() > 200:
        assert np.median(hu[lung > 0]) < -650
    inside = hu > -200
    assert not (inside & (lung > 0)).sum() > 0.15 * max(lung.sum(), 1)


@pytest.mark.parametrize(
    ("change", "shrinks"), [({"dome_share": 1.0}, True), ({"lesion_share": 1.0}, False)]
)
def test_domes_leave_the_truth_and_lesions_stay_in_it(make_slice, change, shrinks: bool):
    one = make_slice()
    textures = LesionTextures.of([one])
    plain, changed = (
        [
            augment_lung_slice(one, settings, textures, np.random.default_rng(seed))[1].sum()
            for seed in range(60)
        ]
        for settings in (NOTHING, replace(NOTHING, **change))
    )
    assert (np.mean(changed) < 0.97 * np.mean(plain)) == shrinks


def test_a_phantom_is_given_no_dome(make_slice):
    settings = replace(NOTHING, dome_share=1.0)
    phantom = make_slice(form=SliceForm.PHANTOM)
    found, plain = (
        augment_lung_slice(phantom, one, NO_LESIONS, np.random.default_rng(4))
        for one in (settings, NOTHING)
    )
    assert np.array_equal(found[0], plain[0])
    assert np.array_equal(found[1], plain[1])


def test_greys_are_bent_and_equalised_as_often_as_set():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(4, 0).repeat(4, 1)

    def changed(**shares: float) -> float:
        settings = replace(NOTHING, **shares)
        rngs = map(np.random.default_rng, range(100))
        return float(
            np.mean([not np.array_equal(change_greys(image, settings, r), image) for r in rngs])
        )

    assert changed() == 0
    assert changed(bent_share=1.0) > 0.9
    assert changed(equalised_share=1.0) == 1
    assert 0.3 < changed(bent_share=0.5) < 0.7


def test_bent_greys_keep_their_order_and_their_ends():
    image = np.arange(256, dtype=np.uint8)[None]
    settings = replace(NOTHING, bent_share=1.0)
    for seed in range(10):
        found = change_greys(image, settings, np.random.default_rng(seed))[0].astype(int)
        assert (np.diff(found) >= 0).all()
        assert (found[0], found[-1]) == (0, 255)
