"""The report page in a real browser: quiet, self-contained, and its slider works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundglass.core.geometry import Geometry
from groundglass.core.result import (
    Heatmap,
    Outcome,
    Provenance,
    SliceRecord,
    SliceStatus,
    TriageResult,
)
from groundglass.core.study import Series, SourceKind
from groundglass.core.volume import Volume
from groundglass.report import write_report

SLICES = 12
HOT = 4
HOSTILE = "</script><img src='http://192.0.2.1/x.png' onerror='document.title=1'>"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on a made study with heat on one slice."""
    rows, columns = np.mgrid[:80, :100]
    body = ((rows - 40) / 34) ** 2 + ((columns - 50) / 46) ** 2 < 1
    lung = ((rows - 38) / 20) ** 2 + ((abs(columns - 50) - 20) / 12) ** 2 < 1
    image = np.where(lung, -850, np.where(body, 40, -1000)).astype(np.int16)
    hu = np.repeat(image[None], SLICES, axis=0)
    axes = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    geometry = Geometry(hu.shape, (8.0, 4.0, 4.0), (-200.0, -160.0, -300.0), axes)
    series = Series("1.2", "1.3", SourceKind.DICOM, "CT", HOSTILE, ())
    heat = np.exp(-((rows - 50) ** 2 + (columns - 30) ** 2) / 50).astype(np.float32)
    result = TriageResult(
        outcome=Outcome.TOO_FEW_SLICES,
        reason=HOSTILE,
        labels=("CP",),
        verdict=None,
        groups=(),
        slices=tuple(
            SliceRecord(k, -300.0 + 8 * k, 1e4, 1.0, SliceStatus.KEPT, HOSTILE)
            for k in range(SLICES)
        ),
        mask=np.repeat(lung[None], SLICES, axis=0),
        heatmaps=(Heatmap(HOT, "CP", heat, 0.9),),
        timings_ms={},
        provenance=Provenance("0.1.0", "none", {}, "A demonstration.", {}, "f32", {}),
    )
    directory = tmp_path_factory.mktemp("report") / "out"
    return write_report(result, Volume(hu, geometry, series), directory) / "report.html"


class Visit:
    """An open page and what it said and asked for."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())
        self.shown(SLICES - HOT)

    def shown(self, number: int) -> None:
        """Wait until this slice is on the screen."""
        self.page.wait_for_selector(f"#stage[data-shown='{number}']", timeout=10_000)

    def press(self, key: str) -> None:
        """Press a key on the slider."""
        self.page.focus("#slider")
        self.page.keyboard.press(key)


@pytest.fixture
def visit(browser: Any, report: Path) -> Iterator[Visit]:
    visit = Visit(browser, report)
    yield visit
    visit.page.close()


def test_the_page_asks_for_nothing_and_complains_about_nothing(visit: Visit, report: Path) -> None:
    visit.press("End")
    visit.shown(SLICES)
    outside = {url for url in visit.requests if not url.startswith("data:")}
    assert outside == {report.as_uri()}
    assert visit.complaints == []


def test_it_opens_on_the_key_slice(visit: Visit) -> None:
    assert visit.page.input_value("#slider") == str(SLICES - HOT)


@pytest.mark.parametrize(
    ("key", "number"),
    [("ArrowDown", 9), ("ArrowUp", 7), ("ArrowRight", 9), ("Home", 1), ("End", 12), ("PageUp", 1)],
)
def test_keys_leaf_through_the_slices(visit: Visit, key: str, number: int) -> None:
    visit.press(key)
    visit.shown(number)
    spoken = visit.page.get_attribute("#slider", "aria-valuetext")
    assert spoken.startswith(f"Slice {number} of {SLICES}")
    assert HOSTILE not in visit.page.content()


def test_the_wheel_leafs_towards_the_feet(visit: Visit) -> None:
    visit.page.locator("#viewer").scroll_into_view_if_needed()
    visit.page.hover("#viewer")
    visit.page.mouse.wheel(0, 60)
    visit.shown(9)


def test_every_slice_brings_its_own_picture(visit: Visit) -> None:
    first = visit.page.get_attribute("#v-outline", "d")
    assert first.startswith("M")
    assert visit.page.get_attribute("#v-heat", "href").startswith("data:image/png")
    visit.press("Home")
    visit.shown(1)
    assert visit.page.get_attribute("#v-heat", "href") == ""
    assert visit.page.is_visible("#v-noheat")


def test_heat_and_outline_can_be_switched_off(visit: Visit) -> None:
    assert visit.page.is_visible("#v-outline")
    visit.press("l")
    visit.press("h")
    assert not visit.page.is_visible("#v-outline")
    assert not visit.page.is_visible("#v-heat")
    assert visit.page.is_visible("#v-image")


def test_the_overview_leads_to_its_slice(visit: Visit) -> None:
    visit.page.locator("#overview").scroll_into_view_if_needed()
    box = visit.page.locator("#overview image").first.bounding_box()
    visit.page.mouse.click(box["x"] + 5, box["y"] + box["height"] * 0.5 / SLICES)
    visit.shown(1)


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_sticks_out_sideways(visit: Visit, width: int) -> None:
    visit.page.set_viewport_size({"width": width, "height": 800})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_the_evidence_is_there(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator(".pair .slice").first.is_visible()
    assert not page.locator("#stage").is_visible()
    assert "switched off" in page.locator("noscript").inner_text()
    context.close()
