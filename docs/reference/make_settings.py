"""Write the pages of settings from the code: `python docs/reference/make_settings.py`.

settings.md has those of a call; node-settings.md and deploy/groundglass.toml those of a node. Tests
compare them with what this would write.
"""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import MISSING, Field, fields
from itertools import pairwise
from pathlib import Path
from typing import cast

from groundglass.analyse.batch.analysing import BatchSettings
from groundglass.explain import ExplainSettings, KeySlices, LikelihoodSettings, OpacitySettings
from groundglass.node.settings import example_settings
from groundglass.phantom import PhantomSettings
from groundglass.prepare import (
    CoverageSettings,
    InputRanges,
    MaskCleanupSettings,
    NotJudgedSettings,
    Recipe,
)
from groundglass.prepare.mask_interpolation import MaskInterpolationSettings
from groundglass.read.candidates import SelectionSettings
from groundglass.read.dicom.stacks.grid import AssemblySettings
from groundglass.read.image_stack.settings import ImageStackSettings
from groundglass.read.limits import ReadLimits
from groundglass.report.html.slice_images import FigureSettings
from groundglass.report.overlay import OverlaySettings

PAGE = Path(__file__).with_name("settings.md")
NODE_PAGE = Path(__file__).with_name("node-settings.md")
NODE_FILE = Path(__file__).parents[2] / "deploy" / "groundglass.toml"

_HEAD = """# Settings

Every value that could be another one, with its default and its reason. This page is written from \
the code by `make_settings.py` beside it.

Settings of the [recipe](#recipe) belong to the weights: they are in `bundle.json`, training and \
running read them there, and changing one means training again. The others belong to a call.
"""

#: The settings, with where they are given.
_SETTINGS: tuple[tuple[type, str], ...] = (
    (Recipe, "`bundle.json`, `recipe`"),
    (SelectionSettings, "`select_chest_ct(study, settings=…)`"),
    (AssemblySettings, "`read_volume(series, settings=…)`"),
    (ImageStackSettings, "`read_study(folder, stack=…)`, or the options of `groundglass run`"),
    (ReadLimits, "fixed: they protect the machine"),
    (MaskInterpolationSettings, "fixed"),
    (MaskCleanupSettings, "`clean_lung_mask(…, settings=…)`"),
    (CoverageSettings, "fixed"),
    (NotJudgedSettings, "fixed"),
    (InputRanges, "fixed"),
    (ExplainSettings, "`Triage.load(explaining=…)`"),
    (KeySlices, "`ExplainSettings(key=…)`"),
    (LikelihoodSettings, "`ExplainSettings(likelihood=…)`"),
    (OpacitySettings, "`opacity_by_slice(…, settings=…)`"),
    (OverlaySettings, "fixed"),
    (FigureSettings, "fixed"),
    (BatchSettings, "`analyse_each(…, settings)`, or the options of `groundglass batch`"),
    (PhantomSettings, "`make_phantom(settings)`, or the options of `groundglass phantom`"),
)
#: Begins what is said of several fields at once, under the last of them.
_TOGETHER = re.compile(r"((?:`\w+`, )+`\w+`): ")


def settings_page() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *(_section(kind, place) for kind, place in _SETTINGS)])


def _section(kind: type, place: str) -> str:
    explained = _explanations(kind)
    rows = [
        f"| `{field.name}` | {_default(field)} | {explained.pop(field.name)} |"
        for field in fields(kind)
    ]
    table = "\n".join(["| setting | default | meaning and reason |", "|---|---|---|", *rows])
    summary = re.split(r"\n\n\w+\n-+\n", inspect.getdoc(kind) or "")[0]
    return f"## {kind.__name__}\n\n{summary}\n\nGiven in: {place}.\n\n{table}\n"


def _explanations(kind: type) -> dict[str, str]:
    """What the docstrings under the fields say, by field."""
    (made,) = ast.parse(inspect.getsource(kind)).body
    explained = {}
    for field, below in pairwise(cast("ast.ClassDef", made).body):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            words = _one_line(ast.literal_eval(below.value))
            together = _TOGETHER.match(words)
            names = re.findall(r"\w+", together[1]) if together else [ast.unparse(field.target)]
            words = words[together.end() :] if together else words
            explained |= dict.fromkeys(names, words[0].upper() + words[1:])
    return explained


def _default(field: Field[object]) -> str:
    factory = field.default_factory
    default = field.default if factory is MISSING else factory()
    return "required" if default is MISSING else f"`{default}`"


def _one_line(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
    NODE_FILE.write_text(example_settings(), encoding="utf-8")
    above = NODE_PAGE.read_text("utf-8").partition("```toml\n")[0]
    NODE_PAGE.write_text(f"{above}```toml\n{example_settings()}```\n", encoding="utf-8")
