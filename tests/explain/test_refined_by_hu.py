"""Heat where the network argued and the HU are those of an opacity; neither alone is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from groundglass.core.result import HEAT_DRAWN_FROM
from groundglass.explain import (
    AllLayers,
    EncodedViews,
    LikelihoodSettings,
    LungTissue,
    RefinedByHu,
)
from groundglass.explain.consistency import PERTURBATIONS, similarity
from groundglass.explain.rigid_transform import RigidTransform
from groundglass.prepare import Letterbox

SIZE, CELLS = 256, 64
FRAME = Letterbox((SIZE, SIZE), SIZE, (SIZE, SIZE), (0, 0), 1.4)
REFINED = RefinedByHu(7.0, 0.8, likelihood=LikelihoodSettings())
PLAIN = AllLayers(7.0, 0.8)
#: Row and column in pixels of two opacities, of which the network argues about the first.
ARGUED, UNARGUED = (120, 80), (120, 176)


def blob(at: tuple[int, int], pixels: float, size: int = SIZE) -> np.ndarray:
    y, x = np.mgrid[:size, :size] * (SIZE / size)
    return np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * pixels**2)).astype(np.float32)


def tissue() -> LungTissue:
    lung = (blob(ARGUED, 30) > 0.2) | (blob(UNARGUED, 30) > 0.2)
    hu = np.where(lung, -870, 40)
    for at in (ARGUED, UNARGUED):
        hu[blob(at, 8) > 0.5] = -350
    return LungTissue(hu.astype(np.int16), lung, FRAME)


def seen(evidence: np.ndarray) -> EncodedViews:
    """One view with one channel, whose evidence is given."""
    everywhere = np.ones((CELLS, CELLS), np.bool_)
    one = PLAIN.channel_evidence(evidence[None], everywhere)
    return EncodedViews(np.ones(1, np.float32), (RigidTransform(),), [(one,)], everywhere)


WEIGHT = np.ones(1, np.float32)
WIDE = blob(ARGUED, 25, CELLS)


def test_the_map_is_as_fine_as_the_square_and_cold_outside_the_lungs() -> None:
    under = tissue()
    heat = REFINED.heat(seen(WIDE), WEIGHT, under)
    assert heat.shape == (SIZE, SIZE)
    assert not heat[~under.lung].any()
    assert PLAIN.heat(seen(WIDE), WEIGHT, under).max() > 0


def test_heat_is_where_network_and_hu_agree() -> None:
    heat = REFINED.heat(seen(WIDE), WEIGHT, tissue())
    heat /= heat.max()
    drawn = heat >= HEAT_DRAWN_FROM
    assert drawn[ARGUED]
    # The evidence is wide; the drawn heat is the opacity.
    assert drawn.sum() < 1.3 * np.count_nonzero(blob(ARGUED, 8) > 0.5)
    # An opacity the network did not argue about, and air it did: ranked, and not drawn.
    assert 0 < heat[UNARGUED] < HEAT_DRAWN_FROM
    assert heat[ARGUED[0] + 22, ARGUED[1]] < 0.05


def test_evidence_against_draws_nothing() -> None:
    heat = REFINED.heat(seen(WIDE), -WEIGHT, tissue())
    strongest = REFINED.heat(seen(WIDE), WEIGHT, tissue()).max()
    assert heat[ARGUED] < 0.05 * strongest


def test_without_opacity_the_slice_is_cold() -> None:
    under = tissue()
    clear = LungTissue(np.where(under.lung, -870, 40).astype(np.int16), under.lung, FRAME)
    with_lesion = REFINED.heat(seen(WIDE), WEIGHT, under).max()
    assert REFINED.heat(seen(WIDE), WEIGHT, clear).max() < 0.05 * with_lesion


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_heat_follows_the_tissue_when_the_image_moves(name: str) -> None:
    move, under = PERTURBATIONS[name], tissue()
    moved = move.of_values(np.kron(WIDE, np.ones((4, 4), np.float32)))[2::4, 2::4].copy()
    shown = REFINED.heat(seen(WIDE), WEIGHT, under)
    again = REFINED.heat(seen(moved), WEIGHT, under.moved(move))
    assert similarity(shown, again, move) > 0.98
    assert similarity(shown, REFINED.heat(seen(moved), WEIGHT, under), move) < 0.9


def test_coarse_heat_keeps_its_grid_and_is_refined_too() -> None:
    flat = np.ones((32, 32), np.float32)
    heat = REFINED.coarse(flat, tissue())
    assert heat.shape == (32, 32)
    lesion, air, outside = heat[15, 10], heat[19, 9], heat[15, 0]
    assert lesion > 5 * air
    assert outside == 0


def test_fractions_of_hu_give_the_coarse_heat_of_whole_ones() -> None:
    under = tissue()
    fractions = LungTissue(under.slice_hu.astype(np.float32), under.lung, FRAME)
    flat = np.ones((32, 32), np.float32)
    np.testing.assert_allclose(
        REFINED.coarse(flat, fractions), REFINED.coarse(flat, under), atol=0.02
    )
