"""The page's people: users, sessions, tokens, what they read, and the record of who did what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_UID = sa.String(64)
_SECONDS: sa.Double[float] = sa.Double()


def upgrade() -> None:
    """Make the tables."""
    _users()
    _readings()
    op.create_table(
        "access",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", _SECONDS, nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("job_id", sa.Integer),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password", sa.String(256), nullable=False),
        sa.Column("made_at", _SECONDS, nullable=False),
        sa.Column("removed_at", _SECONDS),
        sqlite_autoincrement=True,
    )
    user = sa.ForeignKey("users.id")
    op.create_table(
        "web_sessions",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Integer, user, nullable=False),
        sa.Column("begun_at", _SECONDS, nullable=False),
        sa.Column("used_at", _SECONDS, nullable=False),
    )
    op.create_table(
        "api_tokens",
        sa.Column("token", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("made_at", _SECONDS, nullable=False),
        sa.Column("until", _SECONDS, nullable=False),
    )


def _readings() -> None:
    op.create_table(
        "readings",
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
    op.create_index("readings_by_study", "readings", ["study_instance_uid"])
