"""The documentation says what the code does, and its links lead somewhere."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import groundglass
from docs.blocks import inline, name_of
from groundglass.infer import load_bundle

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as code hosts make them."""
    headings = _HEADING.findall(page.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text("utf-8")):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in _anchors(found), f"{link}: no such heading"


def test_every_page_can_be_reached_from_the_first() -> None:
    first = DOCS / "README.md"
    reached, to_read = set(), [first]
    while to_read:
        page = to_read.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = _LINK.findall(page.read_text("utf-8"))
        to_read += [
            (page.parent / link.partition("#")[0]).resolve()
            for link in links
            if "://" not in link and link.partition("#")[0]
        ]
    assert set(DOCS.rglob("*.md")) <= reached


def test_the_settings_page_is_the_code() -> None:
    made = runpy.run_path(str(DOCS / "reference" / "make_settings.py"))
    page = DOCS / "reference" / "settings.md"
    assert page.read_text("utf-8") == made["settings_page"](), (
        "the settings changed: run python docs/reference/make_settings.py"
    )


def test_the_first_page_gives_the_shipped_bundles_figures() -> None:
    """A newcomer reads of the weights that ship, not of those before."""
    first = (ROOT / "README.md").read_text("utf-8")
    metrics = load_bundle("demonstration").training["metrics"]
    for source, part in (("medseg", ", all: "), ("mosmed", ", CT-2 and worse: ")):
        slices = metrics[f"encoder alone, single slices of {source}, test"]
        (figure,) = (one for name, one in slices.items() if part in name)
        said = "{value:.3f} (95 % {low:.3f}-{high:.3f}".format(**figure)
        assert said in first or said.replace("95 % ", "") in first, f"README.md lacks {said}"


@pytest.mark.parametrize(
    "page", ["README.md", "docs/getting-started/first-report.md", "docs/explanation/limitations.md"]
)
def test_what_the_shipped_classifier_has_seen_is_what_its_bundle_says(page: str) -> None:
    """Wherever a reader first meets the verdict, in the words of the bundle's own statement."""
    statement = load_bundle("demonstration").statement
    learnt = re.search(r"learnt from [^(.,]*[^(., ]", statement)
    tested = re.search(r"set on \d+ whole volumes", statement)
    assert learnt
    assert tested
    text = (ROOT / page).read_text("utf-8")
    assert learnt[0] in text
    assert tested[0] in text
    assert not re.search(r"(only ever seen|has seen|learnt from) synthetic patients", text)


def test_every_public_name_is_in_the_reference() -> None:
    text = (DOCS / "reference" / "python-api.md").read_text("utf-8")
    for name in groundglass.__all__:
        assert re.search(rf"`{name}\b", text), f"{name} is not in python-api.md"


_ATTRIBUTE = re.compile(r"^groundglass(?:\.\w+)+")
_PATH = re.compile(r"^(?:benchmarks|deploy|docs|experiments|src|tests)/[\w./-]+$")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_names_of_the_code_is_there(page: Path) -> None:
    """Modules, functions, public names, files. What is past, the changelog may name."""
    if page.name == "CHANGELOG.md" or page.parent.name == "decisions":
        return
    for span in inline(page.read_text("utf-8")):
        if dotted := _ATTRIBUTE.match(span):
            assert _exists(dotted[0]), span
        if _PATH.match(span):
            assert (ROOT / span).exists(), span
        for name in re.findall(r"\bgg\.(\w+)", span):
            assert name in groundglass.__all__, span


def _exists(dotted: str) -> bool:
    """Whether a module, or a name in one, is there; modules are looked up, not imported."""
    parts = dotted.split(".")
    source = ROOT / "src" / Path(*parts)
    if source.is_dir() or source.with_suffix(".py").exists():
        return True
    module = source.parent
    files = [module.with_suffix(".py"), module / "__init__.py"]
    texts = [file.read_text("utf-8") for file in files if file.exists()]
    return any(re.search(rf"\b{parts[-1]}\b", text) for text in texts)


def test_decisions_are_numbered_without_gaps_and_have_their_three_parts() -> None:
    records = sorted(p for p in (DOCS / "decisions").glob("*.md") if p.name != "README.md")
    assert [int(p.name[:4]) for p in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text("utf-8")
        assert text.startswith(f"# {record.name[:4]}: ")
        for part in ("**Context.**", "**Decision.**", "**Consequences.**"):
            assert part in text
