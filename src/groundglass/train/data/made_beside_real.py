"""Real lesions, and made ones laid into the same slices: what a classifier can tell them by.

The same slices for both, so that neither scanner nor window tells; lesions that are laid in are
those of other patients.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from groundglass.train.data.lesions import LesionSettings, insert_lesions
from groundglass.train.data.marked_slices import MarkedSlice
from groundglass.train.data.patches import cut_patches, lay_patches
from groundglass.train.data.realism import REAL, SeenSlice, lesion_features

#: About how many marked slices of a patient are looked at.
_SLICES = 12
#: What a slice is called in which lesions cut from others are laid.
CUT = "cut"


def made_beside_real(marked: Sequence[MarkedSlice], seed: int) -> Iterator[SeenSlice]:
    """Some slices of each patient with their own lesions, and with each kind of made ones.

    Parameters
    ----------
    marked : sequence of MarkedSlice
        Slices of several patients.
    seed : int
        Of what is laid in.
    """
    patches = {one.name: cut_patches(one.hu, one.lung, one.lesion) for one in marked}
    by_patient: dict[str, list[MarkedSlice]] = {}
    for one in marked:
        if one.lesion.any():
            by_patient.setdefault(one.patient, []).append(one)
    for patient, slices in by_patient.items():
        foreign = [patch for one in marked if one.patient != patient for patch in patches[one.name]]
        for one in slices[:: max(1, len(slices) // _SLICES)]:
            yield SeenSlice(patient, REAL, lesion_features(one.hu, one.lung, one.lesion))
            rng = np.random.default_rng([seed, zlib.crc32(one.name.encode())])
            for label in ("CP", "NCP"):
                asked = LesionSettings(label, rng.uniform(0.05, 1.0), int(rng.integers(1 << 30)))
                yield _made(one, label, insert_lesions(one.hu, one.lung, asked))
            if foreign:
                yield _made(one, CUT, lay_patches(one.hu, one.lung, foreign, rng))


def _made(
    one: MarkedSlice, kind: str, laid: tuple[NDArray[np.float32], NDArray[np.bool_]]
) -> SeenSlice:
    hu, lesion = laid
    return SeenSlice(one.patient, kind, lesion_features(hu, one.lung, lesion, one.lesion))
