"""When the state was put back from a backup: what had arrived before may have been told already, and alarms nobody by itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("installation", sa.Column("restored_at", sa.DateTime(timezone=True), nullable=True))
