"""Write experiments.md from the settings: `python docs/reference/make_experiments.py`.

Needs no deep-learning framework. A test compares the page with what this would write.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from groundglass.settings.toml import explanations
from groundglass.train.settings import (
    AugmentSettings,
    BundleSettings,
    EncoderSettings,
    Experiment,
    NetworkSettings,
    SegmenterSettings,
    SequenceSettings,
    StageSettings,
)

PAGE = Path(__file__).with_name("experiments.md")
FOLDER = Path(__file__).parents[2] / "experiments"

_HEAD = """# Experiments

How `groundglass train` trains: a TOML file. What it leaves out keeps its default; a key it does \
not know, a value of the wrong type or one that makes no sense is refused by name. This page is \
written from the code by `make_experiments.py` beside it. [How to train](../how-to/train.md) says \
what to do with it.

## The files

Each begins with the command, the hardware, the runtime and the result to expect.

| file | what |
|---|---|
"""
_TABLES: tuple[tuple[type, str], ...] = (
    (Experiment, "(top of the file)"),
    (NetworkSettings, "[network]"),
    (StageSettings, "[segmenter], [encoder] and [sequence]"),
    (SegmenterSettings, "[segmenter]"),
    (EncoderSettings, "[encoder]"),
    (SequenceSettings, "[sequence]"),
    (AugmentSettings, "[segmenter.augment], [encoder.augment] and [sequence.augment]"),
    (BundleSettings, "[bundle]"),
)
_STAGES = (SegmenterSettings, EncoderSettings, SequenceSettings)
#: What a field without a docstring of its own says: one that only has another default.
UNEXPLAINED = "a value"


def experiments_page() -> str:
    """The page as Markdown."""
    files = [_file(path) for path in sorted(FOLDER.glob("*.toml"))]
    recipe = (
        "## [recipe]\n\nEvery setting of [Recipe](settings.md#recipe), to be changed one by one.\n"
    )
    sections = [_section(kind, where) for kind, where in _TABLES]
    return _HEAD + "\n".join([*files, "", sections[0], recipe, *sections[1:]])


def _file(path: Path) -> str:
    first = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    return f"| `experiments/{path.name}` | {first} |"


def _section(kind: type, where: str) -> str:
    own = kind.__annotations__
    rows = [
        f"| `{name}` | {_defaults(kind, name)} | {_one_line(words)} |"
        for name, words in explanations(kind).items()
        if name in own and words != UNEXPLAINED and not _is_table(kind, name)
    ]
    heads = "default (segmenter, encoder, sequence)" if kind is StageSettings else "default"
    table = "\n".join([f"| setting | {heads} | meaning |", "|---|---|---|", *rows])
    return f"## {where}\n\n{inspect.getdoc(kind)}\n\n{table}\n"


def _is_table(kind: type, name: str) -> bool:
    """Whether a setting is a table of its own, which has a section of its own."""
    return name != "name" and kind is not StageSettings and is_dataclass(_value(kind, name))


def _defaults(kind: type, name: str) -> str:
    if kind is StageSettings:
        found = [_toml(_value(stage, name)) for stage in _STAGES]
        return found[0] if len(set(found)) == 1 else ", ".join(found)
    return "the file's name" if name == "name" else _toml(_value(kind, name))


def _value(kind: type, name: str) -> Any:
    return getattr(kind(name="") if kind is Experiment else kind(), name)


def _toml(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _one_line(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(experiments_page(), encoding="utf-8")
