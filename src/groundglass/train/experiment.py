"""Experiments on disk: TOML, checked key by key, type by type."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from groundglass.errors import ReadError, SettingsError
from groundglass.train.settings import Experiment

_T = TypeVar("_T")
_CORRECT = "Correct the experiment's file; docs/reference/experiments.md lists every setting."


def read_experiment(path: Path) -> Experiment:
    """Read and check an experiment.

    Parameters
    ----------
    path : Path
        A TOML file; `name` may be left out and is then the file's.

    Raises
    ------
    ReadError
        No such file, or no TOML.
    SettingsError
        An unknown key, a value of the wrong type, or one that makes no sense.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(
            f"no experiment that can be read at {path}",
            expected="a TOML file",
            action="Give one of the files in experiments/, or one of yours.",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ReadError(
            f"{path.name}, which is no TOML ({error})", expected="a TOML file", action=_CORRECT
        ) from error
    return build(Experiment, {"name": path.stem, **values}, "")


def build(kind: type[_T], values: Mapping[str, Any], where: str) -> _T:
    """A settings class from a table.

    Parameters
    ----------
    kind : type
        A dataclass; what a table leaves out keeps its default.
    values : mapping
        As TOML gives it.
    where : str
        Name of the table, for messages; "" for the whole file.

    Raises
    ------
    SettingsError
        As for `read_experiment`.
    """
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SettingsError(
            f"the unknown setting {', '.join(unknown)} in {_table(where)}",
            expected=f"some of {', '.join(known)}",
            action=_CORRECT,
        )
    hints = get_type_hints(kind)
    return kind(
        **{name: _value(hints[name], value, f"{where}.{name}") for name, value in values.items()}
    )


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise _wrong(value, where, "a table")
        return build(hint, value, where)  # type: ignore[arg-type]
    origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            raise _wrong(value, where, " or ".join(map(repr, get_args(hint))))
        return value
    if origin is tuple:
        return _tuple(get_args(hint), value, where)
    if origin is UnionType:  # no setting is a choice of types
        raise TypeError(f"{where} has a type that experiments cannot hold")
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise _wrong(value, where, hint.__name__)
    return value


def _tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _wrong(value, where, "a list")
    if kinds[-1] is Ellipsis:
        return tuple(_value(kinds[0], one, where) for one in value)
    if len(value) != len(kinds):
        raise _wrong(value, where, f"{len(kinds)} values")
    return tuple(_value(kind, one, where) for kind, one in zip(kinds, value, strict=True))


def _wrong(value: Any, where: str, expected: str) -> SettingsError:
    return SettingsError(f"{where.strip('.')} = {value!r}", expected=expected, action=_CORRECT)


def _table(where: str) -> str:
    return f"[{where.strip('.')}]" if where else "the experiment"
