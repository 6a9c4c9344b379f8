"""Counts of a cohort, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from groundglass.cli.console import Terminal


def tell_counts(counts: Mapping[str, Mapping[str, int]], corner: str, terminal: Terminal) -> None:
    """A table of patients: one line a split or source, one column a class, and their sums.

    Parameters
    ----------
    counts : mapping of str to mapping of str to int
        Patients per line and column.
    corner : str
        What the lines are.
    terminal : Terminal
        Who says it.
    """
    labels = list(next(iter(counts.values()), {}))
    lines = [[corner, *labels, "patients"]]
    for name, row in counts.items():
        numbers = [row[label] for label in labels]
        lines.append([name or "(none)", *map(str, numbers), str(sum(numbers))])
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    for line in lines:
        cells = [
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        terminal.print("  " + "  ".join(cells))
