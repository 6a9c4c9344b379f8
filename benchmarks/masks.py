"""Lung masks of a study, beside lungmask's network."""

from __future__ import annotations

from benchmarks.lungs import dice_table
from benchmarks.made_studies import MadeStudy, made, read
from benchmarks.peers import NotHere
from benchmarks.peers.running import peer
from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Pairs, Run, Sample, Target, in_turn, repeated, seconds
from groundglass.infer import OpenVinoEngine, Segmenter, load_bundle
from groundglass.infer.bundle import SEGMENTER
from groundglass.pipeline import find_lungs
from groundglass.prepare import segmenter_images

_SLICES = 50
#: Slices the peer is given at a time, and pairs of runs: it takes seconds a slice.
_PEER_SLICES, _PAIRS = 5, 3


def section(bench: Bench) -> Section:
    """Time against lungmask, and Dice of the very same masks."""
    found = Section()
    bundle = load_bundle(bench.bundle)
    volume, _ = read(made(MadeStudy(_SLICES), bench.studies)).to_axial()
    segmenter = Segmenter(bundle.path(SEGMENTER), OpenVinoEngine())
    images = segmenter_images(volume, bundle.recipe)
    whole = seconds(lambda: find_lungs(volume, segmenter, bundle.recipe))
    alone = seconds(lambda: segmenter(images))
    hundred = Target(100, at_least=True, of="ratio")
    for what, run in (
        (f"lung masks for {_SLICES} slices of 512², from HU to the mask on them", whole),
        (f"the U-Net alone, {_SLICES} slices", alone),
    ):
        bench.tell(what)
        found.rows.append(_beside(bench, what, run, hundred))
    bench.tell("Dice")
    found.rows.append(_dice(bench))
    return found


def _beside(bench: Bench, what: str, ours: Run, target: Target) -> Row:
    try:
        with peer(bench.peers_python, "lungmask_r231", {"slices": _PEER_SLICES}) as theirs:
            pairs = per_study(in_turn(ours, theirs, min(bench.pairs, _PAIRS)))
    except NotHere as reason:
        sample = repeated(ours, bench.pairs).times(1000)
        note = f"beside lungmask not measured: {reason}"
        return Row(what, sample, peer="lungmask R231", target=target, note=note)
    note = (
        f"lungmask's network alone, without its cropping and cleaning, {_PEER_SLICES} slices in a "
        f"call, times {_SLICES // _PEER_SLICES}"
    )
    return Row.of_pairs(what, theirs.name, pairs, target=target, note=note)


def per_study(pairs: Pairs) -> Pairs:
    """The peer's time for as many slices as ours."""
    return Pairs(pairs.ours, pairs.peer.times(_SLICES / _PEER_SLICES))


def _dice(bench: Bench) -> Row:
    what = "mean Dice of these masks on annotated slices"
    if not bench.marked_slices.is_dir():
        return Row.missing(what, f"no annotated slices at {bench.marked_slices}", unit="")
    table = dice_table(bench.marked_slices, load_bundle(bench.bundle))
    low, high = table.interval()
    mean = sum(table.dice) / len(table.dice)
    note = f"95 % {low:.4f}-{high:.4f}, {len(table.dice)} slices of as many patients"
    return Row(what, Sample((mean,)), unit="", note=note)
