"""Retractions: what was told and no longer stands. Refusals are counted by themselves, and an outbox is read by an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("urgency", sa.Integer(), nullable=False, server_default="2"))
    op.add_column("delivery", sa.Column("refusals", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("delivery", sa.Column("purpose", sa.String(16), nullable=False, server_default="result"))
    op.add_column("notification", sa.Column("refusals", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("message", sa.Column("sealed_header", sa.LargeBinary(), nullable=True))
    op.create_table(
        "retraction",
        sa.Column("analysis_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("by", sa.String(64), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("analysis_id", name="pk_retraction"),
        sa.ForeignKeyConstraint(["analysis_id"], ["analysis.analysis_id"], name="fk_retraction_analysis_id"),
    )
    op.create_index("ix_delivery_outbox", "delivery", ["destination", "kind", "state", "urgency", "sequence"])
    op.create_index("ix_delivery_order", "delivery", ["order_key", "sequence"])
    op.execute(
        "UPDATE delivery SET urgency = COALESCE((SELECT MIN(other.priority) FROM delivery AS other "
        "WHERE other.destination = delivery.destination AND other.order_key = delivery.order_key "
        "AND other.kind = 'hl7' AND other.state = 'waiting'), priority) WHERE kind = 'hl7' AND state = 'waiting'")
