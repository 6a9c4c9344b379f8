"""Which share of the machine's matrix peak the networks reach, and where the rest goes."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.operations import operations
from benchmarks.rows import Bench, Row, Section, table
from benchmarks.samples import Run, Sample, Target, in_turn, repeated, seconds
from benchmarks.study_files import MadeStudy, made, read
from benchmarks.together import cores_together
from groundglass.analyse.triage import find_lungs
from groundglass.infer import (
    Bundle,
    Classifier,
    CpuEngine,
    Precision,
    Segmenter,
    load_bundle,
)
from groundglass.infer.bundle import ENCODER, FEATURES, HEAD, SEGMENTER
from groundglass.prepare import gather, prepare, segmenter_images

#: Side of the square matrices; three of them in f32 are 50 MB, far more than any cache.
_SIDE = 2048
_COPIED_BYTES = 256 * 2**20
_TARGET = Target(65, at_least=True)
_WINOGRAD = (
    "counted as direct convolutions make them; run by ncnn, whose Winograd convolutions make fewer"
)
_FLOAT_BYTES = 4
_BOUNDS = (
    "Two lower bounds of each network's time for 50 images: its operations at the matrix peak, and "
    "what its matrix operators read and write, in f32, at the memory's bandwidth. The second binds "
    "where maps do not stay in a cache from one layer to the next."
)
_BOUNDS_HEADER = (
    "network", "G operations", "MB moved", "operations a byte", "ms at the peak",
    "ms at the bandwidth", "ms measured",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """The product's own calls, and how many operations each makes."""

    runs: dict[str, Run]
    counts: dict[str, int]
    moved_bytes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a network takes at least, by operations and bytes moved, and how long it took."""

    name: str
    operations: int
    moved_bytes: int
    peak: float
    bandwidth: float
    seconds: float

    def cells(self) -> tuple[str, ...]:
        """A line of the table."""
        return (
            self.name,
            f"{self.operations / 1e9:.1f}",
            f"{self.moved_bytes / 1e6:.0f}",
            f"{self.operations / self.moved_bytes:.0f}",
            f"{1000 * self.operations / self.peak:.0f}",
            f"{1000 * self.moved_bytes / self.bandwidth:.0f}",
            f"{1000 * self.seconds:.0f}",
        )


def section(bench: Bench) -> Section:
    """Peak, shares, and the time of each kind of operator."""
    found = Section()
    bundle = load_bundle(bench.bundle)
    bandwidth = _bandwidth(bench.pairs)
    formats = [Precision.F32]
    if CpuEngine(Precision.BF16).precision is Precision.BF16:
        formats.append(Precision.BF16)
    bounds = []
    for precision in formats:
        bench.tell(f"matrix peak and networks in {precision.value}")
        networks = _networks(bench, bundle, precision)
        bounds += _shares(bench, networks, (precision, bandwidth.median), found)
    if Precision.BF16 not in formats:
        reason = "this processor does not multiply bf16 in hardware"
        found.rows.append(Row.missing("share of the matrix peak in bf16", reason, unit="%"))
    note = f"{_COPIED_BYTES // 2**20} MB copied by one core, read and written"
    together = cores_together(min(bench.pairs, 3))
    what = "matrix products of all cores together beside one alone"
    words = "near 1: what the machine calls cores are threads of one"
    found.rows.append(Row(what, together, unit="×", note=words))
    rate = bandwidth.times(1e-9)
    found.rows.append(Row("memory bandwidth", rate, unit="GB/s", note=note))
    found.text += [_BOUNDS, table(_BOUNDS_HEADER, [one.cells() for one in bounds])]
    bench.tell("time by operator")
    for name, graph in _graphs(bundle).items():
        words = f"**{name}, batch {graph[1]}, by operator, run by OpenVINO in {formats[-1].value}**"
        found.text += [words, _profile(graph, formats[-1])]
    return found


def _bandwidth(runs: int) -> Sample:
    """Bytes a second, read and written."""
    source = np.ones(_COPIED_BYTES, np.uint8)
    target = np.empty_like(source)
    copying = repeated(seconds(lambda: np.copyto(target, source)), runs)
    return Sample(tuple(2 * _COPIED_BYTES / one for one in copying.values))


def _shares(
    bench: Bench, networks: Networks, by: tuple[Precision, float], found: Section
) -> list[Bounds]:
    precision, bandwidth = by
    product, how = _fastest_product(precision)
    count = 2 * _SIDE**3
    speeds, bounds = [], []
    for name, run in networks.runs.items():
        pairs = in_turn(run, product, bench.pairs)
        share = share_of_peak(networks.counts[name], pairs.ours, count, pairs.peer)
        speeds += [count / one for one in pairs.peer.values]
        took, top = pairs.ours.median, count / pairs.peer.median
        words = f"{name} in {precision.value}"
        moved = networks.moved_bytes[name]
        bounds.append(Bounds(words, networks.counts[name], moved, top, bandwidth, took))
        what = f"{words}: share of the measured matrix peak"
        note = _WINOGRAD if (name, precision) == ("CNN", Precision.F32) else ""
        found.rows.append(Row(what, share, unit="%", target=_TARGET, note=note))
    what = f"matrix peak, {precision.value}"
    note = f"product of {_SIDE}×{_SIDE} matrices by {how}, all cores"
    peak = Sample(tuple(speeds)).times(1e-9)
    found.rows.append(Row(what, peak, unit="G operations/s", note=note))
    return bounds


def share_of_peak(count: int, ours: Sample, peak_count: int, peak: Sample) -> Sample:
    """Share of the peak in %, run by run, of seconds taken in turn."""
    both = zip(ours.values, peak.values, strict=True)
    return Sample(tuple(100 * (count / mine) / (peak_count / top) for mine, top in both))


def _networks(bench: Bench, bundle: Bundle, precision: Precision) -> Networks:
    """Segmenter and classifier as the product calls them, on a made study."""
    engine = CpuEngine(precision)
    volume, _ = read(made(MadeStudy(100), bench.studies)).to_axial()
    segmenter = Segmenter(bundle.path(SEGMENTER), engine)
    classifier = Classifier(bundle, engine)
    lungs = find_lungs(volume, segmenter, bundle.recipe)
    prepared = prepare(volume, lungs.square, bundle.recipe)
    group = prepared.groups[0]
    images = gather(group, prepared.group_images(group))
    seen = segmenter_images(volume, bundle.recipe)[:50]
    encoder = operations(bundle.path(ENCODER), len(images), _encoder_outputs(bundle))
    counted = {
        "CNN": [*encoder, *operations(bundle.path(HEAD), 1)],
        "U-Net": operations(bundle.path(SEGMENTER), len(seen)),
    }
    runs = {
        "CNN": seconds(lambda: classifier(group, images)),
        "U-Net": seconds(lambda: segmenter(seen)),
    }
    return Networks(
        runs,
        {name: sum(one.count for one in found) for name, found in counted.items()},
        {name: _FLOAT_BYTES * sum(one.moved for one in found) for name, found in counted.items()},
    )


def _encoder_outputs(bundle: Bundle) -> tuple[str, ...]:
    """Those of the verdict: features, and the last layer for the heat maps."""
    return FEATURES, CpuEngine(Precision.F32).outputs(bundle.path(ENCODER))[-1]


def _graphs(bundle: Bundle) -> dict[str, tuple[str, int, tuple[str, ...]]]:
    return {
        "CNN": (str(bundle.path(ENCODER)), 10, _encoder_outputs(bundle)),
        "U-Net": (str(bundle.path(SEGMENTER)), 4, ()),
    }


def _fastest_product(precision: Precision) -> tuple[Run, str]:
    """The faster of what multiplies matrices here."""
    products = {"OpenVINO": _openvino_product(precision)}
    if precision is Precision.F32:
        products["numpy"] = _numpy_product()
    times = {name: repeated(run, 3).low for name, run in products.items()}
    best = min(times, key=lambda name: times[name])
    return products[best], best


def _numpy_product() -> Run:
    rng = np.random.default_rng(0)
    left, right = (rng.random((_SIDE, _SIDE), dtype=np.float32) for _ in range(2))
    out = np.empty_like(left)
    return seconds(lambda: np.matmul(left, right, out=out))


def _openvino_product(precision: Precision) -> Run:
    ov = _openvino()
    left = ov.opset13.parameter([_SIDE, _SIDE], np.float32)
    weights = np.random.default_rng(0).random((_SIDE, _SIDE), dtype=np.float32)
    product = ov.opset13.matmul(left, ov.opset13.constant(weights), False, False)  # noqa: FBT003
    request = _compiled(ov.Model([product], [left], "product"), precision)
    given = [np.random.default_rng(1).random((_SIDE, _SIDE), dtype=np.float32)]
    return seconds(lambda: request.infer(given, share_inputs=True))


def _openvino() -> Any:
    CpuEngine(Precision.F32)  # keeps its usage reports from going out
    return sys.modules["openvino"]


def _compiled(model: Any, precision: Precision, *, profiled: bool = False) -> Any:
    core = _openvino().Core()
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision.value,
            "PERF_COUNT": profiled,
        },
    )
    return compiled.create_infer_request()


def _profile(graph: tuple[str, int, tuple[str, ...]], precision: Precision) -> str:
    """Where a network's time goes, by kind of operator; the engine's own clock."""
    file, batch, outputs = graph
    ov = _openvino()
    model = ov.Core().read_model(file)
    if outputs:
        results = {n: r for r in model.outputs for n in r.get_names()}
        wanted = [ov.opset13.result(results[n].get_node().input_value(0)) for n in outputs]
        model = ov.Model(wanted, model.get_parameters(), "part")
    shape = model.input(0).get_partial_shape()
    shape[0] = batch
    model.reshape(shape)
    request = _compiled(model, precision, profiled=True)
    size = [int(n) for n in request.get_input_tensor().shape]
    given = [np.random.default_rng(0).integers(0, 255, size).astype(np.uint8)]
    for _ in range(5):
        request.infer(given)
    spent: defaultdict[str, float] = defaultdict(float)
    for one in request.get_profiling_info():
        spent[f"{one.node_type} ({one.exec_type})"] += one.real_time.total_seconds() * 1000
    return by_operator(spent)


def by_operator(spent: dict[str, float], least: float = 0.01) -> str:
    """A table of milliseconds by operator, the longest first; those under `least` are one line."""
    whole = sum(spent.values()) or 1.0
    large: Callable[[str], bool] = lambda name: spent[name] >= least * whole  # noqa: E731
    names = sorted(filter(large, spent), key=lambda name: -spent[name])
    lines = [[name, f"{spent[name]:.2f}", f"{100 * spent[name] / whole:.0f}"] for name in names]
    rest = whole - sum(spent[name] for name in names)
    lines.append(["all others", f"{rest:.2f}", f"{100 * rest / whole:.0f}"])
    return table(["operator", "ms", "%"], lines)
