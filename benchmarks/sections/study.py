"""A whole study: files on disk to the report, the first verdict, and what explaining adds."""

from __future__ import annotations

from statistics import median

from benchmarks.analysing import Order, analyse
from benchmarks.explanations import DEFAULT, Networks, explaining_seconds, judged
from benchmarks.rows import Bench, Row, Section, table
from benchmarks.samples import Sample, Target
from benchmarks.study_files import MadeStudy, made, read
from groundglass.analyse.triage import Triage
from groundglass.infer import load_bundle

_SLICES = 300
#: Runs of the large studies, and fresh processes.
_RUNS = 3
_TARGETS_S = {False: 4.0, True: 6.0}


def section(bench: Bench) -> Section:
    """The rows of a whole study."""
    found = Section()
    _whole(bench, found)
    bench.tell("the first verdict of a fresh process")
    found.rows.append(_first(bench))
    bench.tell("what explaining adds")
    shares = _explaining_shares(bench)
    note = "processor time beside everything else between volume and verdict; 100 slices of 512²"
    what = "explaining: heat maps of key slices, consistency, heat of all slices"
    target = Target(10)
    found.rows.append(Row(what, shares.times(100), unit="%", target=target, note=note))
    return found


def _whole(bench: Bench, found: Section) -> None:
    """Both kinds in turn, in one process that has analysed something before."""
    runs = min(bench.pairs, _RUNS)
    kinds = [MadeStudy(_SLICES, compressed=compressed) for compressed in (False, True)]
    small = str(made(MadeStudy(50), bench.studies))
    folders = [str(made(kind, bench.studies)) for kind in kinds]
    bench.tell(f"{_SLICES} slices, {runs} runs uncompressed and as many compressed")
    done = analyse(Order(bench.bundle, (small, *folders * runs)))[1:]
    for k, kind in enumerate(kinds):
        sample = Sample(tuple(one.seconds for one in done[k::2]))
        target = Target(_TARGETS_S[kind.compressed])
        what = f"study on disk → verdict, maps, SR, SEG, SC, page: {kind.words}"
        found.rows.append(Row(what, sample, unit="s", target=target))
    lines = [
        [stage, *(f"{median(d.timings_ms[stage] for d in done[k::2]):.0f}" for k in (0, 1))]
        for stage in done[0].timings_ms
    ]
    found.text.append(table(["stage", "uncompressed, ms", "JPEG Lossless, ms"], lines))


def _first(bench: Bench) -> Row:
    """The same study twice in each of some fresh processes; how much later the first verdict is."""
    study = str(made(MadeStudy(100), bench.studies))
    later = []
    for _ in range(min(bench.pairs, _RUNS)):
        first, second = analyse(Order(bench.bundle, (study, study), report=False))
        later.append(first.since_start - second.seconds)
    what = "first verdict in a fresh process, later than a warm one"
    note = "starting Python, importing, loading and compiling the networks; 100 slices"
    return Row(what, Sample(tuple(later)), unit="s", target=Target(2), note=note)


def _explaining_shares(bench: Bench) -> Sample:
    """Processor time, which says the same on a busy machine, as a share of everything else's."""
    volume = read(made(MadeStudy(100), bench.studies))
    triage = Triage.load(bench.bundle)
    networks = Networks.of(load_bundle(bench.bundle))
    _, parts = judged(networks, volume)
    explainer, evidence = networks.explainers[DEFAULT], parts["evidence"]
    times = [explaining_seconds(triage, explainer, evidence, volume) for _ in range(_RUNS)]
    return Sample(tuple(explaining / rest for explaining, rest in times))
