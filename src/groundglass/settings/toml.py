"""TOML tables into settings classes, whose types, ranges and keys pydantic checks.

A settings class is declared with `@settings`, each field with its meaning, unit and reason in a
docstring under it and its range in its type, as `PositiveFloat` or `Annotated[float, Field(lt=1)]`.

Fields may be text, numbers, truth values, paths, words out of a few (`Literal`), tuples, tables
whose keys are the user's (`dict`), and
settings classes again: a table of the same name, an array of tables for a tuple, and for a choice
of classes the one whose `kind` the table names. What several fields decide together is a
`__post_init__` that raises `SettingsError`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, dataclass_transform, get_args, get_type_hints

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic.dataclasses import dataclass

from groundglass.errors import SettingsError

_Settings = TypeVar("_Settings")
_Value = TypeVar("_Value")

#: Nothing unknown, nothing converted, no number without end; fields explained by the docstring
#: under each.
_CHECKED = ConfigDict(
    extra="forbid", strict=True, use_attribute_docstrings=True, allow_inf_nan=False
)


@dataclass_transform(frozen_default=True, field_specifiers=(Field,))
def settings(cls: type[_Settings]) -> type[_Settings]:
    """Make a settings class: a frozen dataclass that raises `SettingsError` for a wrong value."""
    made: Any = dataclass(cls, frozen=True, slots=True, config=_CHECKED)
    names = [field.name for field in fields(made)]
    checked = made.__init__

    @wraps(checked)
    def init(self: _Settings, *values: object, **named: object) -> None:
        try:
            checked(self, *values, **named)
        except ValidationError as error:
            wrong: dict[str, Any] = dict(error.errors()[0])
            first, *rest = wrong["loc"]
            wrong["loc"] = (names[first] if isinstance(first, int) else first, *rest)
            raise _in_words(made, wrong, f"Correct the {made.__name__}.") from error

    made.__init__ = init
    return cast(type[_Settings], made)


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    return cast(Path, info.context) / path if info.context else path


#: A path that may be relative to the file it stands in.
FilePath = Annotated[Path, AfterValidator(_beside_the_file)]
#: A file or a table that need not be there; a file says so by "".
Maybe = Annotated[_Value | None, BeforeValidator(lambda value: None if value == "" else value)]

#: What was expected, by the kind of pydantic's error; names in braces are those of its context.
_EXPECTED: Mapping[str, str] = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "dataclass_type": "a table",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "below {lt:g}",
    "less_than_equal": "{le:g} at most",
    "finite_number": "a finite number",
    "multiple_of": "a multiple of {multiple_of}",
    "too_long": "{max_length} of them at most",
    "too_short": "{min_length} or more of them",
    "string_too_short": "{min_length} or more characters",
}


def read_settings(
    kind: type[_Settings], table: Mapping[str, Any], folder: Path, action: str
) -> _Settings:
    """Settings from a TOML table; what the table leaves out has its default.

    Parameters
    ----------
    kind : type
        A settings class.
    table : mapping
        As `tomllib` gives it.
    folder : Path
        What relative paths are relative to.
    action : str
        What to do about a wrong value.

    Raises
    ------
    SettingsError
        A key is unknown, missing or of another type, or a value makes no sense.
    """
    content = json.dumps(table, default=str)  # JSON has no other form for a list, a tuple or a path
    try:
        return TypeAdapter(kind).validate_json(content, context=folder)
    except ValidationError as error:
        raise _in_words(kind, dict(error.errors()[0]), action) from error


def _in_words(kind: type, error: Mapping[str, Any], action: str) -> SettingsError:
    """The first thing that is wrong: what was found, what was expected, what to do."""
    (around, table), (hint, place) = list(_followed(kind, error["loc"]))[-2:]
    context, value = error.get("ctx", {}), error["input"]
    known = {name: words for one in classes_in(around) for name, words in explanations(one).items()}
    match error["type"]:
        case "unexpected_keyword_argument":
            return _unknown(str(error["loc"][-1]), list(known), table)
        case "missing":
            words = known.get(str(error["loc"][-1]), "a value")
            return SettingsError(f"no {place} in the settings", expected=words, action="Add it.")
        case "literal_error":
            expected = _one_of(re.findall(r"'([^']*)'", context["expected"]))
        case "union_tag_invalid" | "union_tag_not_found":
            place, value = f"{place}.kind", context.get("tag")
            expected = _one_of([_tag(one) for one in classes_in(hint)])
        case what:
            expected = _EXPECTED.get(what, error["msg"]).format(**context)
    return SettingsError(f"{place} = {value!r}", expected=expected, action=action)


def _one_of(words: Iterable[str]) -> str:
    return "one of " + ", ".join(f'"{word}"' for word in words)


def _unknown(key: str, known: Sequence[str], place: str) -> SettingsError:
    near = difflib.get_close_matches(key, known, n=1)
    where = f"[{place}]" if place else "the beginning of the file"
    return SettingsError(
        f"an unknown key {key!r} in {where}",
        expected=f"{near[0]!r}?" if near else "one of " + ", ".join(known),
        action="Correct or remove it; nothing unknown is passed over in silence.",
    )


def _followed(kind: type, loc: Iterable[int | str]) -> Iterator[tuple[Any, str]]:
    """Type and place in the file of what each step of a pydantic `loc` leads to, `kind` first."""
    hint: Any = kind
    place = ""
    yield hint, place
    for step in loc:
        choice = classes_in(hint)
        named = [one for one in choice if len(choice) > 1 and _tag(one) == step]
        if named:  # a step of pydantic's own: which class of several
            hint = named[0]
        elif isinstance(step, int):
            place = f"{place}.{step + 1}"
        else:
            hint = get_type_hints(choice[0]).get(step) if choice else None
            place = f"{place}.{step}" if place else step
        yield hint, place


def classes_in(hint: Any) -> list[type]:
    """The settings classes that a field of this type may hold; none for a plain one."""
    if isinstance(hint, type) and is_dataclass(hint):
        return [hint]
    return [kind for part in get_args(hint) for kind in classes_in(part)]


def explanations(kind: Any) -> dict[str, str]:
    """The fields of a settings class, with what the docstrings under them say."""
    described = getattr(kind, "__pydantic_fields__", {})  # a plain dataclass in it has none
    words = {name: field.description or "a value" for name, field in described.items()}
    return {one.name: " ".join(words.get(one.name, "a value").split()) for one in fields(kind)}


def _tag(kind: type) -> str:
    return cast(str, get_args(get_type_hints(kind)["kind"])[0])
