"""Whatever happens in whatever order, the job table keeps its promises."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from groundglass.errors import SettingsError
from groundglass.node.queue.jobs import JobStore
from groundglass.node.queue.states import ENDED, TRANSITIONS, Job, JobSettings, LeaseLost, State
from node.job_twins import FROM_CT, SetClock, on_disk

LEASE_S = 10.0
STUDIES = st.sampled_from(["1.1", "1.2"])


class TheJobTable(RuleBasedStateMachine):
    """Senders, workers, their deaths, people and time, in any order.

    Beside the table a model: which instances were acknowledged, and who was told what.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = SetClock()
        self.rows: set[int] = set()
        self.jobs = JobStore("sqlite://", JobSettings(quiet_s=5, analysis_tries=3), self.clock)
        self.acknowledged: set[tuple[str, str]] = set()
        self.held: list[Job] = []

    def teardown(self) -> None:
        self.jobs.close()

    @rule(study=STUDIES, number=st.integers(0, 3))
    def send(self, study: str, number: int) -> None:
        stored = on_disk(study, f"{study}.{number}")
        known = (study, stored.file) in self.acknowledged
        receipt = self.jobs.arrivals.enter(stored, FROM_CT)
        assert receipt.new is not known
        self.acknowledged.add((study, stored.file))

    @rule(study=STUDIES)
    def send_whole(self, study: str) -> None:
        self.send(study=study, number=0)
        self.say_the_end(study=study)

    @precondition(lambda self: self.held)
    @rule()
    def overtake(self) -> None:
        self.wait(seconds=LEASE_S)
        self.lease(worker="c")

    @rule(study=STUDIES)
    def say_the_end(self, study: str) -> None:
        self.jobs.arrivals.explicit_end(study)

    @rule(seconds=st.sampled_from([1.0, 6.0, 11.0, 2000.0]))
    def wait(self, seconds: float) -> None:
        self.clock.go(seconds)
        self.jobs.arrivals.complete_quiet()

    @rule(worker=st.sampled_from(["a", "b"]))
    def lease(self, worker: str) -> None:
        job = self.jobs.leases.take(worker, LEASE_S)
        if job is not None:
            assert job.state in (State.ANALYSING, State.DELIVERING)
            assert all(job.attempt > h.attempt for h in self.held if h.id == job.id)
            self.held.append(job)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), how=st.sampled_from(["go on", "fail", "give back", "beat"]))
    def work(self, data: st.DataObject, how: str) -> None:
        """By whoever ever held a job: only the last holder's word counts."""
        job = data.draw(st.sampled_from(self.held))
        now = self.jobs.records.get(job.id) if self.there(job) else None
        rightful = now is not None and (now.attempt, now.state) == (job.attempt, job.state)
        try:
            changed = self.act(job, how)
        except LeaseLost:
            assert not rightful
            return
        assert rightful or how == "beat"
        self.held.remove(job)
        if how == "beat" or changed.state in (State.ANALYSING, State.DELIVERING):
            self.held.append(job if how == "beat" else changed)

    def act(self, job: Job, how: str) -> Job:
        if how == "beat":
            self.jobs.leases.renew(job, LEASE_S)
            return job
        if how == "fail":
            return self.jobs.leases.fail(job, "it broke")
        if how == "give back":
            return self.jobs.leases.release(job, "stopping")
        if job.state is State.ANALYSING:
            return self.jobs.leases.report(job, "report", "verdict", "")
        return self.jobs.leases.finish(job, State.DELIVERED, "")

    def there(self, job: Job) -> bool:
        return any(found.id == job.id for found in self.jobs.records.find())

    @precondition(lambda self: self.ended())
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.ended()))
        try:
            assert self.jobs.operator.retry(job.id, "user alice").state in (
                State.READY,
                State.REPORTED,
            )
        except SettingsError:
            assert job.files_purged or self.later(job)
        else:
            assert not job.files_purged
            assert not self.later(job)

    @rule(study=STUDIES)
    def purge(self, study: str) -> None:
        of_study = [job for job in self.jobs.records.find() if job.study_instance_uid == study]
        try:
            purged = self.jobs.operator.purge(study, "user alice")
        except SettingsError:
            assert not of_study or any(job.state not in ENDED for job in of_study)
            return
        assert all(job.state in ENDED for job in of_study)
        gone = {pair for pair in self.acknowledged if pair[0] == study}
        assert {(study, file) for file in purged.files} == gone
        self.acknowledged -= gone

    def later(self, job: Job) -> bool:
        """Whether a later revision of its study is there."""
        of_study = [
            j for j in self.jobs.records.find() if j.study_instance_uid == job.study_instance_uid
        ]
        return any(other.revision > job.revision for other in of_study)

    def ended(self) -> list[Job]:
        return [job for job in self.jobs.records.find() if job.state in ENDED]

    @invariant()
    def nothing_acknowledged_is_lost(self) -> None:
        """Each instance is in a revision, and the last revision of a study has all of them."""
        last = {
            job.study_instance_uid: job for job in sorted(self.jobs.records.find(), key=_revision)
        }
        found = {(uid, f) for uid, job in last.items() for f in self.jobs.records.files_of(job)}
        assert found == self.acknowledged

    @invariant()
    def no_last_revision_is_superseded(self) -> None:
        for job in self.jobs.records.find([State.SUPERSEDED]):
            assert self.later(job)

    @invariant()
    def the_audit_trail_is_a_way_through_the_states(self) -> None:
        for job in self.jobs.records.find():
            trail = self.jobs.records.audit_of(job)
            assert (trail[0].before, trail[0].after) == ("", "received")
            assert trail[-1].after == job.state
            for one, other in pairwise(trail):
                assert one.after == other.before
                step = (State(other.before), State(other.after))
                assert step[0] is step[1] or step[1] in TRANSITIONS[step[0]]

    @invariant()
    def the_audit_trail_is_intact(self) -> None:
        assert self.jobs.records.verify().wrong == []

    @invariant()
    def no_row_ever_goes(self) -> None:
        now = {job.id for job in self.jobs.records.find()}
        assert now >= self.rows
        self.rows = now

    @invariant()
    def one_revision_at_most_still_takes_instances(self) -> None:
        waiting = [
            job.study_instance_uid
            for job in self.jobs.records.find()
            if job.state in (State.RECEIVED, State.READY) and job.attempt == 0
        ]
        assert len(waiting) == len(set(waiting))


def _revision(job: Job) -> int:
    return job.revision


TheJobTable.TestCase.settings = settings(max_examples=30, stateful_step_count=30, derandomize=True)
TestTheJobTable = TheJobTable.TestCase
