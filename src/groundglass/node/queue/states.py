"""The states of a job, the changes there are between them, and what a row of the table says.

received → ready → analysing → reported → delivering → delivered
                                                     ↘ refused(reason)   no verdict, and why
Work may end in failed(reason), the dead letters. Work that stops midway goes back: analysing to
ready, delivering to reported. A revision of which nothing went out before the next one came is
superseded: only the next one's results are delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from pydantic import NonNegativeFloat, PositiveInt

from groundglass.errors import GroundglassError
from groundglass.node.rule_tags import TagValues
from groundglass.settings.toml import settings


class State(StrEnum):
    """Where a job is."""

    RECEIVED = "received"
    READY = "ready"
    ANALYSING = "analysing"
    REPORTED = "reported"
    DELIVERING = "delivering"
    DELIVERED = "delivered"
    REFUSED = "refused"
    SUPERSEDED = "superseded"
    FAILED = "failed"


#: The only changes of state there are. Work on a job stays in a state when it is taken over.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.RECEIVED: frozenset({State.READY}),
    State.READY: frozenset({State.RECEIVED, State.ANALYSING, State.SUPERSEDED}),
    State.ANALYSING: frozenset({State.ANALYSING, State.READY, State.REPORTED, State.FAILED}),
    State.REPORTED: frozenset({State.DELIVERING, State.SUPERSEDED}),
    State.DELIVERING: frozenset(
        {State.DELIVERING, State.REPORTED, State.DELIVERED, State.REFUSED, State.FAILED}
    ),
    State.DELIVERED: frozenset({State.READY, State.REPORTED}),
    State.REFUSED: frozenset({State.READY, State.REPORTED}),
    State.SUPERSEDED: frozenset(),
    State.FAILED: frozenset({State.READY, State.REPORTED}),
}
#: Nothing more happens by itself.
ENDED = frozenset({State.DELIVERED, State.REFUSED, State.SUPERSEDED, State.FAILED})
#: A job waiting here is leased into the state after it.
LEASED_INTO = {State.READY: State.ANALYSING, State.REPORTED: State.DELIVERING}
#: Where work that stops midway goes back to.
ROLLBACK = {State.ANALYSING: State.READY, State.DELIVERING: State.REPORTED}


class Priority(IntEnum):
    """Which study goes first; within one priority, the one that came first."""

    ROUTINE = 0
    URGENT = 50
    EMERGENCY = 100


class DatabaseDown(GroundglassError):  # noqa: N818  (reads as what it says)
    """The database did not do what it was asked; nothing of that was entered."""


class LeaseLost(GroundglassError):  # noqa: N818  (reads as what it says)
    """Another worker has taken the job over; what this one did on it does not count."""


@settings
class JobSettings:
    """When a study is complete and how often work on it is tried."""

    quiet_s: NonNegativeFloat = 30.0
    """A study of which no archive can say that it is whole is analysed when no instance of it came
    for this long, in s, or for three times the longest pause between its images. 30: a scanner
    sends a series in one go, and reconstructions follow each other within seconds."""
    longest_wait_s: NonNegativeFloat = 600.0
    """The longest that a study waits after its last image, in s: for images that an archive lists
    and that do not come, or because its sender pauses long. 600. Then it is analysed without them,
    and refused if they belong to the series that would be judged."""
    analysis_tries: PositiveInt = 3
    """Failed or broken-off analyses after which a job becomes a dead letter. 3: a machine may go
    down twice under a study, but a study that brings machines down is stopped."""
    delivery_tries: PositiveInt = 100
    """Failed deliveries after which a job becomes a dead letter. 100: with the delays below, a PACS
    may be down for a day."""
    first_delay_s: NonNegativeFloat = 15.0
    """Wait after the first failure in s; doubles with each. 15."""
    longest_delay_s: NonNegativeFloat = 900.0
    """The wait stops growing here, in s. 900: a destination that is back is noticed within 15
    minutes."""

    def tries(self, state: State) -> int:
        """Tries a job has in a state of work."""
        return self.analysis_tries if state is State.ANALYSING else self.delivery_tries

    def delay_s(self, failures: int) -> float:
        """Wait after so many failures in s."""
        return float(min(self.first_delay_s * 2.0 ** min(failures - 1, 30), self.longest_delay_s))


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance on disk, synced."""

    study_instance_uid: str
    sop_instance_uid: str
    """`study_instance_uid`, `sop_instance_uid`: what it is."""
    file: str
    """Where it lies, relative to the spool's root, with `/`."""
    sha256: str
    """Of its bytes."""
    bytes: int
    """Its size."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """What came of a study, against what an archive lists of it."""

    listed: int
    """Images that it lists."""
    missing: Mapping[str, int]
    """How many of a series of which some came did not, by Series Instance UID."""
    other_series: int
    """Series that it lists and of which no image came; perhaps nobody means to send them."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an instance beside its UIDs and bytes."""

    sop_class_uid: str
    """What kind of object it is."""
    source_ae: str
    """The calling AE title; for other ways in, a name of the way."""
    study_description: str = ""
    """`StudyDescription`; the rules look at it."""
    priority: int = Priority.ROUTINE
    """As the rules gave it; a study has the highest of its instances."""
    by_keyword: TagValues = field(default_factory=dict)
    """What else the rules ask for, by DICOM keyword."""


