"""The tree of errors is drawn as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import groundglass.errors

_SOURCES = Path(groundglass.errors.__file__).parent
_CLASS = re.compile(r"^class (\w+)\((\w+)\):", re.MULTILINE)
_DRAWN = re.compile(r"^((?:│   |    )*)[├└]── (\w+)", re.MULTILINE)


def _defined() -> Iterator[tuple[str, str]]:
    """Name and parent of every class derived from `GroundglassError`, in all of the sources."""
    classes = {
        name: parent
        for path in _SOURCES.rglob("*.py")
        for name, parent in _CLASS.findall(path.read_text("utf-8"))
    }
    for name, parent in classes.items():
        above = name
        while above in classes:
            above = classes[above]
            if above == "GroundglassError":
                yield name, parent


def _drawn() -> Iterator[tuple[str, str]]:
    way = ["GroundglassError"]
    for bars, name in _DRAWN.findall(groundglass.errors.__doc__ or ""):
        depth = len(bars) // 4 + 1
        yield name, way[depth - 1]
        way[depth:] = [name]


def test_every_error_is_in_the_tree_where_it_belongs() -> None:
    drawn = list(_drawn())
    assert sorted(drawn) == sorted(set(_defined()))
