"""`python -m benchmarks`: the figures of this machine, as Markdown."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

from benchmarks.lungs import dice_table, disease_kept
from benchmarks.precision import largest_difference
from benchmarks.stages import stage_table
from groundglass.infer import load_bundle


def main() -> None:
    """Print each table as it is ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=Path, default=Path("../shared/data/lung-masks/test"))
    parser.add_argument("--patients", type=int, default=50)
    given = parser.parse_args()
    bundle = load_bundle()
    print(f"# groundglass on {platform.processor() or platform.machine()}, {bundle.name}\n")
    print("## Stages, one synthetic study of 100 slices of 512×512, median of 5\n")
    print(stage_table(bundle, runs=5), flush=True)
    print("\n## Lung masks\n")
    if given.masks.is_dir():
        print(f"U-Net alone: {dice_table(given.masks, bundle, cleaned=False)}\n")
        print(f"As in service: {dice_table(given.masks, bundle)}\n")
        for name, share in disease_kept(bundle, given.masks).items():
            print(f"- kept inside the mask, {name}: {share:.3f}", flush=True)
    else:
        print(f"Not measured: no annotated slices at {given.masks}.")
    print(f"\n## bf16 against f32, {given.patients} synthetic patients\n")
    for name, value in largest_difference(bundle, given.patients).items():
        print(f"- {name}: {value}")


if __name__ == "__main__":
    main()
