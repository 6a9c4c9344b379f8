"""What the how-to pages say to write into the settings can be written there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from groundglass.node.settings import EXPLAINED, NodeSettings
from groundglass.settings.toml import read_settings

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to"
BLOCKS = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in (HOW_TO / "connect-a-pacs.md", HOW_TO / "run-a-node.md")
    for number, text in enumerate(
        re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    )
]


@pytest.mark.parametrize("text", BLOCKS)
def test_every_example_is_read(text: str, tmp_path: Path) -> None:
    table = tomllib.loads(text.replace("\n   ", "\n"))
    settings = read_settings(NodeSettings, table, tmp_path, EXPLAINED)
    assert settings != NodeSettings(), "it says something"
