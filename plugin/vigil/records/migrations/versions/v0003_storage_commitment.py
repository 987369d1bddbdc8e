"""Storage commitment: requests to confirm, and what was confirmed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "commitment",
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("delivery_id", sa.String(200), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("transaction_uid", name="pk_commitment"),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.delivery_id"], name="fk_commitment_delivery_id"),
    )
    op.create_index("ix_commitment_delivery_id", "commitment", ["delivery_id"])
    op.create_table(
        "committed_object",
        sa.Column("delivery_id", sa.String(200), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("transaction_uid", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "sop_instance_uid", name="pk_committed_object"),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.delivery_id"], name="fk_committed_object_delivery_id"),
    )
