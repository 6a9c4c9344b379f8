"""The radiologist's page in a real browser: logged in by password, a study's pixels on a canvas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra web is not installed")

from groundglass.node.assembly import Stores
from groundglass.node.inbound.spool import SpoolSettings
from groundglass.node.settings import NodeSettings
from groundglass.node.web_settings import WebSettings
from groundglass.web.context import PageContext
from groundglass.web.people.users import Role
from groundglass.web.server import PageServer
from made_work import eventually
from web.made_node import MadeNode, Sent, report_of

PASSWORD = "correct horse battery"  # noqa: S105
HOSTILE = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"
#: Mean grey of the canvas' middle, and how many of its pixels are coloured.
_LOOK = """() => {
  const canvas = document.getElementById("picture");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let grey = 0, coloured = 0, warm = 0;
  for (let i = 0; i < data.length; i += 4) {
    grey += data[i];
    coloured += Math.abs(data[i] - data[i + 2]) > 24;
    warm += data[i] - data[i + 2] > 24;
  }
  return { grey: grey / (data.length / 4), coloured, warm };
}"""


@pytest.fixture
def served(tmp_path: Path, phantom_study: Path) -> Iterator[tuple[PageServer, MadeNode]]:
    """A page with one user, jane, and the node behind it."""
    web = WebSettings(port=0)
    settings = NodeSettings(data=tmp_path / "data", spool=SpoolSettings(free_floor_mb=0), web=web)
    stores = Stores.open(settings)
    page = PageContext.open(settings, web, stores)
    page.people.users.add("jane", Role.READER, PASSWORD)
    server = PageServer(page)
    server.start()
    yield server, MadeNode(stores, phantom_study, report_of(phantom_study, tmp_path / "report"))
    server.stop()
    stores.jobs.close()


@pytest.fixture
def told() -> list[str]:
    """What the page should not have: console errors, and requests that leave the machine."""
    return []


@pytest.fixture
def tab(browser: Any, served: tuple[PageServer, MadeNode], told: list[str]) -> Iterator[Any]:
    """A browser window on the page, without WebGL."""
    at = f"http://127.0.0.1:{served[0].port}"
    context = browser.new_context(base_url=at, viewport={"width": 1280, "height": 800})
    context.add_init_script(
        "HTMLCanvasElement.prototype.getContext = new Proxy("
        "HTMLCanvasElement.prototype.getContext, { apply: (get, canvas, args) => "
        "args[0].startsWith('webgl') ? null : Reflect.apply(get, canvas, args) })"
    )
    tab = context.new_page()
    tab.set_default_timeout(120_000)
    tab.on("console", lambda line: told.append(line.text) if line.type == "error" else None)
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.on("request", lambda asked: None if asked.url.startswith(at) else told.append(asked.url))
    yield tab
    context.close()


def log_in(tab: Any) -> None:
    tab.goto("/")
    tab.fill("[name=name]", "jane")
    tab.fill("[name=password]", PASSWORD)
    tab.click("button.main")
    tab.wait_for_selector("#list")


def test_from_logging_in_to_a_reading(
    tab: Any, served: tuple[PageServer, MadeNode], told: list[str]
) -> None:
    _, node = served
    node.judge(Sent("1.2.3", f"{HOSTILE}^Eve", HOSTILE, files=None))
    log_in(tab)
    assert tab.title() == "Worklist – groundglass"
    assert HOSTILE in tab.inner_text("#rows")
    tab.click("a.open")
    tab.wait_for_selector("#viewer[data-final=yes]")
    plain = tab.evaluate(_LOOK)
    assert plain["grey"] > 30, "an image"
    assert plain["coloured"] > 100, "with the lung outline"
    assert plain["warm"] == 0, "and no heat before it is asked for"
    first = tab.get_attribute("#viewer", "data-shown")
    tab.keyboard.press("h")
    assert eventually(lambda: tab.evaluate(_LOOK)["warm"] > 100), "heat behind one key"
    tab.keyboard.press("2")
    assert eventually(lambda: tab.inner_text("#window") == "W 400 L 40")
    assert eventually(lambda: tab.evaluate(_LOOK)["grey"] < plain["grey"] - 5), "another window"
    tab.keyboard.press("End")
    tab.wait_for_selector("#viewer[data-shown='24'][data-final=yes]")
    tab.keyboard.press("e")
    tab.wait_for_selector(f"#viewer[data-shown='{first}']")
    tab.keyboard.press("d")
    tab.wait_for_selector(".history .disagree")
    assert "0 of 1" in tab.inner_text(".site")
    tab.click("nav a[href='/agreement']")
    assert "COVID-19 pneumonia" in tab.inner_text("table")
    tab.click("text=Log out")
    tab.wait_for_selector("input[name=password]")
    tab.goto("/")
    assert tab.url.endswith("/login")
    assert told == []


def test_the_list_follows_the_node(
    tab: Any, served: tuple[PageServer, MadeNode], told: list[str]
) -> None:
    """Without a touch: a study comes, is judged, and the open page says so."""
    _, node = served
    log_in(tab)
    assert "No study has come yet" in tab.inner_text("#rows")
    node.receive(Sent("1.2.3", "Doe^Jane"))
    assert eventually(lambda: "arriving" in tab.inner_text("#rows"))
    node.judge(Sent("1.2.3", "Doe^Jane"))
    assert eventually(lambda: "COVID-19 pneumonia" in tab.inner_text("#rows"))
    tab.click("text=no answer")
    assert eventually(lambda: "None of 1" in tab.inner_text("#rows"))
    assert told == []


def test_everybody_can_use_it(tab: Any, served: tuple[PageServer, MadeNode]) -> None:
    """No serious fault by axe-core's rules (WCAG 2), dark and light."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe").Axe()
    _, node = served
    job = node.judge(Sent("1.2.3", files=None))
    refused = node.refuse(Sent("1.2.4"), "Found no chest CT.")
    tab.goto("/login")
    faults = serious(axe.run(tab), "/login")
    log_in(tab)
    for path in ("/", f"/studies/{job.id}", f"/studies/{refused.id}", "/agreement"):
        tab.goto(path)
        for scheme in ("dark", "light"):
            tab.emulate_media(color_scheme=scheme)
            faults += serious(axe.run(tab), f"{path} {scheme}")
    assert faults == []


def serious(found: Any, where: str) -> list[str]:
    """The faults that keep somebody out."""
    return [
        f"{where}: {one['id']} at {one['nodes'][0]['target']}"
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
