"""The tables as first released, before there were migrations ("form 1")."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_UID, _AE, _LO = sa.String(64), sa.String(16), sa.String(64)
_SECONDS: sa.Double[float] = sa.Double()


def upgrade() -> None:
    """Make all tables."""
    form = op.create_table("groundglass_form", sa.Column("version", sa.Integer, primary_key=True))
    op.bulk_insert(form, [{"version": 1}])
    _jobs()
    _instances()
    _deliveries()
    _audit()


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study_instance_uid", _UID, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("source_ae", _AE, nullable=False),
        sa.Column("study_description", _LO, nullable=False),
        sa.Column("instances", sa.Integer, nullable=False),
        sa.Column("received_at", _SECONDS, nullable=False),
        sa.Column("arrived_at", _SECONDS, nullable=False),
        sa.Column("changed_at", _SECONDS, nullable=False),
        sa.Column("not_before", _SECONDS, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(128), nullable=False),
        sa.Column("lease_until", _SECONDS, nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("files_purged", sa.Boolean, nullable=False),
        sa.UniqueConstraint("study_instance_uid", "revision", name="one_job_a_revision"),
        sqlite_autoincrement=True,
    )
    op.create_index("jobs_by_urgency", "jobs", ["state", "priority", "arrived_at"])


def _instances() -> None:
    op.create_table(
        "instances",
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
    op.create_index("instances_by_uid", "instances", ["sop_instance_uid"])


def _deliveries() -> None:
    job_id = sa.ForeignKey("jobs.id", ondelete="CASCADE")
    op.create_table(
        "deliveries",
        sa.Column("job_id", sa.Integer, job_id, primary_key=True),
        sa.Column("destination", sa.String(64), primary_key=True),
        sa.Column("file", sa.String(255), primary_key=True),
        sa.Column("sop_class_uid", _UID, nullable=False),
        sa.Column("sop_instance_uid", _UID, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("changed_at", _SECONDS, nullable=False),
    )


def _audit() -> None:
    op.create_table(
        "audit",
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
    )
    op.create_index("audit_by_job", "audit", ["job_id"])
