"""The schema's revisions, by Alembic: what a released database goes through to today's tables."""
