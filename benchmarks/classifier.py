"""One group of 50 images through the classifier, beside what others run it with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.peers import NotHere, Options
from benchmarks.peers.running import peer
from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Run, Target, in_turn, repeated, seconds
from benchmarks.study_files import MadeStudy, made, read
from groundglass.infer import Classifier, CpuEngine, load_bundle
from groundglass.infer.bundle import ENCODER, HEAD
from groundglass.pipeline import Triage
from groundglass.prepare import gather, prepare

_WHAT = "classifier, one group of 50×256²"
#: Logits further apart than this are those of another network.
_SAME = 0.05
#: Published for the classifier on one group: 6 cores of an i7-9750H, an RTX 2060 (seconds).
_PAPER_CPU_S, _PAPER_GPU_S = 0.409, 0.106


@dataclass(frozen=True, slots=True)
class Beside:
    """A peer to run.

    Parameters
    ----------
    what : str
        What the row says.
    module : str
        Of `benchmarks.peers`.
    options : dict
        For it.
    target : Target or None
        For the ratio.
    pairs : int or None
        Fewer than usual for one that takes long.
    note : str
        What must be known.
    """

    what: str
    module: str
    options: Options
    target: Target | None = None
    pairs: int | None = None
    note: str = ""


def section(bench: Bench) -> Section:
    """The rows of the classifier."""
    found = Section()
    with _group(bench) as (ours, logits, files):
        for one in _peers(files):
            bench.tell(one.what)
            found.rows.append(_row(bench, one, (ours, logits)))
        alone = repeated(ours, bench.pairs).times(1000)
    note = f"published: {_PAPER_CPU_S * 1000:.0f} ms on six cores of an i7-9750H, another machine"
    found.rows.insert(0, Row(_WHAT, alone, note=note))
    return found


def _peers(files: Options) -> list[Beside]:
    """Whom we run beside; MONAI's networks take seconds each."""
    twenty = Target(20, at_least=True, of="ratio")
    more = Target(1.5, at_least=True, of="ratio")
    compiled = {**files, "compiled": True}
    images = {"images": files["images"]}
    return [
        Beside(f"{_WHAT}: network as published", "torch_published", files, twenty),
        Beside(f"{_WHAT}: our network", "torch_bundle", files, twenty),
        Beside(f"{_WHAT}: network as published, compiled", "torch_published", compiled, more),
        Beside(f"{_WHAT}: our network, compiled", "torch_bundle", compiled, more),
        Beside(f"{_WHAT}: our network, ONNX Runtime", "onnxruntime_bundle", files),
        *(
            Beside(f"{_WHAT}: 3-D {name}", "monai_volume", {**images, "network": name}, pairs=1)
            for name in ("densenet121", "resnet18")
        ),
        Beside(
            "a GPU, one group, network as published",
            "torch_gpu",
            images,
            note=f"published: {_PAPER_GPU_S * 1000:.0f} ms on an RTX 2060",
        ),
    ]


def _row(bench: Bench, one: Beside, ours: tuple[Run, list[float]]) -> Row:
    run, logits = ours
    try:
        with peer(bench.peers_python, one.module, one.options) as theirs:
            pairs = in_turn(run, theirs, one.pairs or bench.pairs)
            note = one.note
            if one.module.endswith("_bundle"):
                note = same_network(logits, theirs.answer)
            return Row.of_pairs(one.what, theirs.name, pairs, target=one.target, note=note)
    except NotHere as reason:
        more = f"{reason}; {one.note}" if one.note else str(reason)
        return Row.missing(one.what, more, peer=one.module, target=one.target)


def same_network(ours: list[float], theirs: list[float]) -> str:
    """Whether both computed the same, in words."""
    apart = float(np.max(np.abs(np.subtract(ours, theirs))))
    verdict = "the same network" if apart <= _SAME else "**not the same network**"
    return f"{verdict}: logits at most {apart:.2g} apart"


@contextmanager
def _group(bench: Bench) -> Iterator[tuple[Run, list[float], dict[str, Any]]]:
    """One prepared group of a made study: our run, our logits, what peers are given."""
    bundle = load_bundle(bench.bundle)
    volume, _ = read(made(MadeStudy(100), bench.studies)).to_axial()
    triage = Triage.load(bench.bundle)
    prepared = prepare(volume, triage.find_lungs(volume).square, bundle.recipe)
    group = prepared.groups[0]
    images = gather(group, prepared.group_images(group))
    classifier = Classifier(bundle, CpuEngine())
    logits = classifier.logits(classifier(group, images).features)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, images)
        files = {
            "images": str(path),
            "encoder": str(bundle.path(ENCODER)),
            "head": str(bundle.path(HEAD)),
        }
        yield seconds(lambda: classifier(group, images)), logits.tolist(), files
