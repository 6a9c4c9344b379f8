"""The time, as something that a test can set."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What time it is."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""


class SystemClock:
    """The clock of the machine. Machines that share a database keep time by NTP."""

    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()
