from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydicom.uid import UID

from groundglass.core.geometry import Geometry
from groundglass.core.result import HeatMethod, TriageResult
from groundglass.core.volume import Volume
from groundglass.report.dicom.result_uids import Identity, ResultKind, device_uid
from made_result import PROVENANCE, made_result

IMAGES = [("1.2.3.1", None), ("1.2.3.2", None), ("1.2.3.3", 4)]
GRID = Geometry((9, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
RESULT = made_result(Volume(np.zeros(GRID.shape, np.int16), GRID), (3, 4))
BASE = Identity.of_result(IMAGES, RESULT, 1)


def made(**provenance: object) -> TriageResult:
    return replace(RESULT, provenance=replace(PROVENANCE, **provenance))


def explaining(label: str, method: HeatMethod) -> TriageResult:
    heat = tuple(replace(one, label=label, method=method) for one in RESULT.heatmaps)
    assert RESULT.coarse_heat is not None
    return replace(RESULT, heatmaps=heat, coarse_heat=replace(RESULT.coarse_heat, label=label))


def test_the_same_input_gives_the_same_uids_in_any_order() -> None:
    assert Identity.of_result(IMAGES[::-1], RESULT, 1) == BASE
    assert BASE.instance_uid(ResultKind.CAPTURE, 2) == BASE.instance_uid(ResultKind.CAPTURE, 2)


@pytest.mark.parametrize(
    "other",
    [
        Identity.of_result(IMAGES[1:], RESULT, 1),
        Identity.of_result([("1.2.3.1", 1), *IMAGES[1:]], RESULT, 1),
        Identity.of_result(IMAGES, RESULT, 2),
        Identity.of_result(IMAGES, made(groundglass_version="9"), 1),
        Identity.of_result(IMAGES, made(bundle_sha256={"encoder.onnx": "ff"}), 1),
        Identity.of_result(IMAGES, made(recipe={"vote_threshold": 0.8}), 1),
        Identity.of_result(IMAGES, made(precision="bf16"), 1),
        Identity.of_result(IMAGES, explaining("NCP", HeatMethod.GRAD_CAM), 1),
        Identity.of_result(IMAGES, explaining("CP", HeatMethod.ALL_LAYERS), 1),
        Identity.of_refusal(IMAGES, PROVENANCE.groundglass_version, "no", 1),
    ],
)
def test_whatever_decides_the_content_changes_the_uids(other: Identity) -> None:
    assert other.series_uid(ResultKind.REPORT) != BASE.series_uid(ResultKind.REPORT)


def test_refusals_for_other_reasons_are_other_objects() -> None:
    first, second = (Identity.of_refusal(IMAGES, "1", reason, 1) for reason in ("a", "b"))
    assert first != second


def test_every_kind_and_number_has_valid_uids_of_its_own() -> None:
    uids = [BASE.series_uid(kind) for kind in ResultKind]
    uids += [BASE.instance_uid(kind, number) for kind in ResultKind for number in range(1, 12)]
    uids += [BASE.uid("lungs"), device_uid("1"), device_uid("2")]
    assert len(set(uids)) == len(uids)
    assert all(UID(uid).is_valid and uid.startswith("2.25.") for uid in uids)


def test_libraries_do_not_change_the_uids() -> None:
    """An update of numpy must not make old results appear a second time."""
    assert Identity.of_result(IMAGES, made(versions={"numpy": "99"}), 1) == BASE
