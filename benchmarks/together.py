"""`python -m benchmarks.together CORE`: matrix products on one core; and how cores add up.

What a machine calls two cores may be two threads of one, which multiply no faster than one of them
alone. Only trying tells: a hypervisor need not say.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks.peers.running import ROOT
from benchmarks.samples import Sample

_SIDE = 1024
#: How long each process multiplies, in s.
_FOR_S = 1.0


def cores_together(times: int) -> Sample:
    """How many times as much all cores multiply together as one does alone."""
    usable = sorted(os.sched_getaffinity(0))
    return Sample(tuple(sum(_speeds(usable)) / _speeds(usable[:1])[0] for _ in range(times)))


def _speeds(cores: list[int]) -> list[float]:
    """Products a second of a process on each of these cores, all at once."""
    alone = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.together", str(core)],
            cwd=ROOT,
            env={**os.environ, **alone, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for core in cores
    ]
    for process in processes:  # every one is ready before the first begins
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return [float(process.communicate()[0]) for process in processes]


def main(core: int) -> None:
    """Say when ready, wait for a line, multiply for a while, say how many products a second."""
    os.sched_setaffinity(0, {core})
    import numpy as np  # noqa: PLC0415  (threads are counted on import)

    left, right = (np.random.default_rng(k).random((_SIDE, _SIDE), np.float32) for k in (0, 1))
    np.matmul(left, right)
    print("ready", flush=True)
    sys.stdin.readline()
    begin, products = time.perf_counter(), 0
    while (passed := time.perf_counter() - begin) < _FOR_S:
        np.matmul(left, right)
        products += 1
    print(products / passed, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
