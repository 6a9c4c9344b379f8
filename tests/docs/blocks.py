"""What the documentation shows between fences, and the commands in the experiments' headers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.toml"))

_FENCED = re.compile(r"^(?P<indent> *)```(?P<language>\S*)\n(?P<text>.*?)^ *```$", re.M | re.S)
_HEADER = re.compile(r"^# Command   (?P<text>.*?)^# (?=\S)", re.M | re.S)
_UNCOMMENTED = re.compile(r"^# {11}", re.M)
_INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a page.

    Parameters
    ----------
    page : str
        From the repository's root.
    line : int
        Where it begins, from 1.
    language : str
        What stands behind the opening fence; empty for commands and pictures.
    text : str
        Without fences, comment signs and indentation.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def first(self) -> str:
        """Its first line."""
        return self.text.strip().splitlines()[0]


def name_of(page: Path) -> str:
    """How a page is called here: its path from the repository's root."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """Everything between fences, from top to bottom; the commands of an experiment's header."""
    text = page.read_text("utf-8")
    found = _HEADER.finditer(text) if page.suffix == ".toml" else _FENCED.finditer(text)
    return [
        Block(
            name_of(page),
            text.count("\n", 0, one.start()) + 1,
            one.groupdict().get("language", ""),
            _UNCOMMENTED.sub("", one["text"]) if page.suffix == ".toml" else dedent(one["text"]),
        )
        for one in found
    ]


def inline_commands(text: str) -> list[str]:
    """Commands between back quotes within a line."""
    programs = ("groundglass ", "make ", "python -m ", "pip install ")
    return [span for span in inline(text) if span.startswith(programs)]


def inline(text: str) -> list[str]:
    """Everything between back quotes within a line."""
    return _INLINE.findall(_FENCED.sub("", text))
