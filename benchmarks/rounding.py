"""What computing in bf16 changes."""

from __future__ import annotations

from benchmarks.precision import largest_difference
from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Sample
from groundglass.infer import load_bundle


def section(bench: Bench) -> Section:
    """Differences of probabilities, verdicts and masks over made patients."""
    bench.tell(f"{bench.patients} made patients in both formats")
    found = largest_difference(load_bundle(bench.bundle), bench.patients)
    note = f"{found['patients']} made patients; {found['bf16']}"
    rows = {
        "largest difference of a patient's probability": ("largest", ""),
        "mean difference": ("mean", ""),
        "verdicts that changed": ("verdicts_changed", "patients"),
        "lung voxels that changed, share of the lung": ("lung_voxels_changed", ""),
    }
    made = [
        Row(what, Sample((float(found[key]),)), unit=unit) for what, (key, unit) in rows.items()
    ]
    made[0] = Row(made[0].what, made[0].ours, unit="", note=note)
    return Section(rows=made)
