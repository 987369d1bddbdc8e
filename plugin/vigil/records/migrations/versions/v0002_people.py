"""The order of alerts, and whom they reached: critical results, notifications, acknowledgements by people, holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("priority", sa.Integer(), nullable=False, server_default="2"))
    op.add_column("delivery", sa.Column("order_key", sa.String(64), nullable=True))
    op.add_column("delivery", sa.Column("owed_since", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "critical_result",
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("analysis_id", sa.String(64), nullable=False),
        sa.Column("category", sa.Integer(), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counted_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason_category", sa.String(64), nullable=True),
        sa.Column("reason_text", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name="pk_critical_result"),
        sa.UniqueConstraint("analysis_id", name="uq_critical_result_analysis_id"),
        sa.ForeignKeyConstraint(["analysis_id"], ["analysis.analysis_id"], name="fk_critical_result_analysis_id"),
    )
    op.create_index("ix_critical_result_next_at", "critical_result", ["next_at"])
    op.create_index("ix_critical_result_state", "critical_result", ["state"])
    op.create_table(
        "notification",
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("analysis_id", sa.String(64), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(64), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason_category", sa.String(64), nullable=True),
        sa.Column("reason_text", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name="pk_notification"),
        sa.UniqueConstraint("analysis_id", "step", "channel", name="uq_notification_analysis_id"),
        sa.ForeignKeyConstraint(["analysis_id"], ["critical_result.analysis_id"], name="fk_notification_analysis_id"),
    )
    op.create_index("ix_notification_analysis_id", "notification", ["analysis_id"])
    op.create_table(
        "person_acknowledgement",
        sa.Column("analysis_id", sa.String(64), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("channel", sa.String(64), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("analysis_id", name="pk_person_acknowledgement"),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["critical_result.analysis_id"], name="fk_person_acknowledgement_analysis_id"),
    )
    op.create_table(
        "used_link",
        sa.Column("link_id", sa.String(64), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("link_id", name="pk_used_link"),
    )
    op.create_table(
        "hold",
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_hold"),
    )
