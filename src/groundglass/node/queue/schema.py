"""The tables of a node: jobs as state machine and audit record, and what hangs on them.

Times are seconds since 1970-01-01 UTC. The tables hold Study and SOP Instance UIDs, since a study
must be found again; they hold no other identifier of a patient. A change here is a migration in
`migrations/versions`, and `HEAD` its revision; a test compares the two.
"""

from __future__ import annotations

import sqlalchemy as sa

#: The last of the migrations, after which a database has these tables.
HEAD = "0004"

metadata = sa.MetaData()

#: A DICOM UI is at most 64 characters (PS3.5 section 6.2), an AE title 16, a LO 64.
_UID, _AE, _LO = sa.String(64), sa.String(16), sa.String(64)
_SECONDS: sa.Double[float] = sa.Double()
#: For columns that came later; a text, as SQLite shows it.
_EMPTY = sa.text("''")

#: One row, for programs older than the migrations, which refuse every form but 1.
form = sa.Table("groundglass_form", metadata, sa.Column("version", sa.Integer, primary_key=True))

#: One row per study and revision: where it is on its way, and who holds it.
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("study_instance_uid", _UID, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=False, default=""),
    sa.Column("priority", sa.Integer, nullable=False, default=0),
    sa.Column("source_ae", _AE, nullable=False, default=""),
    sa.Column("study_description", _LO, nullable=False, default=""),
    sa.Column("instances", sa.Integer, nullable=False, default=0),
    sa.Column("received_at", _SECONDS, nullable=False),
    sa.Column("arrived_at", _SECONDS, nullable=False),
    sa.Column("changed_at", _SECONDS, nullable=False),
    sa.Column("not_before", _SECONDS, nullable=False, default=0.0),
    sa.Column("attempt", sa.Integer, nullable=False, default=0),
    sa.Column("failures", sa.Integer, nullable=False, default=0),
    sa.Column("worker", sa.String(128), nullable=False, default=""),
    sa.Column("lease_until", _SECONDS, nullable=False, default=0.0),
    sa.Column("outcome", sa.String(32), nullable=False, default=""),
    sa.Column("report", sa.Text, nullable=False, default=""),
    sa.Column("files_purged", sa.Boolean, nullable=False, default=False),
    sa.Column("expected_instances", sa.Integer),
    sa.Column("completeness", sa.String(16), nullable=False, server_default=_EMPTY),
    sa.Column("first_reported_at", _SECONDS, nullable=False, server_default="0"),
    sa.Column("facts", sa.Text, nullable=False, server_default=_EMPTY),
    sa.Column("missing", sa.Text, nullable=False, server_default=_EMPTY),
    sa.UniqueConstraint("study_instance_uid", "revision", name="one_job_a_revision"),
    sqlite_autoincrement=True,  # a number once given, never stands for another job in the audit
)
sa.Index("jobs_by_urgency", jobs.c.state, jobs.c.priority, jobs.c.arrived_at)

#: One row per instance received; the same bytes again add none.
instances = sa.Table(
    "instances",
    metadata,
    sa.Column("study_instance_uid", _UID, primary_key=True),
    sa.Column("sop_instance_uid", _UID, primary_key=True),
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("sop_class_uid", _UID, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("source_ae", _AE, nullable=False),
    sa.Column("arrived_at", _SECONDS, nullable=False),
)

sa.Index("instances_by_uid", instances.c.sop_instance_uid)

#: One row per job, destination and file: how far it got.
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("job_id", sa.Integer, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("destination", sa.String(64), primary_key=True),
    sa.Column("file", sa.String(255), primary_key=True),
    sa.Column("sop_class_uid", _UID, nullable=False, default=""),
    sa.Column("sop_instance_uid", _UID, nullable=False, default=""),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("detail", sa.Text, nullable=False, default=""),
    sa.Column("changed_at", _SECONDS, nullable=False),
)

#: Every change of state, written in the transaction that made it; never changed, never deleted.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("job_id", sa.Integer, nullable=False),
    sa.Column("study_instance_uid", _UID, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("at", _SECONDS, nullable=False),
    sa.Column("before", sa.String(16), nullable=False),
    sa.Column("after", sa.String(16), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("worker", sa.String(128), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.String(128), nullable=False, server_default=_EMPTY),
    sa.Column("digest", sa.String(64), nullable=False, server_default=_EMPTY),
    sa.Column("previous", sa.String(64), nullable=False, server_default=_EMPTY),
)
sa.Index("audit_by_job", audit.c.job_id)

#: People who use the page. Who is removed stays, without a password: the record names them.
users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("password", sa.String(256), nullable=False),
    sa.Column("made_at", _SECONDS, nullable=False),
    sa.Column("removed_at", _SECONDS),
    sqlite_autoincrement=True,
)

#: Who is logged in. A token is never stored, only its SHA-256.
web_sessions = sa.Table(
    "web_sessions",
    metadata,
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("begun_at", _SECONDS, nullable=False),
    sa.Column("used_at", _SECONDS, nullable=False),
)

#: Programs that call the API in somebody's name; likewise only the SHA-256.
api_tokens = sa.Table(
    "api_tokens",
    metadata,
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("made_at", _SECONDS, nullable=False),
    sa.Column("until", _SECONDS, nullable=False),
)

#: What readers said of verdicts. A reading that was changed is another row; the last one counts.
readings = sa.Table(
    "readings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
    sa.Column("job_id", sa.Integer, sa.ForeignKey("jobs.id"), nullable=False),
    sa.Column("study_instance_uid", _UID, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("report", sa.Text, nullable=False),
    sa.Column("bundle", sa.String(128), nullable=False),
    sa.Column("verdict", sa.String(64), nullable=False),
    sa.Column("answer", sa.String(16), nullable=False),
    sa.Column("label", sa.String(64), nullable=False),
    sa.Column("remark", sa.Text, nullable=False),
    sa.Column("blind", sa.Boolean, nullable=False),
    sa.Column("at", _SECONDS, nullable=False),
    sqlite_autoincrement=True,
)
sa.Index("readings_by_study", readings.c.study_instance_uid)

#: Who looked at what and did what on the page; never changed, never deleted.
access = sa.Table(
    "access",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", _SECONDS, nullable=False),
    sa.Column("who", sa.String(64), nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("what", sa.String(32), nullable=False),
    sa.Column("job_id", sa.Integer),
    sa.Column("detail", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
