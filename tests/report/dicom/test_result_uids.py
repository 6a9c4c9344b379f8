from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from pydicom.uid import UID

from groundglass.core.analysis import Completeness, EarlierResult
from groundglass.core.geometry import Geometry
from groundglass.core.result import HeatMethod, TriageResult
from groundglass.core.volume import Volume
from groundglass.report.dicom.result_uids import Identity, ResultKind, device_uid
from made_result import ANALYSIS, PROVENANCE, made_result

IMAGES = [("1.2.3.1", None), ("1.2.3.2", None), ("1.2.3.3", 4)]
GRID = Geometry((9, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), ((0, 0, 1), (0, 1, 0), (1, 0, 0)))
RESULT = made_result(Volume(np.zeros(GRID.shape, np.int16), GRID), (3, 4))
BASE = Identity.of_result(IMAGES, RESULT)


def made(**provenance: object) -> TriageResult:
    return replace(RESULT, provenance=replace(PROVENANCE, **provenance))


def of(**analysis: object) -> TriageResult:
    return replace(RESULT, analysis=replace(ANALYSIS, **analysis))


def explaining(label: str, method: HeatMethod) -> TriageResult:
    heat = tuple(replace(one, label=label, method=method) for one in RESULT.heatmaps)
    assert RESULT.coarse_heat is not None
    return replace(RESULT, heatmaps=heat, coarse_heat=replace(RESULT.coarse_heat, label=label))


def test_the_same_input_gives_the_same_uids_in_any_order() -> None:
    assert Identity.of_result(IMAGES[::-1], RESULT) == BASE
    assert BASE.instance_uid(ResultKind.CAPTURE, 2) == BASE.instance_uid(ResultKind.CAPTURE, 2)


@pytest.mark.parametrize(
    "other",
    [
        Identity.of_result(IMAGES[1:], RESULT),
        Identity.of_result([("1.2.3.1", 1), *IMAGES[1:]], RESULT),
        Identity.of_result(IMAGES, of(revision=2)),
        Identity.of_result(IMAGES, of(at=ANALYSIS.at + timedelta(seconds=1))),
        Identity.of_result(IMAGES, of(completeness=Completeness.NOT_VERIFIED)),
        Identity.of_result(IMAGES, of(missing={"1.2": 3})),
        Identity.of_result(IMAGES, of(replaced=EarlierResult(1, ANALYSIS.at))),
        Identity.of_result(IMAGES, made(groundglass_version="9")),
        Identity.of_result(IMAGES, made(bundle_sha256={"encoder.onnx": "ff"})),
        Identity.of_result(IMAGES, made(recipe={"vote_threshold": 0.8})),
        Identity.of_result(IMAGES, made(precision="bf16")),
        Identity.of_result(IMAGES, explaining("NCP", HeatMethod.GRAD_CAM)),
        Identity.of_result(IMAGES, explaining("CP", HeatMethod.ALL_LAYERS)),
        Identity.of_refusal(IMAGES, PROVENANCE.groundglass_version, "no", ANALYSIS),
    ],
)
def test_whatever_decides_the_content_changes_the_uids(other: Identity) -> None:
    assert other.series_uid(ResultKind.REPORT) != BASE.series_uid(ResultKind.REPORT)


def test_refusals_for_other_reasons_are_other_objects() -> None:
    first, second = (Identity.of_refusal(IMAGES, "1", reason, ANALYSIS) for reason in ("a", "b"))
    assert first != second


def test_every_kind_and_number_has_valid_uids_of_its_own() -> None:
    uids = [BASE.series_uid(kind) for kind in ResultKind]
    uids += [BASE.instance_uid(kind, number) for kind in ResultKind for number in range(1, 12)]
    uids += [BASE.uid("lungs"), device_uid("1"), device_uid("2")]
    assert len(set(uids)) == len(uids)
    assert all(UID(uid).is_valid and uid.startswith("2.25.") for uid in uids)


def test_libraries_do_not_change_the_uids() -> None:
    """An update of numpy must not make old results appear a second time."""
    assert Identity.of_result(IMAGES, made(versions={"numpy": "99"})) == BASE
