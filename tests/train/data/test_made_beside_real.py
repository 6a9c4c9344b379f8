"""Real lesions and made ones of the same slices."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("sklearn", reason="needs groundglass[train]")

from groundglass.train.data.made_beside_real import CUT, made_beside_real
from groundglass.train.data.marked_slices import MarkedSlice, lesion_slices, volume_slices
from groundglass.train.data.realism import REAL, SeenSlice
from made_marked import write_marked


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> list[MarkedSlice]:
    folder: Path = tmp_path_factory.mktemp("marked")
    write_marked(folder)
    return [*volume_slices(folder / "lung-volumes"), *lesion_slices(folder / "lesion-slices")]


def _counts(seen: list[SeenSlice]) -> Counter[tuple[str, str]]:
    return Counter((one.patient, one.kind) for one in seen)


def test_the_same_slices_show_every_kind(marked: list[MarkedSlice]) -> None:
    counts = _counts([*made_beside_real(marked, seed=1)])
    patients = {patient for patient, _ in counts}
    assert patients == {one.patient for one in marked if one.lesion.any()}
    for patient in patients:
        assert len({counts[patient, kind] for kind in (REAL, "CP", "NCP", CUT)}) == 1


def test_no_patient_gets_lesions_of_his_own(marked: list[MarkedSlice]) -> None:
    alone = [one for one in marked if one.patient == marked[0].patient]
    assert CUT not in {one.kind for one in made_beside_real(alone, seed=1)}
