"""CONTRIBUTING's map of the house leads to rooms that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGE = _ROOT / "src" / "groundglass"
_MAP = re.search(
    r"\| you look for .*?\n\n", (_ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL
)
_PLACES = sorted(set(re.findall(r"`([a-z_/]+(?:/|\.py))`", _MAP.group() if _MAP else "")))


def test_map_names_places():
    assert len(_PLACES) > 40


@pytest.mark.parametrize("place", _PLACES)
def test_place_exists(place):
    assert (_PACKAGE / place).exists()


def test_every_package_is_on_the_map():
    packages = {path.parent.name for path in _PACKAGE.glob("*/__init__.py")}
    named = {place.split("/")[0] for place in _PLACES}
    assert packages <= named
