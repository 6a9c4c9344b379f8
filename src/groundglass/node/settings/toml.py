"""TOML files into settings, and settings into a TOML file that explains itself.

A settings class is a frozen dataclass whose docstring explains every field. Fields may be text,
numbers, truth values, paths, words out of a few (`Literal`), tuples, and settings classes again: a
table of the same name, an array of tables for a tuple, no table for one that is None.
"""

from __future__ import annotations

import difflib
import inspect
import re
import textwrap
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from groundglass.errors import SettingsError

Settings = TypeVar("Settings")

_WIDTH = 92
_ENTRY = re.compile(r"^(\w+(?:, \w+)*) : (.*)$", re.MULTILINE)
_KINDS: Mapping[type, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a text in quotes"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    bool: ((bool,), "true or false"),
    Path: ((str,), "a path in quotes"),
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file a value stands, for messages, and the folder paths are relative to."""

    name: str
    folder: Path

    def within(self, key: object) -> _Place:
        name = f"{self.name}.{key}" if self.name else str(key)
        return _Place(name, self.folder)


def read_settings(kind: type[Settings], table: Mapping[str, Any], folder: Path) -> Settings:
    """Settings from a TOML table; what the table leaves out has its default.

    Parameters
    ----------
    kind : type
        A settings class.
    table : mapping
        As `tomllib` gives it.
    folder : Path
        What relative paths are relative to.

    Raises
    ------
    SettingsError
        A key is unknown, missing or of another type, or a value makes no sense.
    """
    return _read_class(kind, table, _Place("", folder))


def _read_class(kind: type[Settings], table: object, place: _Place) -> Settings:
    if not isinstance(table, Mapping):
        raise _wrong(table, place, "a table")
    known = {field.name: field for field in fields(cast(Any, kind))}
    for key in table:
        if key not in known:
            raise _unknown(str(key), known, place)
    hints = get_type_hints(kind)
    values = {key: _read(hints[key], value, place.within(key)) for key, value in table.items()}
    for name, field in known.items():
        if name not in values and _required(field):
            raise SettingsError(
                f"no {place.within(name).name} in the settings",
                expected=_words(kind).get(name, "a value"),
                action="Add it.",
            )
    return kind(**values)


def _read(hint: Any, value: object, place: _Place) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        if value not in arguments:
            raise _wrong(value, place, "one of " + ", ".join(f'"{word}"' for word in arguments))
        return value
    if origin in (Union, types.UnionType):
        if value == "" and type(None) in arguments:
            return None
        return _read_one_of([a for a in arguments if a is not type(None)], value, place)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(value, place, "a list")
        return tuple(_read(arguments[0], v, place.within(n)) for n, v in enumerate(value, 1))
    if is_dataclass(hint):
        return _read_class(cast("type[Any]", hint), value, place)
    accepted, words = _KINDS[hint]
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise _wrong(value, place, words)
    return place.folder / str(value) if hint is Path else hint(value)


def _read_one_of(kinds: list[Any], value: object, place: _Place) -> Any:
    """One kind, or the settings class whose `kind` the table names."""
    if len(kinds) == 1:
        return _read(kinds[0], value, place)
    by_name = {get_args(get_type_hints(kind)["kind"])[0]: kind for kind in kinds}
    named = value.get("kind") if isinstance(value, Mapping) else None
    if named not in by_name:
        raise _wrong(named, place.within("kind"), "one of " + ", ".join(f'"{n}"' for n in by_name))
    return _read_class(by_name[named], value, place)


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _wrong(value: object, place: _Place, expected: str) -> SettingsError:
    return SettingsError(
        f"{place.name} = {value!r}",
        expected=expected,
        action="Correct the settings file; `groundglass serve --example` explains every key.",
    )


def _unknown(key: str, known: Mapping[str, object], place: _Place) -> SettingsError:
    near = difflib.get_close_matches(key, known, n=1)
    where = f"[{place.name}]" if place.name else "the beginning of the file"
    return SettingsError(
        f"an unknown key {key!r} in {where}",
        expected=f"{near[0]!r}?" if near else "one of " + ", ".join(known),
        action="Correct or remove it; nothing unknown is passed over in silence.",
    )


# The file that explains itself ------------------------------------------------------------------


def example_file(kind: type) -> str:
    """A TOML file with every setting, commented out at its default, and what it means."""
    return "\n".join(_Example().table(kind, "", there=True)).strip() + "\n"


class _Example:
    """Writes each settings class out once, and points to it where it comes again."""

    def __init__(self) -> None:
        self._written: dict[type, str] = {}

    def table(self, kind: type, name: str, *, there: bool) -> Iterator[str]:
        """A settings class: its own keys, then the tables in it; `there`: also by default."""
        words, hints = _words(kind), get_type_hints(kind)
        own = [field for field in fields(cast(Any, kind)) if not _inner(hints[field.name])]
        for field in sorted(own, key=lambda field: field.name != "kind"):
            if field.name != "kind":  # it says which table this is, and is its own explanation
                yield from _commented(words[field.name])
            yield f"# {field.name} = {_default(field, hints[field.name])}"
            yield ""
        for field in fields(cast(Any, kind)):
            hint = hints[field.name]
            for inner in _inner(hint):
                yield ""
                many, optional = get_origin(hint) is tuple, type(None) in get_args(hint)
                yield from _commented(words[field.name])
                if many:
                    yield from _commented(_summary(inner))
                at = f"{name}{field.name}"
                within = there and not (many or optional)
                header = f"[[{at}]]" if many else f"[{at}]"
                yield header if within else f"# {header}"
                yield from self._inner_table(inner, at, there=within)

    def _inner_table(self, kind: type, name: str, *, there: bool) -> Iterator[str]:
        if kind in self._written:
            yield f"# with the settings of [{self._written[kind]}] above"
            yield ""
            return
        self._written[kind] = name
        yield ""
        yield from self.table(kind, f"{name}.", there=there)


def _inner(hint: Any) -> list[type]:
    """The settings classes that a field holds; none for a plain one."""
    if get_origin(hint) is tuple:
        hint = get_args(hint)[0]
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return [kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind)]


def _commented(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2)]


def _summary(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())


def _words(kind: type) -> dict[str, str]:
    """What the docstring says of each field."""
    parameters = (inspect.getdoc(kind) or "").partition("\n\nParameters\n----------\n")[2]
    parameters = re.split(r"\n\n\w+\n-+\n", parameters)[0]
    pieces = _ENTRY.split(parameters)[1:]
    return {
        name: " ".join(text.split())
        for names, text in zip(pieces[::3], pieces[2::3], strict=True)
        for name in names.split(", ")
    }


def _default(field: Field[Any], hint: Any) -> str:
    if _required(field):
        return "0  # required" if hint in (int, float) else '""  # required'
    factory = field.default_factory
    return _as_toml(field.default if factory is MISSING else factory())


def _as_toml(value: object) -> str:
    if value is None:
        return '""  # none'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_as_toml, value))}]"
    if isinstance(value, int | float):
        return repr(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
