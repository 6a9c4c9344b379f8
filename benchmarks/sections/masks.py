"""Lung masks of a study, beside lungmask's network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import NotHere
from benchmarks.peers.running import peer
from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Pairs, Run, Sample, Target, in_turn, repeated, seconds
from benchmarks.sections.lungs import dice_table
from benchmarks.study_files import MadeStudy, made, read
from groundglass.analyse.triage import find_lungs
from groundglass.core.geometry import Geometry
from groundglass.core.volume import Volume
from groundglass.infer import CpuEngine, Precision, Segmenter, load_bundle
from groundglass.infer.bundle import SEGMENTER
from groundglass.prepare import segmenter_images

#: Slices of the study, and of the comparison of the networks alone.
_SLICES, _ALONE = 300, 50
#: Slices the peer is given in a run, and pairs: it takes seconds a slice.
_PEER_SLICES, _PAIRS = 5, 3
#: Slices further apart than this are all segmented by anybody, in mm.
_THICK_MM = 10.0
_HUNDRED = Target(100, at_least=True, of="ratio")


def section(bench: Bench) -> Section:
    """Time against lungmask, and how good the very same masks are."""
    found = Section()
    bundle = load_bundle(bench.bundle)
    bench.tell(f"reading {_SLICES} slices")
    volume, _ = read(made(MadeStudy(_SLICES), bench.studies)).to_axial()
    segmenter = Segmenter(bundle.path(SEGMENTER), CpuEngine(Precision.AUTO))
    images = segmenter_images(volume, bundle.recipe)[:: _SLICES // _ALONE]

    def masks(of: Volume = volume) -> NDArray[np.bool_]:
        return find_lungs(of, segmenter, bundle.recipe).square

    whole = f"lung masks for a study, {_SLICES} slices of 512², from HU to the mask on them"
    for what, run, slices in (
        (whole, seconds(masks), _SLICES),
        (f"the U-Net alone, {_ALONE} slices", seconds(lambda: segmenter(images)), _ALONE),
    ):
        bench.tell(what)
        found.rows.append(_beside(bench, what, run, slices))
    bench.tell("how good these masks are")
    every = replace(volume, geometry=_thick(volume))
    note = (
        "1 where no slice was left out; slices nearer than the settings say are not all segmented"
    )
    what = "Dice of the study's mask beside one of every slice segmented"
    found.rows.append(Row(what, Sample((dice(masks(), masks(every)),)), unit="", note=note))
    found.rows.append(_dice(bench))
    return found


def _thick(volume: Volume) -> Geometry:
    """The same grid with slices so far apart that none is left out."""
    return replace(volume.geometry, spacing_mm=(_THICK_MM, *volume.geometry.spacing_mm[1:]))


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Twice the overlap over the sum; 1 for two empty masks."""
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / total if total else 1.0


def _beside(bench: Bench, what: str, ours: Run, slices: int) -> Row:
    try:
        with peer(bench.peers_python, "lungmask_r231", {"slices": _PEER_SLICES}) as theirs:
            pairs = for_study(in_turn(ours, theirs, min(bench.pairs, _PAIRS)), slices)
    except NotHere as reason:
        sample = repeated(ours, bench.pairs).times(1000)
        note = f"beside lungmask not measured: {reason}"
        return Row(what, sample, peer="lungmask R231", target=_HUNDRED, note=note)
    note = (
        f"lungmask's network alone, without its cropping and cleaning, {_PEER_SLICES} slices in a "
        f"call, times {slices // _PEER_SLICES}"
    )
    return Row.of_pairs(what, theirs.name, pairs, target=_HUNDRED, note=note)


def for_study(pairs: Pairs, slices: int) -> Pairs:
    """The peer's time for as many slices as ours."""
    return Pairs(pairs.ours, pairs.peer.times(slices / _PEER_SLICES))


def _dice(bench: Bench) -> Row:
    what = "mean Dice of the shipped code's masks on annotated slices"
    if not bench.marked_slices.is_dir():
        return Row.missing(what, f"no annotated slices at {bench.marked_slices}", unit="")
    table = dice_table(bench.marked_slices, load_bundle(bench.bundle))
    low, high = table.interval()
    mean = sum(table.dice) / len(table.dice)
    note = f"95 % {low:.4f}-{high:.4f}, {len(table.dice)} slices of as many patients"
    return Row(what, Sample((mean,)), unit="", note=note)