@dataclass(frozen=True, slots=True)
class ArrivalReceipt:
    """What an instance meant for its study."""

    job_id: int
    revision: int
    """`job_id`, `revision`: the job it belongs to."""
    new: bool
    """False when the same bytes had come before."""
    opened: bool
    """Whether it began a revision; beyond the first, of a study whose analysis had begun."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge leaves to be deleted."""

    study_instance_uid: str
    """Whose files they are."""
    files: tuple[str, ...]
    """Instances, relative to the spool's root."""
    revisions: tuple[int, ...]
    """Revisions whose job folders may go."""


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the table, as it was when read.

    Parameters
    ----------
    id, revision, priority, instances, attempt, failures : int
        `attempt` is the fencing number; `instances` counts those that came with this revision.
    study_instance_uid, source_ae, study_description : str
        What it is about.
    state : State
        Where it is.
    reason : str
        Why it is there, when that needs saying.
    received_at, arrived_at, changed_at, not_before, lease_until : float
        First instance, last instance, last change of state, earliest next try, end of the lease; s
        since 1970-01-01 UTC.
    worker : str
        Who holds it, or held it last.
    outcome : str
        How the analysis ended (`core.result.Outcome`); empty before.
    report : str
        Folder of the report, relative to the spool's root; empty before.
    files_purged : bool
        Retention has deleted its files; the row remains as the record.
    expected_instances : int or None
        How many its source says there are; None where nobody was asked.
    completeness : str
        "verified", "not verified" or "incomplete" (`core.analysis.Completeness`); empty before
        anybody was asked.
    first_reported_at : float
        When the study's first report was on disk, s since 1970-01-01 UTC; 0 before.
    facts : str
        What the rules may ask of it, by DICOM keyword, as JSON; empty when nothing was kept.
    missing : str
        How many images of a series an archive lists that did not come, by Series Instance UID, as
        JSON; empty where none is missing.
    """

    id: int
    study_instance_uid: str
    revision: int
    state: State
    reason: str
    priority: int
    source_ae: str
    study_description: str
    instances: int
    received_at: float
    arrived_at: float
    changed_at: float
    not_before: float
    attempt: int
    failures: int
    worker: str
    lease_until: float
    outcome: str
    report: str
    files_purged: bool
    expected_instances: int | None
    completeness: str
    first_reported_at: float
    facts: str
    missing: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change of state."""

    at: float
    """Seconds since 1970-01-01 UTC."""
    before: str
    after: str
    """`before`, `after`: states; `before` is empty for a job's beginning."""
    attempt: int
    """The fencing number under which it was made."""
    worker: str
    """Who held the job then, or had held it last."""
    reason: str
    """Why."""
    actor: str
    """Who did it (`actors.Act`); empty in rows of before it was kept."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """How far one file of a report got at one destination."""

    file: str
    """Its name in the report's folder."""
    status: str
    """A `delivery.FileStatus`."""
    detail: str = ""
    """What the destination said."""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    """`sop_class_uid`, `sop_instance_uid`: what it is; empty for what is not DICOM."""
