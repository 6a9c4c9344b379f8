"""Completeness, age of a result and rule facts for jobs; who did it and the chain for the audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; rows that are there get what says "not known"."""
    for column in (
        sa.Column("expected_instances", sa.Integer),
        sa.Column("completeness", sa.String(16), nullable=False, server_default=""),
        sa.Column("first_reported_at", sa.Double, nullable=False, server_default="0"),
        sa.Column("facts", sa.Text, nullable=False, server_default=""),
    ):
        op.add_column("jobs", column)
    for name, length in (("actor", 128), ("digest", 64), ("previous", 64)):
        column = sa.Column(name, sa.String(length), nullable=False, server_default="")
        op.add_column("audit", column)
    # A program older than the migrations looks here, and refuses what is not its own.
    op.execute("UPDATE groundglass_form SET version = 2")
