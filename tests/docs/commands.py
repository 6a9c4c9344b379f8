"""Whether a line is a command that exists: held against the parsers, without running it."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from docs.blocks import ROOT
from whole_program import whole_program

_PROMPT = "$ "
#: A line's end that is none: quoted, or before a line that begins far to the right.
_CONTINUED = re.compile(r"\\\n|\n(?= {8})")
_OPTION = re.compile(r"\badd(?:_argument)?\(\s*\"(--[a-z-]+)\"")
_REDIRECTED = re.compile(r"^(\d?>|\||<)")
_PATH_NEEDED = re.compile("does not exist|no such|is not readable", re.I)
_INSTALLED = re.compile(r"^(?:\.|(?P<path>\S+))?\[(?P<extra>\w+)\]$")


def commands_of(text: str) -> list[str]:
    """The commands of a block, each on one line; of a session with prompts only what is typed."""
    lines = _CONTINUED.sub(" ", text).splitlines()
    if any(line.startswith(_PROMPT) for line in lines):
        lines = [line.removeprefix(_PROMPT) for line in lines if line.startswith(_PROMPT)]
    words = (shlex.split(line, comments=True) for line in lines)
    return [line for line, of_line in zip(lines, words, strict=True) if of_line]


def printed_in(text: str) -> list[str]:
    """What a session with prompts shows between its commands."""
    return [line for line in text.splitlines() if line and not line.startswith(_PROMPT)]


def fault_of(line: str) -> str:
    """Why a command line cannot be right; empty if nothing is wrong with it."""
    words = _typed(shlex.split(line, comments=True))
    program = Path(words[0]).name
    if program == "groundglass":
        return _fault_of_ours(words[1:], whole=True)
    if program == "make":
        return _fault_of_make(words[1:])
    if program == "pip":
        return _fault_of_pip(words[1:])
    if program.startswith("python") and words[1:3] != ["-m", "venv"]:
        return _fault_of_module(words[1:])
    known = ("cp", "head", "mkdir", "mv", "source", "systemctl", "tensorboard")
    return "" if program in known or "venv" in words else "unknown"


def fault_of_mention(words: str) -> str:
    """The same for a command named in passing: it and its options exist, others may be missing."""
    try:
        typed = _typed(shlex.split(words.replace("…", "")))
    except ValueError as error:
        return str(error)
    if typed[0] != "groundglass":
        return fault_of(words)
    return _fault_of_ours(typed[1:], whole=False)


def fault_of_synopsis(line: str) -> str:
    """The same for a line with words in capitals for values and bars between commands."""
    words = line.split()[1:]
    if "COMMAND" in words:
        return _fault_of_ours(words[: words.index("COMMAND")], whole=False)
    if "|" not in words:
        return _fault_of_ours(words, whole=True)
    bar, group = words.index("|"), words[0]
    last = max(k for k, word in enumerate(words) if word == "|") + 2
    options = words[last:]
    choices = [word for word in words[bar - 1 : last] if word != "|"]
    return "".join(_fault_of_ours([group, one, *options], whole=True) for one in choices)


def leaves() -> Iterator[Any]:
    """The program and every command of it."""
    waiting = [whole_program()]
    while waiting:
        command = waiting.pop()
        yield command
        waiting += getattr(command, "commands", {}).values()


def _typed(words: Sequence[str]) -> list[str]:
    """The words up to where the shell takes over."""
    end = next((k for k, word in enumerate(words) if _REDIRECTED.match(word)), len(words))
    return list(words[:end])


def _fault_of_ours(words: Sequence[str], *, whole: bool) -> str:
    command, rest = whole_program(), list(words)
    while hasattr(command, "commands"):
        while rest and rest[0].startswith("-") and rest[0] in _options(command):
            rest.pop(0)
        if not rest or (not whole and not rest[0].islower()):
            return ""
        if rest[0] not in command.commands:
            return f"no command {rest[0]}"
        command = command.commands[rest.pop(0)]
    if not whole:
        named = [word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)]
        gone = [name for name in named if name not in _options(command)]
        return f"no option {', '.join(gone)}" if gone else ""
    return _fault_of_call(command, rest)


def _options(command: Any) -> set[str]:
    mine = {name for p in command.params for name in (*p.opts, *p.secondary_opts)}
    return mine | {"--help", "-h"}


def _fault_of_call(command: Any, words: list[str]) -> str:
    """What the command's own parser says, but for files that are not there."""
    context = command.context_class(command, info_name=command.name)
    try:
        given, over, _ = command.make_parser(context).parse_args(words)
    except Exception as error:  # noqa: BLE001  (its own kinds, which depend on Typer's version)
        return str(getattr(error, "message", error) or repr(error))
    if over:
        return f"too much: {' '.join(over)}"
    if any(p.is_eager and given.get(p.name) for p in command.params):
        return ""  # it answers and ends
    missing = [p for p in command.params if p.required and not given.get(p.name)]
    if missing:
        return f"missing {', '.join(p.opts[0] for p in missing)}"
    return "".join(_fault_of_values(command, context, given))


def _fault_of_values(command: Any, context: Any, given: dict[str, Any]) -> Iterator[str]:
    for parameter in command.params:
        value = given.get(parameter.name)
        # A word in capitals stands for a value.
        if value is None or value is True or (isinstance(value, str) and value.isupper()):
            continue
        try:
            parameter.process_value(context, value)
        except Exception as error:  # noqa: BLE001  (as above)
            words = str(getattr(error, "message", error))
            if not _PATH_NEEDED.search(words):
                yield f"{parameter.opts[0]}: {words}"


def _fault_of_make(words: Sequence[str]) -> str:
    """Targets, and variables with their values, that the Makefile does not have."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    known = {*re.findall(r"^([a-z-]+):", makefile, re.M)}
    for values, name in re.findall(r"filter ([a-z0-9 ]+),\$\(([A-Z]+)\)", makefile):
        known |= {f"{name}={value}" for value in values.split()}
    return "".join(f"no target {word}" for word in words if word not in known)


def _fault_of_pip(words: Sequence[str]) -> str:
    """From an index nothing of ours can be had yet: from the checkout, with an extra it has."""
    if words[0] != "install":
        return f"pip {words[0]}"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for word in (word for word in words[1:] if not word.startswith("-")):
        extra = _INSTALLED.match(word)
        if word.startswith("groundglass"):
            return "there is no release to install"
        if extra and extra["extra"] not in project["optional-dependencies"]:
            return f"no extra {extra['extra']}"
        if word.endswith(".txt") and not (ROOT / word).exists():
            return f"no file {word}"
    return ""


def _fault_of_module(words: Sequence[str]) -> str:
    """A module of ours and its options; it is not imported, as that may take long."""
    if words[0] != "-m":
        return "" if (ROOT / words[0]).exists() else f"no file {words[0]}"
    place = words[1].replace(".", "/")
    ends = [f"{top}/{place}{end}" for top in (".", "src") for end in (".py", "/__main__.py")]
    source = next((ROOT / end for end in ends if (ROOT / end).exists()), None)
    if source is None:
        return f"no module {words[1]}"
    known = _OPTION.findall(source.read_text("utf-8"))
    named = [word.strip("[]") for word in words[2:] if word.strip("[").startswith("--")]
    gone = [name for name in named if name not in known]
    return f"no option {', '.join(gone)}" if gone else ""
