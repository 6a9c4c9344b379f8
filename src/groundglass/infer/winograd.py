"""Networks whose 3×3 convolutions ncnn computes by Winograd's minimal filtering.

Six by six results of a 3×3 kernel take 64 products where a direct convolution takes 324 (Lavin and
Gray, *Fast Algorithms for Convolutional Neural Networks*, 2016). The transforms around it pay off
where layers have many channels and their maps stay in a cache, as the slice encoder's do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ncnn
import numpy as np
from numpy.typing import NDArray

from groundglass.infer.bundle_paths import ncnn_files
from groundglass.prepare.threads import for_each

Array = NDArray[Any]

#: Blob that enters: an image's grey values, 0 to 255.
_INPUT = "image"


class WinogradNetwork:
    """A stack of convolutions, computed in f32, an image to a core at a time.

    Parameters
    ----------
    path : Path
        The network's ONNX file, beside which ncnn's files lie.
    outputs : mapping of str to tuple of int
        Names of the outputs wanted, in this order, with their shapes for one image; what only
        others need is not computed.
    """

    def __init__(self, path: Path, outputs: Mapping[str, tuple[int, ...]]) -> None:
        self._outputs = outputs
        self._net = ncnn.Net()
        # Kept, so that each layer of each image need not ask the system for memory.
        self._pools = ncnn.PoolAllocator(), ncnn.PoolAllocator()
        options = self._net.opt
        options.blob_allocator, options.workspace_allocator = self._pools
        # Images go to cores of their own. Cut up between cores, each layer would end in a wait for
        # the slowest of them, and after the last one OpenMP's threads would spin for another.
        options.num_threads = 1
        # Elsewhere than on x86-64 ncnn would take the shorter formats that a processor has.
        for short in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic",
                      "use_bf16_packed", "use_bf16_storage"):  # fmt: skip
            setattr(options, short, False)
        parameters, weights = map(str, ncnn_files(path))
        if self._net.load_param(parameters) or self._net.load_model(weights):
            raise RuntimeError(f"ncnn does not read the files beside {path.name}")

    def __call__(self, inputs: Array) -> tuple[Array, ...]:
        """Run on any number of images, uint8, (images, 1, rows, columns); outputs are copies."""
        found = tuple(
            np.empty((len(inputs), *shape), dtype=np.float32) for shape in self._outputs.values()
        )

        def run(index: int) -> None:
            for output, kept in zip(self._one(inputs[index, 0]), found, strict=True):
                kept[index] = output

        for_each(run, range(len(inputs)))
        return found

    def _one(self, image: Array) -> list[Array]:
        """One image's outputs, in ncnn's memory."""
        rows, columns = image.shape
        # ncnn reads the pixels one after the other, whatever the array's strides say.
        pixels = np.ascontiguousarray(image)
        grey = ncnn.Mat.from_pixels(pixels, ncnn.Mat.PixelType.PIXEL_GRAY, columns, rows)
        extractor = self._net.create_extractor()
        extractor.input(_INPUT, grey)
        outputs = []
        for name in self._outputs:
            failed, blob = extractor.extract(name)
            if failed:
                raise RuntimeError(f"ncnn could not compute {name}")
            outputs.append(np.asarray(blob))
        return outputs
