"""What explaining adds to a verdict, in processor time."""

from __future__ import annotations

from time import process_time

from benchmarks.explanations import DEFAULT, Networks, judged
from benchmarks.rows import Bench
from benchmarks.samples import Sample
from benchmarks.study_files import MadeStudy, made, read
from groundglass.analyse.triage import Triage
from groundglass.core.volume import Volume
from groundglass.infer import GroupEvidence, load_bundle

_EXPLAIN = "explain"


def explaining_shares(bench: Bench, runs: int) -> Sample:
    """Processor time of explaining as a share of that of everything else before it.

    The stage of its own and what each group costs, gradients and coarse heat of every class.
    Processor time says the same on a busy machine.
    """
    volume = read(made(MadeStudy(100), bench.studies))
    triage = Triage.load(bench.bundle)
    networks = Networks.of(load_bundle(bench.bundle))
    _, parts = judged(networks, volume)
    evidence: tuple[GroupEvidence, ...] = parts["evidence"]  # type: ignore[assignment]
    shares = []
    for _ in range(runs):
        stages = _by_stage(triage, volume)
        begin = process_time()
        for one in evidence:
            networks.explainers[DEFAULT].of_group(one)
        explaining = stages[_EXPLAIN] + process_time() - begin
        shares.append(explaining / (sum(stages.values()) - explaining))
    return Sample(tuple(shares))


def _by_stage(triage: Triage, volume: Volume) -> dict[str, float]:
    """Processor seconds; the stages are told apart by what `Triage` tells of its progress."""
    marks: list[tuple[str, float]] = []
    triage(volume, lambda stage: marks.append((stage, process_time())))
    ends = [time for _, time in marks[1:]] + [process_time()]
    return {stage: end - begin for (stage, begin), end in zip(marks, ends, strict=True)}
