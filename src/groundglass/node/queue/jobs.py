"""The job table: one row per study and revision, from its first instance to its delivery.

Every change of state is entered into the audit table in the same transaction.
"""

from __future__ import annotations

from groundglass.node.clock import Clock, SystemClock
from groundglass.node.queue.arrivals import Arrivals
from groundglass.node.queue.leases import Leases
from groundglass.node.queue.operator import Operator
from groundglass.node.queue.records import Records
from groundglass.node.queue.states import JobSettings
from groundglass.node.queue.table import JobTable


class JobStore:
    """The job table, by who asks it.

    Attributes
    ----------
    arrivals : Arrivals
        For the ways in.
    leases : Leases
        For workers.
    operator : Operator
        For people and the retention.
    records : Records
        For whoever wants to know.
    """

    def __init__(
        self, url: str, settings: JobSettings | None = None, clock: Clock | None = None
    ) -> None:
        self.settings = settings or JobSettings()
        self.clock = clock or SystemClock()
        self._table = JobTable(url, self.settings, self.clock)
        self.arrivals = Arrivals(self._table)
        self.leases = Leases(self._table)
        self.operator = Operator(self._table)
        self.records = Records(self._table)

    def close(self) -> None:
        """Give back the connections."""
        self._table.close()
