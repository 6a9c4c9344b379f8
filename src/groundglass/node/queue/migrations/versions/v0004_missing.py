"""Which images an archive lists that did not come."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; nothing is missing of rows that are there, as far as anybody knows."""
    op.add_column("jobs", sa.Column("missing", sa.Text, nullable=False, server_default=""))
