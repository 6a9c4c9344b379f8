"""Reading a series and equalising its images, beside the libraries most would take."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from benchmarks.peers import NotHere, Options
from benchmarks.peers.running import peer
from benchmarks.rows import Bench, Row, Section
from benchmarks.samples import Run, in_turn, repeated, seconds
from benchmarks.study_files import MadeStudy, made, read
from groundglass.infer import load_bundle
from groundglass.prepare.intensity import window_to_uint8

_SLICES, _EQUALISED = 100, 20


def section(bench: Bench) -> Section:
    """The rows of reading and equalising."""
    found = Section()
    for kind in (MadeStudy(_SLICES), MadeStudy(_SLICES, compressed=True)):
        folder = made(kind, bench.studies)
        what = f"reading a study into a volume: {kind.words}"
        ours = seconds(lambda folder=folder: read(folder))  # type: ignore[misc]
        found.rows.append(_beside(bench, what, (ours, "simpleitk_reading", _of(folder))))
    with TemporaryDirectory() as scratch:
        found.rows.append(_clahe(bench, Path(scratch) / "images.npy"))
    return found


def _of(folder: Path) -> Options:
    return {"folder": str(folder)}


def _clahe(bench: Bench, path: Path) -> Row:
    recipe = load_bundle(bench.bundle).recipe
    volume = read(made(MadeStudy(50), bench.studies))
    middle = volume.hu[15 : 15 + _EQUALISED]
    images = window_to_uint8(middle, recipe.window_center_hu, recipe.window_width_hu)
    np.save(path, images)
    tiles = recipe.clahe_tiles

    def equalise() -> None:
        clahe = cv2.createCLAHE(recipe.clahe_clip_limit, (tiles, tiles))
        for image in images:
            clahe.apply(image)

    what = f"CLAHE of {_EQUALISED} images of 512²"
    options: Options = {"images": str(path), "tiles": tiles}
    return _beside(bench, what, (seconds(equalise), "skimage_clahe", options))


def _beside(bench: Bench, what: str, how: tuple[Run, str, Options]) -> Row:
    ours, module, options = how
    bench.tell(what)
    try:
        with peer(bench.peers_python, module, options) as theirs:
            return Row.of_pairs(what, theirs.name, in_turn(ours, theirs, bench.pairs))
    except NotHere as reason:
        sample = repeated(ours, bench.pairs).times(1000)
        return Row(what, sample, peer=module, note=f"peer not measured: {reason}")
