"""Receivers of benchmarks: a port nobody listens on, and waiting until somebody does."""

from __future__ import annotations

import socket
import time

_PATIENCE_S = 60


def free_port() -> int:
    """A port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_listener(port: int) -> None:
    """Wait until somebody listens, for a minute at most: what connects next says if nobody does."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
