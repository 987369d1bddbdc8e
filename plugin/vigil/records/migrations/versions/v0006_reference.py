"""The header of an analysis's reference image, sealed: its answer can leave the house when the study is no longer in Orthanc."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("analysis", sa.Column("sealed_reference", sa.LargeBinary(), nullable=True))
