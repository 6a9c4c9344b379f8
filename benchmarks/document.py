"""The results as one JSON document, and that document as Markdown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.rows import Section, table

Document = dict[str, Any]

_JSON, _MARKDOWN = "benchmarks.json", "benchmarks.md"
_HEADER = ("what", "groundglass", "beside", "theirs", "ratio", "target", "met")
#: From here on seconds are shown.
_LONG_MS = 10_000
_MET = {True: "yes", False: "**no**", None: ""}


def begin(folder: Path, machine: Mapping[str, Any], *, keep: bool) -> Document:
    """An empty document, or the one in `folder` to which sections are added.

    Sections that another machine measured are not kept: one table speaks of one machine.
    """
    path = folder / _JSON
    if keep and path.is_file():
        earlier: Document = json.loads(path.read_text("utf-8"))
        if _same(earlier["machine"], machine):
            return {**earlier, "machine": dict(machine)}
    return {"machine": dict(machine), "sections": {}}


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(key) == other.get(key) for key in ("cpu", "cores", "instruction sets"))


def entered(title: str, section: Section, date: str, wall_s: float) -> Document:
    """A section as the document holds it."""
    return {
        "title": title,
        "date": date,
        "wall_s": round(wall_s, 1),
        "rows": [row.to_dict() for row in section.rows],
        "text": section.text,
        "pictures": sorted(section.pictures),
        "data": section.data,
    }


def broken(title: str, error: str, date: str) -> Document:
    """A section that came to no end."""
    return {
        "title": title,
        "date": date,
        "wall_s": 0.0,
        "rows": [],
        "text": [f"Not measured: {error}"],
        "pictures": [],
        "data": {},
    }


def write(document: Document, pictures: Mapping[str, bytes], folder: Path) -> None:
    """Write JSON, Markdown and pictures; earlier ones are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in pictures.items():
        (folder / name).write_bytes(content)
    made = json.dumps(document, indent=1, ensure_ascii=False)
    (folder / _JSON).write_text(f"{made}\n", "utf-8")
    (folder / _MARKDOWN).write_text(markdown(document), "utf-8")


def markdown(document: Document) -> str:
    """The whole document for people."""
    facts = [(name, _fact(value)) for name, value in document["machine"].items()]
    parts = [
        "# Benchmarks",
        "Written by `python -m benchmarks`; what is measured and how: docs/explanation/speed.md.",
        table(("machine", ""), facts),
        "Medians, in brackets the smallest and the largest run. A ratio says how many times as "
        "long the peer took; both ran in turn on this machine, and the ratio was taken pair by "
        "pair.",
    ]
    for section in document["sections"].values():
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _section(section: Document) -> list[str]:
    parts = [f"## {section['title']}", f"{section['date']}, {section['wall_s']:.0f} s."]
    if section["rows"]:
        parts.append(table(_HEADER, [_cells(row) for row in section["rows"]]))
    notes = [f"- {row['what']}: {row['note']}" for row in section["rows"] if row["note"]]
    if notes:
        parts.append("\n".join(notes))
    parts += section["text"]
    parts += [f"![{name.removesuffix('.png')}]({name})" for name in section["pictures"]]
    return parts


def _cells(row: Document) -> tuple[str, ...]:
    ours = figure(row["ours"], row["unit"]) or "not measured"
    theirs = figure(row["theirs"], row["unit"]) or ("not measured" if row["peer"] else "")
    ratio = figure(row["ratio"], "×")
    return row["what"], ours, row["peer"], theirs, ratio, row["target"] or "", _MET[row["met"]]


def figure(sample: Mapping[str, Any] | None, unit: str) -> str:
    """A median with its range; only the value where there was one run."""
    if sample is None:
        return ""
    factor = 1.0
    if unit == "ms" and sample["median"] >= _LONG_MS:
        factor, unit = 0.001, "s"
    middle, low, high = (_short(factor * sample[key]) for key in ("median", "low", "high"))
    shown = f"{middle}{'' if unit == '×' else ' '}{unit}".rstrip()
    return shown if len(sample["values"]) == 1 else f"{shown} ({low}-{high})"


def _short(value: float) -> str:
    """Three digits that count, four below one."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.3g}" if abs(value) >= 1 else f"{value:.4g}"
