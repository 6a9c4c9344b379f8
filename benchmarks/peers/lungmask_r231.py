"""lungmask's R231 network with random weights: it takes the same time, and nothing is downloaded.

The network alone: lungmask also crops every slice to the body, and cleans up afterwards.
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.peers import NotHere, Options, Prepared


def prepare(options: Options) -> Prepared:
    """Options: `slices` of 256×256 in one call; lungmask's own default is 20."""
    found = importlib.util.find_spec("lungmask")
    if found is None or found.origin is None:
        raise NotHere("lungmask is not installed")
    import torch  # noqa: PLC0415

    network = _unet(Path(found.origin).with_name("resunet.py"))(
        n_classes=3, padding=True, depth=5, up_mode="upsample", batch_norm=True, residual=False
    ).eval()
    slices = torch.rand(options["slices"], 1, 256, 256)

    def work() -> Any:
        with torch.inference_mode():
            return torch.max(network(slices), 1)[1].numpy()

    name = f"lungmask {version('lungmask')}, R231 network, PyTorch {torch.__version__}"
    return Prepared(name, work)


def _unet(path: Path) -> Any:
    """The class out of its own file: the package would import all it depends on."""
    spec = importlib.util.spec_from_file_location("lungmask_resunet", path)
    if spec is None or spec.loader is None:
        raise NotHere(f"{path.name} of lungmask is not where it was")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.UNet
