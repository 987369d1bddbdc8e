"""What sealing keys before made order keys with, sealed: after a change of the key an order still knows its earlier messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sealing_key", sa.Column("sealed_order_keys", sa.LargeBinary(), nullable=True))
