"""What is asked of the process that analyses, and what the kernel says of it."""

from __future__ import annotations

import json

import numpy as np
from benchmarks.analysing import order_of, peak_mb


def test_peak_memory_is_read_as_linux_tells_it() -> None:
    assert peak_mb("Name:\tpython\nVmHWM:\t  1000 kB\nVmRSS:\t 900 kB\n") == 1.024
    assert np.isnan(peak_mb("Name:\tpython\n"))


def test_an_order_survives_the_way_to_its_process() -> None:
    text = json.dumps({"bundle": "b", "studies": ["a", "b"], "report": False, "cores": 1})
    assert order_of(text).studies == ("a", "b")
