"""Gives a bundle that was exported without them the files that ncnn reads.

python -m groundglass.train.export.add_ncnn_files BUNDLE
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from groundglass.infer import load_bundle
from groundglass.infer.bundle import MANIFEST
from groundglass.train.export.ncnn_files import write_ncnn_files
from groundglass.train.export.onnx_files import ncnn_hashes, write_json
from groundglass.train.networks import SliceEncoder


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files and their hashes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("bundle", type=Path, help="the bundle's folder")
    folder: Path = parser.parse_args(arguments).bundle
    bundle = load_bundle(folder)
    sizes = bundle.training["settings"]["network"]
    net = SliceEncoder(
        tuple(sizes["encoder_widths"]),
        len(bundle.labels),
        fold=sizes["encoder_fold"],
        pools=tuple(sizes["encoder_pools"]),
        convolutions=sizes["encoder_convolutions"],
    )
    write_ncnn_files(net, folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    write_json(manifest | {"ncnn_sha256": ncnn_hashes(folder)}, folder / MANIFEST)


if __name__ == "__main__":
    main()
