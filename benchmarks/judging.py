"""Lung masks against truth, and what they keep of disease."""

from __future__ import annotations

from benchmarks.lungs import DiceTable, dice_table, disease_kept
from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Sample
from groundglass.infer import load_bundle


def section(bench: Bench) -> Section:
    """Dice of the U-Net alone and as in service; disease that stays inside."""
    found = Section()
    if not bench.marked_slices.is_dir():
        reason = f"no annotated slices at {bench.marked_slices}"
        found.rows.append(Row.missing("mean Dice on annotated slices", reason, unit=""))
        return found
    bundle = load_bundle(bench.bundle)
    for what, cleaned in (("the U-Net alone", False), ("as in service", True)):
        bench.tell(f"Dice, {what}")
        found.rows.append(_dice(what, dice_table(bench.marked_slices, bundle, cleaned=cleaned)))
    bench.tell("disease")
    for what, share in disease_kept(bundle, bench.marked_slices).items():
        found.rows.append(Row(f"kept inside the mask: {what}", Sample((share,)), unit=""))
    return found


def _dice(what: str, table: DiceTable) -> Row:
    mean = sum(table.dice) / len(table.dice)
    return Row(f"mean Dice, {what}", Sample((mean,)), unit="", note=str(table))
