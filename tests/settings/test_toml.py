"""TOML tables become settings, or a message that says what is wrong, where, and what to do."""

from __future__ import annotations

import pickle
import re
import tomllib
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, NonNegativeInt, PositiveFloat

from groundglass.errors import SettingsError
from groundglass.settings.example import example_file
from groundglass.settings.toml import FilePath, Maybe, read_settings, settings


@settings
class Key:
    """A key."""

    file: Maybe[FilePath] = None
    """Where it is; "" for none."""


@settings
class Shelf:
    """A shelf."""

    name: str
    """What it is called."""
    kind: Literal["shelf"] = "shelf"
    """ "shelf"."""
    boards: NonNegativeInt = 3
    """How many boards."""
    key: Maybe[Key] = None
    """Locks it."""


@settings
class Box:
    """A box."""

    path: FilePath
    """Where it stands."""
    kind: Literal["box"] = "box"
    """ "box"."""


@settings
class Room:
    """A room."""

    height_m: PositiveFloat = 2.5
    """From floor to ceiling in m; 2.5
    is usual."""
    light: Literal["on", "off"] = "on"
    """Of the lamp."""
    sides: tuple[float, float] = (3.0, 4.0)
    """In m."""
    things: tuple[Annotated[Shelf | Box, Field(discriminator="kind")], ...] = ()
    """What is in it."""
    key: Key = Field(default_factory=Key)
    """Of the door."""

    def __post_init__(self) -> None:
        if self.height_m > min(self.sides):
            raise SettingsError(
                "a tower", expected="less height than width", action="Build it lower."
            )


def read(text: str) -> Room:
    return read_settings(Room, tomllib.loads(text), Path("/home"), "Correct the file.")


def test_what_is_left_out_has_its_default() -> None:
    assert read("") == Room()


def test_every_kind_of_value_is_read() -> None:
    room = read(
        """
        height_m = 2
        light = "off"
        sides = [5, 6.5]
        [key]
        file = ""
        [[things]]
        kind = "box"
        path = "in/the corner"
        [[things]]
        kind = "shelf"
        name = "long"
        key = { file = "/keys/1" }
        [[things]]
        kind = "shelf"
        name = "open"
        key = ""
        """
    )
    assert room == Room(
        2.0,
        "off",
        (5.0, 6.5),
        (Box(Path("/home/in/the corner")), Shelf("long", key=Key(Path("/keys/1"))), Shelf("open")),
    )
    assert isinstance(room.height_m, float)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hight_m = 2", "an unknown key 'hight_m' in the beginning of the file; expected 'height"),
        ("[key]\nfiles = 'x'", "an unknown key 'files' in [key]; expected 'file'?"),
        ("[[things]]\nkind='box'\npath='x'\nz=1", "'z' in [things.1]; expected one of path, kind"),
        ("height_m = '3'", "height_m = '3'; expected a number. Correct the file."),
        ("height_m = true", "height_m = True; expected a number"),
        ("height_m = 0", "height_m = 0; expected above 0"),
        ("height_m = 2024-01-01", "height_m = '2024-01-01'; expected a number"),
        ("light = 'dim'", """light = 'dim'; expected one of "on", "off". Correct"""),
        ("sides = 3", "sides = 3; expected a list"),
        ("sides = [1]", "no sides.2 in the settings"),
        ("sides = [1, 2, 3]", "sides = [1, 2, 3]; expected 2 of them at most"),
        ("sides = [9, '9']", "sides.2 = '9'; expected a number"),
        ("key = 3", "key = 3; expected a table"),
        ("key = {file = 3}", "key.file = 3; expected a"),
        ("things = [3]", "things.1 = 3; expected a table"),
        ("[[things]]\nname = 'a'", 'things.1.kind = None; expected one of "shelf", "box"'),
        ("[[things]]\nkind = 'bed'", """things.1.kind = 'bed'; expected one of "shelf", "box"."""),
        ("[[things]]\nkind = 'shelf'", "no things.1.name in the settings; expected What it is ca"),
        (
            "[[things]]\nkind='shelf'\nname='a'\nboards=1.5",
            "things.1.boards = 1.5; expected a whol",
        ),
        ("[[things]]\nkind='shelf'\nname='a'\nboards=-1", "things.1.boards = -1; expected 0 or mo"),
        ("[[things]]\nkind='shelf'\nname='a'\nkey={fil=1}", "'fil' in [things.1.key]; expected 'f"),
        ("height_m = 8", "Found a tower; expected less height than width. Build it lower."),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        read(text)


def test_what_is_wrong_is_refused_when_it_is_made() -> None:
    with pytest.raises(SettingsError, match="boards = -1; expected 0 or more"):
        Shelf("a", boards=-1)
    with pytest.raises(SettingsError, match="height_m = 0; expected above 0"):
        Room(0)
    with pytest.raises(SettingsError, match="no name in the settings; expected What it is called"):
        Shelf()  # type: ignore[call-arg]


def test_they_are_frozen_compared_hashed_and_copied_by_value() -> None:
    room = Room(2.0, things=(Box(Path("x")),))
    with pytest.raises(FrozenInstanceError):
        room.height_m = 3.0  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(room)) == replace(room, light="on") == room  # noqa: S301
    assert hash(room) == hash(replace(room))
    with pytest.raises(SettingsError, match="height_m = -1"):
        replace(room, height_m=-1)


def test_the_example_explains_all_and_changes_nothing() -> None:
    example = example_file(Room)
    assert read(example) == Room()
    assert "# From floor to ceiling in m; 2.5 is usual.\n# height_m = 2.5\n" in example
    assert '# Of the lamp.\n# light = "on"\n' in example
    assert '# [[things]]\n\n# kind = "shelf"\n\n# What it is called.\n# name = ""  # req' in example
    assert "[key]\n# with the settings of [things.key] above" in example
