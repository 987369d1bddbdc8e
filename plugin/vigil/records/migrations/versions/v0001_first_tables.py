"""The first tables of the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "analysis",
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("analysis_id", sa.String(64), nullable=False),
        sa.Column("study_id", sa.String(64), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("model_id", sa.String(64), nullable=False),
        sa.Column("model_version", sa.String(32), nullable=False),
        sa.Column("weights_sha256", sa.String(64), nullable=False),
        sa.Column("operating_point", sa.String(64), nullable=False),
        sa.Column("renderer_version", sa.String(64), nullable=False),
        sa.Column("settings_sha256", sa.String(64), nullable=False),
        sa.Column("inputs_sha256", sa.String(64), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("study_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("correlation_id", sa.String(64), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("predecessor_id", sa.String(64), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("refusal_category", sa.String(64), nullable=True),
        sa.Column("refusal_text", sa.Text(), nullable=True),
        sa.Column("reference_instance", sa.String(64), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("reason_category", sa.String(64), nullable=True),
        sa.Column("reason_text", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("superseded_by", sa.String(64), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name="pk_analysis"),
        sa.UniqueConstraint("analysis_id", name="uq_analysis_analysis_id"),
    )
    op.create_index("ix_analysis_newest", "analysis", ["study_id", "model_id", "sequence"])
    op.create_index("ix_analysis_state", "analysis", ["state"])
    op.create_index("ix_analysis_study_id", "analysis", ["study_id"])
    op.create_index("ix_analysis_study_instance_uid", "analysis", ["study_instance_uid"])
    op.create_table(
        "audit",
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit"),
    )
    op.create_index("ix_audit_subject", "audit", ["subject"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.create_table(
        "decision",
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("study_id", sa.String(64), nullable=False),
        sa.Column("model_id", sa.String(64), nullable=False),
        sa.Column("model_version", sa.String(32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.String(64), nullable=False),
        sa.Column("reason_category", sa.String(64), nullable=True),
        sa.Column("reason_text", sa.Text(), nullable=True),
        sa.Column("analysis_id", sa.String(64), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_decision"),
    )
    op.create_index("ix_decision_newest", "decision", ["study_id", "model_id", "sequence"])
    op.create_index("ix_decision_study_id", "decision", ["study_id"])
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("installation_id", sa.String(32), nullable=False),
        sa.Column("device_uid", sa.String(64), nullable=False),
        sa.Column("installed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_change_sequence", sa.BigInteger(), nullable=False),
        sa.Column("change_cursor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
    )
    op.create_table(
        "sealing_key",
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_sealing_key"),
    )
    op.create_table(
        "settings_snapshot",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_settings_snapshot"),
    )
    op.create_table(
        "study",
        sa.Column("study_id", sa.String(64), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("evaluated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("content_sha256", sa.String(64), nullable=True),
        sa.Column("next_look_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("study_id", name="pk_study"),
    )
    op.create_index("ix_study_next_look_at", "study", ["next_look_at"])
    op.create_index("ix_study_touched_at", "study", ["touched_at"])
    op.create_table(
        "delivery",
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("delivery_id", sa.String(200), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("analysis_id", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason_category", sa.String(64), nullable=True),
        sa.Column("reason_text", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name="pk_delivery"),
        sa.UniqueConstraint("delivery_id", name="uq_delivery_delivery_id"),
        sa.ForeignKeyConstraint(["analysis_id"], ["analysis.analysis_id"], name="fk_delivery_analysis_id"),
    )
    op.create_index("ix_delivery_analysis_id", "delivery", ["analysis_id"])
    op.create_index("ix_delivery_state", "delivery", ["state"])
    op.create_table(
        "result_object",
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("analysis_id", sa.String(64), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("series_instance_uid", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("orthanc_id", sa.String(64), nullable=True),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("sop_instance_uid", name="pk_result_object"),
        sa.ForeignKeyConstraint(["analysis_id"], ["analysis.analysis_id"], name="fk_result_object_analysis_id"),
    )
    op.create_index("ix_result_object_analysis_id", "result_object", ["analysis_id"])
    op.create_table(
        "acknowledgement",
        sa.Column("sequence", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("delivery_id", sa.String(200), nullable=False),
        sa.Column("code", sa.String(16), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed_text", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name="pk_acknowledgement"),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.delivery_id"], name="fk_acknowledgement_delivery_id"),
    )
    op.create_index("ix_acknowledgement_delivery_id", "acknowledgement", ["delivery_id"])
    op.create_table(
        "message",
        sa.Column("delivery_id", sa.String(200), nullable=False),
        sa.Column("control_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_message"),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.delivery_id"], name="fk_message_delivery_id"),
    )
    op.create_index("ix_message_control_id", "message", ["control_id"])
    op.create_table(
        "object_status",
        sa.Column("delivery_id", sa.String(200), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed_comment", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", "sop_instance_uid", name="pk_object_status"),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.delivery_id"], name="fk_object_status_delivery_id"),
    )
