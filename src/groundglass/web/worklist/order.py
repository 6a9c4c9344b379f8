"""Which study needs eyes first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Need(IntEnum):
    """Why a study stands where it stands, the most urgent first."""

    WAITED_TOO_LONG = 0
    """Unread for longer than the limit, whatever the verdict."""
    FINDINGS = 1
    """The verdict calls findings."""
    HIDDEN = 2
    """There is a verdict, which shows only after a reading."""
    NO_ANSWER = 3
    """It ended without a verdict: nothing is known of it."""
    COMING = 4
    """Its analysis has not ended."""
    NOTHING_SEEN = 5
    """No findings seen, which clears nothing."""
    READ = 6
    """Somebody has read it as it is now."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides on a study's place."""

    read: bool
    """Whether it was read, as it is now."""
    ended: bool
    """Whether its analysis has ended."""
    findings: bool | None
    """What the verdict says; None without one, or where it is hidden."""
    hidden: bool
    """Whether there is a verdict that must not show yet."""
    priority: int
    """The job's."""
    waiting_since: float
    """When its last image came; s since 1970-01-01 UTC."""

    def need(self, now: float, limit_s: float) -> Need:
        """Why it stands where it stands."""
        if self.read:
            return Need.READ
        if now - self.waiting_since >= limit_s:
            return Need.WAITED_TOO_LONG
        if not self.ended:
            return Need.COMING
        if self.hidden:
            return Need.HIDDEN
        if self.findings is None:
            return Need.NO_ANSWER
        return Need.FINDINGS if self.findings else Need.NOTHING_SEEN

    def place(self, now: float, limit_s: float) -> tuple[int, int, float]:
        """Sorts studies: by need, then priority, then how long they wait.

        Beyond the limit the longest wait alone decides: a priority that went before it there
        would have no upper limit. What was read last stands first among the read.
        """
        need = self.need(now, limit_s)
        if need is Need.WAITED_TOO_LONG:
            return need, 0, self.waiting_since
        if need is Need.READ:
            return need, 0, -self.waiting_since
        return need, -self.priority, self.waiting_since
