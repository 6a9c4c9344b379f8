"""The one door by which instances come in, whatever the way: on disk, in the table, then thanks."""

from __future__ import annotations

from collections.abc import Iterable

from groundglass.node.inbound.group_commit import GroupCommit
from groundglass.node.inbound.instances import IncomingInstance
from groundglass.node.inbound.spool import Spool, SpoolFull
from groundglass.node.logs import node_log
from groundglass.node.metrics import Metrics
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import Facts
from groundglass.node.rules import Rules

_LOG = node_log("intake")


class Intake:
    """An `InstanceSink` that keeps instances in the spool and enters them into the job table."""

    def __init__(self, spool: Spool, jobs: JobStore, rules: Rules, metrics: Metrics) -> None:
        self._spool = spool
        self._jobs = jobs
        self._enter = GroupCommit(jobs.arrivals.enter_all)
        self._rules = rules
        self._metrics = metrics
        self.keywords = rules.keywords

    def store(self, incoming: IncomingInstance, content: Iterable[bytes]) -> None:
        """Keep one instance; when this returns, it survives a power cut and its study has a job.

        Raises
        ------
        SpoolFull
            There is no room.
        """
        study = incoming.study_instance_uid
        priority = self._rules.priority(
            incoming.source_ae, incoming.study_description, incoming.by_keyword
        )
        facts = Facts(
            incoming.sop_class_uid,
            incoming.source_ae,
            incoming.study_description,
            priority,
            incoming.by_keyword,
        )
        try:
            # Retention must not delete a file between its storing and its entry.
            with self._spool.holding(study):
                stored = self._spool.store(study, incoming.sop_instance_uid, content)
                receipt = self._enter((stored, facts))
        except SpoolFull:
            self._metrics.instance("no-room")
            raise
        self._metrics.instance("new" if receipt.new else "again", stored.bytes)
        if receipt.opened:
            _LOG.info(
                "study reopened" if receipt.revision > 1 else "study begun",
                study=self._spool.pseudonyms.of(study),
                revision=receipt.revision,
                job=receipt.job_id,
                source=incoming.source_ae,
                priority=priority.name.lower(),
            )

    def holds(self, sop_class_uid: str, sop_instance_uid: str) -> bool | None:
        """Whether an instance is on disk; None when it is there under another SOP class."""
        files = self._jobs.arrivals.holds(sop_instance_uid)
        there = {uid for uid, file in files.items() if (self._spool.root / file).is_file()}
        if sop_class_uid in there:
            return True
        return None if there else False

    def ended(self, study_instance_uid: str) -> None:
        """No more instances of this study are on the way: it is ready now."""
        self._jobs.arrivals.explicit_end(study_instance_uid)
