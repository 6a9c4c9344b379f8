"""A study's slices, its evidence, its readings."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from groundglass.core.volume import Volume
from groundglass.errors import ReadError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.report.overlay import encode_heat
from groundglass.web.context import PageContext
from groundglass.web.readings.agreement import agreement
from groundglass.web.slices.desk import SliceDesk
from groundglass.web.slices.reader import SliceReader
from groundglass.web.slices.tasks import (
    Evidence,
    Identify,
    Pixels,
    SliceEvidence,
    SlicePixels,
    StudySource,
    Unshown,
)
from made_result import made_result
from web.conftest import Login
from web.made_node import MadeNode, Sent


@pytest.fixture(scope="module")
def volume(phantom_study: Path) -> Volume:
    return read_volume(select_chest_ct(read_study(phantom_study)))


@pytest.fixture(scope="module")
def source(phantom_study: Path, made_report: Path) -> StudySource:
    return StudySource(tuple(sorted(phantom_study.iterdir())), made_report)


@pytest.fixture(scope="module")
def reader() -> SliceReader:
    return SliceReader()


def test_slices_are_the_scanners_own_from_the_head_down(
    reader: SliceReader, source: StudySource, volume: Volume
) -> None:
    axial, _ = volume.to_axial()
    for number in (1, 9, len(axial.hu)):
        found = reader(Pixels(source, number))
        assert isinstance(found, SlicePixels)
        shown = np.frombuffer(found.hu, "<i2").reshape(found.rows, found.columns)
        np.testing.assert_array_equal(shown, axial.hu[len(axial.hu) - number])


def test_outline_and_heat_are_the_reports(
    reader: SliceReader, source: StudySource, volume: Volume
) -> None:
    """Both lie where the result has them: neither flipped nor a slice off."""
    axial, turned = volume.to_axial()
    result = made_result(volume).reoriented(turned)
    slices = len(axial.hu)
    for index in (5, 11):
        found = reader(Evidence(source, slices - index))
        assert isinstance(found, SliceEvidence)
        drawn = np.zeros(axial.hu.shape[1:], np.uint8)
        lines = [np.reshape(line, (-1, 2)) - 0.5 for line in found.outline]
        cv2.fillPoly(drawn, [np.rint(line).astype(np.int32) for line in lines], 1)
        mask = result.mask[index]
        both = np.logical_and(drawn, mask).sum() * 2 / (drawn.sum() + mask.sum())
        assert both > 0.95
        heat = next(one.heat for one in result.heatmaps if one.slice_index == index)
        stored = np.rint(heat * 1000) / 1000
        assert found.heat == encode_heat(stored.astype(np.float32))


def test_what_was_not_judged_has_no_evidence(reader: SliceReader, source: StudySource) -> None:
    assert reader(Evidence(source, 1)) == SliceEvidence((), b"")


def test_which_image_is_which_slice_is_found_once(
    phantom_study: Path, made_report: Path, tmp_path: Path, volume: Volume
) -> None:
    """And kept beside the report: the second time only the image that is shown is read."""
    report = tmp_path / "attempt-1" / "report"
    shutil.copytree(made_report, report)
    files = [Path(shutil.copy(path, tmp_path)) for path in sorted(phantom_study.iterdir())]
    study = StudySource(tuple(files), report)
    first = SliceReader()(Pixels(study, 9))
    assert isinstance(first, SlicePixels)
    for path in files[:5]:
        path.write_bytes(b"junk")
    assert SliceReader()(Pixels(study, 9)) == first
    assert isinstance(SliceReader()(Pixels(study, 24)), Unshown), "an image that is junk now"
    fewer = StudySource(tuple(files[5:]), report)
    assert isinstance(SliceReader()(Pixels(fewer, 9)), Unshown), "other files: found anew"


def test_what_is_not_there_is_said(reader: SliceReader, source: StudySource) -> None:
    for number in (0, -1, 25, 10**6):
        found = reader(Pixels(source, number))
        assert isinstance(found, Unshown)
        assert "1 to 24" in found.reason


def test_other_images_than_those_judged_are_not_shown(source: StudySource) -> None:
    fewer = StudySource(source.files[:-1], source.report)
    found = SliceReader()(Pixels(fewer, 3))
    assert isinstance(found, Unshown)
    assert "other images" in found.reason
    gone = StudySource((*source.files[:-1], source.report / "gone.dcm"), source.report)
    assert isinstance(SliceReader()(Pixels(gone, 3)), Unshown)


def test_a_process_that_breaks_is_replaced(source: StudySource, tmp_path: Path) -> None:
    desk = SliceDesk()
    try:
        assert desk.preview(source, 5)[:2] == b"\xff\xd8"
        assert desk._child is not None
        desk._child.kill()
        with pytest.raises(ReadError, match="broke off"):
            desk.pixels(source, 5)
        assert desk.pixels(source, 5).rows == 160
        (tmp_path / "junk").write_bytes(b"junk")
        assert desk.identity(Identify(tmp_path / "junk")).patient_name == ""
    finally:
        desk.close()


def test_the_api_gives_a_viewer_what_it_needs(login: Login, node: MadeNode) -> None:
    job = node.judge(Sent("1.2.3", files=None))
    client = login("reader")
    at = f"/api/v1/studies/{job.id}"
    view = client.get(at).json()["view"]
    keys = [one["number"] for one in view["slices"] if one["key"]]
    assert keys == [13, 17, 19]
    assert view["first"] in keys
    assert view["shape"] == [24, 160, 160]
    pixels = client.get(f"{at}/slices/13/pixels")
    assert len(pixels.content) == 160 * 160 * 2
    assert (pixels.headers["x-rows"], pixels.headers["x-columns"]) == ("160", "160")
    assert client.get(f"{at}/slices/13/preview").content[:2] == b"\xff\xd8"
    evidence = client.get(f"{at}/slices/13/evidence").json()
    assert base64.b64decode(evidence["heat"]).startswith(b"\x89PNG")
    assert evidence["outline"]
    for path in ("0/pixels", "25/pixels", "x/pixels", "99999999/preview"):
        assert client.get(f"{at}/slices/{path}").status_code in (404, 422)


def test_readings_keep_their_history_and_the_last_counts(
    login: Login, node: MadeNode, page: PageContext
) -> None:
    job = node.judge(Sent("1.2.3"))
    at = f"/api/v1/studies/{job.id}/readings"
    reader, other = login("reader"), login("admin")
    assert reader.post(at, json={"answer": "agree"}).status_code == 201
    said = {"answer": "disagree", "label": "NCP", "remark": "lobar"}
    assert reader.post(at, json=said).status_code == 201
    assert other.post(at, json={"answer": "agree"}).status_code == 201
    found = [(one["who"], one["answer"]) for one in reader.get(at).json()]
    assert found == [("reader", "agree"), ("reader", "disagree"), ("admin", "agree")]
    (row,) = reader.get("/api/v1/agreement").json()
    assert (row["bundle"], row["verdict"], row["agree"], row["disagree"]) == ("made 1", "CP", 1, 1)
    assert row["share"] == 0.5
    assert row["interval"] == pytest.approx([0.0945, 0.9055], abs=1e-3)  # Newcombe 1998, table I
    assert "1 of 2" in reader.get(f"/studies/{job.id}").text
    assert "lobar" in reader.get("/agreement").text
    (month,) = agreement(page.readings.counting(), by_month=True)
    assert len(month.month) == len("2026-11")


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"answer": "yes"},
        {"answer": "findings"},
        {"answer": "agree", "remark": "x" * 2001},
        {"answer": "agree", "label": "x" * 65},
    ],
)
def test_what_is_no_reading_is_refused(
    login: Login, node: MadeNode, page: PageContext, said: dict[str, str]
) -> None:
    job = node.judge(Sent("1.2.3"))
    assert login("reader").post(f"/api/v1/studies/{job.id}/readings", json=said).status_code == 422
    assert page.readings.counting() == []


def test_a_study_without_a_result_cannot_be_read(login: Login, node: MadeNode) -> None:
    job = node.refuse(Sent("1.2.3"), "Found no chest CT.")
    client = login("reader")
    answer = client.post(f"/api/v1/studies/{job.id}/readings", json={"answer": "agree"})
    assert answer.status_code == 409
    assert "Found no chest CT." in client.get(f"/studies/{job.id}").text
    assert client.get(f"/api/v1/studies/{job.id}/slices/1/pixels").status_code == 404


def test_the_api_describes_itself(login: Login) -> None:
    described = login("reader").get("/api/v1/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert "/api/v1/studies/{job_id}/slices/{number}/pixels" in described["paths"]
    assert all(path.startswith("/api/v1/") for path in described["paths"])


def test_no_such_study(login: Login) -> None:
    for number in ("999", "0", "-1", str(2**40)):
        assert login("reader").get(f"/studies/{number}").status_code == 404
        assert login("reader").get(f"/api/v1/studies/{number}").status_code == 404
