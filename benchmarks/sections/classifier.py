"""One group of 50 images through the classifier, beside what others run it with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import NotHere, Options
from benchmarks.peers.running import peer
from benchmarks.published import published_bundle
from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Run, Target, in_turn, repeated, seconds
from benchmarks.study_files import MadeStudy, made, read
from groundglass.analyse.triage import Triage
from groundglass.core.result import SliceGroup
from groundglass.infer import Bundle, Classifier, CpuEngine, Precision, load_bundle
from groundglass.infer.bundle import ENCODER, HEAD
from groundglass.prepare import gather, prepare

_WHAT = "classifier, one group of 50×256²"
#: Logits further apart than this are those of another network.
_SAME = 0.05
#: Published for the classifier on one group: 6 cores of an i7-9750H, an RTX 2060 (seconds).
_PAPER_CPU_S, _PAPER_GPU_S = 0.409, 0.106
_SHIPPED, _PUBLISHED = "the bundle's", "as published"


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
    ours : str
        Which network we run: `_SHIPPED` or `_PUBLISHED`.
    """

    what: str
    module: str
    options: Options
    target: Target | None = None
    pairs: int | None = None
    note: str = ""
    ours: str = _SHIPPED


@dataclass(frozen=True, slots=True)
class Ours:
    """One group through our engine: what times it, and its logits in f32, as on any processor."""

    run: Run
    logits: list[float]

    @classmethod
    def of(cls, bundle: Bundle, group: SliceGroup, images: NDArray[np.uint8]) -> Ours:
        """A bundle's encoder and head."""
        classifier = Classifier(bundle, CpuEngine(Precision.AUTO))
        exact = Classifier(bundle, CpuEngine(Precision.F32))
        logits = exact.logits(exact(group, images).features)
        return cls(seconds(lambda: classifier(group, images)), logits.tolist())


def section(bench: Bench) -> Section:
    """The rows of the classifier."""
    found = Section()
    with _group(bench) as (ours, files):
        for one in _peers(files):
            bench.tell(one.what)
            found.rows.append(_row(bench, one, ours.get(one.ours)))
        alone = repeated(ours[_SHIPPED].run, bench.pairs).times(1000)
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
        Beside(f"{_WHAT}: beside the network as published", "torch_published", files, twenty),
        Beside(
            f"{_WHAT}: the network as published in both",
            "torch_published",
            files,
            twenty,
            ours=_PUBLISHED,
        ),
        Beside(f"{_WHAT}: our network", "torch_bundle", files, twenty),
        Beside(
            f"{_WHAT}: beside the network as published, compiled", "torch_published", compiled, more
        ),
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


def _row(bench: Bench, one: Beside, ours: Ours | None) -> Row:
    if ours is None:
        reason = "PyTorch, which writes the network, is not installed beside groundglass"
        return Row.missing(one.what, reason, peer=one.module, target=one.target)
    try:
        with peer(bench.peers_python, one.module, one.options) as theirs:
            pairs = in_turn(ours.run, theirs, one.pairs or bench.pairs)
            note = one.note
            if one.module.endswith("_bundle") or one.ours == _PUBLISHED:
                note = same_network(ours.logits, theirs.answer)
            return Row.of_pairs(one.what, theirs.name, pairs, target=one.target, note=note)
    except NotHere as absent:
        more = f"{absent}; {one.note}" if one.note else str(absent)
        return Row.missing(one.what, more, peer=one.module, target=one.target)


def same_network(ours: list[float], theirs: list[float]) -> str:
    """Whether both computed the same, in words."""
    apart = float(np.max(np.abs(np.subtract(ours, theirs))))
    verdict = "the same network" if apart <= _SAME else "**not the same network**"
    return f"{verdict}: logits at most {apart:.2g} apart"


@contextmanager
def _group(bench: Bench) -> Iterator[tuple[dict[str, Ours], dict[str, Any]]]:
    """One prepared group of a made study: our runs by network, what peers are given."""
    # The peers read a group by a biLSTM, as the bundle with the paper's rule does.
    bundle = load_bundle("paper")
    volume, _ = read(made(MadeStudy(100), bench.studies)).to_axial()
    triage = Triage.load("paper")
    prepared = prepare(volume, triage.find_lungs(volume).square, bundle.recipe)
    group = prepared.groups[0]
    images = gather(group, prepared.group_images(group))
    ours = {_SHIPPED: Ours.of(bundle, group, images)}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, images)
        files = {
            "images": str(path),
            "encoder": str(bundle.path(ENCODER)),
            "head": str(bundle.path(HEAD)),
            "precision": CpuEngine(Precision.AUTO).precision.value,
        }
        with suppress(ImportError):
            published = load_bundle(published_bundle(bundle, Path(folder) / "published"))
            ours[_PUBLISHED] = Ours.of(published, group, images)
        yield ours, files
