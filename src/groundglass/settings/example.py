"""A TOML file that shows every setting, commented out at its default, with what it means."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any, get_args, get_origin, get_type_hints

from groundglass.settings.toml import classes_in, explanations

_WIDTH = 92


def example_file(kind: type) -> str:
    """The file for a settings class."""
    return "\n".join(_Example().table(kind, "", there=True)).strip() + "\n"


class _Example:
    """Writes each settings class out once, and points to it where it comes again."""

    def __init__(self) -> None:
        self._written: dict[type, str] = {}

    def table(self, kind: Any, name: str, *, there: bool) -> Iterator[str]:
        """A settings class: its own keys, then the tables in it; `there`: also by default."""
        words, hints = explanations(kind), get_type_hints(kind)
        own = [field for field in fields(kind) if not classes_in(hints[field.name])]
        for field in sorted(own, key=lambda field: field.name != "kind"):
            if field.name != "kind":  # it says which table this is, and is its own explanation
                yield from _commented(words[field.name])
            yield f"# {field.name} = {_default(field, hints[field.name])}"
            yield ""
        for field in fields(kind):
            hint = hints[field.name]
            for inner in classes_in(hint):
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


def _commented(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2)]


def _summary(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())


def _default(field: Field[Any], hint: Any) -> str:
    if field.default is MISSING and field.default_factory is MISSING:
        return "0  # required" if hint in (int, float) else '""  # required'
    factory = field.default_factory
    return _as_toml(field.default if factory is MISSING else factory())


def _as_toml(value: object) -> str:
    if value is None:
        return '""  # none'
    if isinstance(value, bool):
        return str(value).lower()
    if value == {}:
        return "{}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_as_toml, value))}]"
    if isinstance(value, int | float):
        return repr(value)
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
