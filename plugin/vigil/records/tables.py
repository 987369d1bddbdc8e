"""The tables of the ledger. What stands here in clear identifies no patient: UIDs of DICOM and ids of Orthanc, models, times,
numbers (law 9); result objects, messages and what a receiver answered in words are sealed.

A row of an analysis, an object or a delivery is never deleted: it is the tombstone that keeps a replay from doing it again.
Changed only together with a new migration in ``migrations/versions``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class Moment(TypeDecorator[datetime]):
    """A time with its zone, in and out; kept as UTC. SQLite has no zones, so they are put on and off here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time in the ledger needs its time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(naming_convention={
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
})

SHA256 = String(64)
UID = String(64)
ID = String(64)
DELIVERY_ID = String(200)

installation = Table(
    "installation", metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("installation_id", String(32), nullable=False),
    Column("device_uid", UID, nullable=False),
    Column("installed_at", Moment, nullable=False),
    Column("first_change_sequence", BigInteger, nullable=False),
    Column("change_cursor", BigInteger, nullable=False),
    Column("restored_at", Moment),
)
"""One row. ``first_change_sequence`` is the watermark: what Orthanc held before it sets off no alarm (law 6). ``restored_at``:
when this state was put back from a backup; what had arrived by then may have been told already."""

sealing_key = Table(
    "sealing_key", metadata,
    Column("key_id", String(16), primary_key=True),
    Column("first_used_at", Moment, nullable=False),
    Column("sealed_order_keys", LargeBinary),
)
"""One row. ``sealed_order_keys``: what the keys before this one made order keys with; null where there was none."""

study = Table(
    "study", metadata,
    Column("study_id", ID, primary_key=True),
    Column("touched_at", Moment, nullable=False, index=True),
    Column("evaluated_at", Moment),
    Column("content_sha256", SHA256),
    Column("next_look_at", Moment, index=True),
    Column("deleted_at", Moment),
)

decision = Table(
    "decision", metadata,
    Column("sequence", Integer, primary_key=True),
    Column("study_id", ID, nullable=False, index=True),
    Column("model_id", ID, nullable=False),
    Column("model_version", String(32), nullable=False),
    Column("at", Moment, nullable=False),
    Column("verdict", String(64), nullable=False),
    Column("reason_category", String(64)),
    Column("reason_text", Text),
    Column("analysis_id", ID),
    Column("evidence", Text, nullable=False),
)

analysis = Table(
    "analysis", metadata,
    Column("sequence", Integer, primary_key=True),
    Column("analysis_id", ID, nullable=False, unique=True),
    Column("study_id", ID, nullable=False, index=True),
    Column("study_instance_uid", UID, nullable=False, index=True),
    Column("model_id", ID, nullable=False),
    Column("model_version", String(32), nullable=False),
    Column("weights_sha256", SHA256, nullable=False),
    Column("operating_point", String(64), nullable=False),
    Column("renderer_version", String(64), nullable=False),
    Column("settings_sha256", SHA256, nullable=False),
    Column("inputs_sha256", SHA256, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("correlation_id", String(64), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("predecessor_id", ID),
    Column("revision", Integer, nullable=False),
    Column("refusal_category", String(64)),
    Column("refusal_text", Text),
    Column("arrived_at", Moment),
    Column("study_started_at", Moment),
    Column("reference_instance", ID, nullable=False),
    Column("state", String(32), nullable=False, index=True),
    Column("reason_category", String(64)),
    Column("reason_text", Text),
    Column("answer", Text),
    Column("superseded_by", ID),
    Column("finished_at", Moment),
    Column("sealed_reference", LargeBinary),
)
"""``sealed_reference``: the file of the reference image up to its pixels; null once nothing is owed to any destination."""

result_object = Table(
    "result_object", metadata,
    Column("sop_instance_uid", UID, primary_key=True),
    Column("analysis_id", ID, ForeignKey("analysis.analysis_id"), nullable=False, index=True),
    Column("role", String(32), nullable=False),
    Column("position", Integer, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("sop_class_uid", UID, nullable=False),
    Column("series_instance_uid", UID, nullable=False),
    Column("sha256", SHA256, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sealed", LargeBinary),
    Column("orthanc_id", ID),
    Column("stored_at", Moment),
)
"""``position``: the index within the role. ``ordinal``: the order in which the results were made. ``sealed`` is null once
purged; the digest stays."""

delivery = Table(
    "delivery", metadata,
    Column("sequence", Integer, primary_key=True),
    Column("delivery_id", DELIVERY_ID, nullable=False, unique=True),
    Column("destination", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("analysis_id", ID, ForeignKey("analysis.analysis_id"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_attempt_at", Moment),
    Column("next_at", Moment),
    Column("reason_category", String(64)),
    Column("reason_text", Text),
    Column("finished_at", Moment),
    Column("priority", Integer, nullable=False, server_default="2"),
    Column("order_key", String(64)),
    Column("owed_since", Moment),
    Column("urgency", Integer, nullable=False, server_default="2"),
    Column("refusals", Integer, nullable=False, server_default="0"),
    Column("purpose", String(16), nullable=False, server_default="result"),
)
"""``priority``: 0 before 1 before 2. ``order_key``: the same for what belongs to one order, a keyed hash. ``owed_since``: when a
person asked for it again. ``urgency``: the lowest priority that waits in its order for the same destination. ``refusals``: how
many of the attempts were refused. ``purpose``: "result", or "retraction" where it takes back what was told."""

object_status = Table(
    "object_status", metadata,
    Column("delivery_id", DELIVERY_ID, ForeignKey("delivery.delivery_id"), primary_key=True),
    Column("sop_instance_uid", UID, primary_key=True),
    Column("status", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("sealed_comment", LargeBinary),
)

commitment = Table(
    "commitment", metadata,
    Column("transaction_uid", UID, primary_key=True),
    Column("delivery_id", DELIVERY_ID, ForeignKey("delivery.delivery_id"), nullable=False, index=True),
    Column("made_at", Moment, nullable=False),
    Column("asked_at", Moment),
    Column("answered_at", Moment),
)
"""A request to confirm storage (PS3.4 Annex J). Written before it is made; ``asked_at``: when the PACS accepted it."""

committed_object = Table(
    "committed_object", metadata,
    Column("delivery_id", DELIVERY_ID, ForeignKey("delivery.delivery_id"), primary_key=True),
    Column("sop_instance_uid", UID, primary_key=True),
    Column("transaction_uid", UID, nullable=False),
    Column("at", Moment, nullable=False),
)
"""What a destination said it keeps."""

message = Table(
    "message", metadata,
    Column("delivery_id", DELIVERY_ID, ForeignKey("delivery.delivery_id"), primary_key=True),
    Column("control_id", String(64), nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
    Column("sha256", SHA256, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sealed", LargeBinary),
    Column("sealed_header", LargeBinary),
)
"""``sealed_header``: of patient, order and study, as the message was made from it: what takes it back must name the same, also
when the images are gone."""

retraction = Table(
    "retraction", metadata,
    Column("analysis_id", ID, ForeignKey("analysis.analysis_id"), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("by", String(64)),
    Column("at", Moment, nullable=False),
)
"""An analysis whose answer no longer stands, and none replaces it. ``kind``: "withdrawal" or "wrong-patient". ``by``: null where
Vigil found it out itself."""

acknowledgement = Table(
    "acknowledgement", metadata,
    Column("sequence", Integer, primary_key=True),
    Column("delivery_id", DELIVERY_ID, ForeignKey("delivery.delivery_id"), nullable=False, index=True),
    Column("code", String(16), nullable=False),
    Column("at", Moment, nullable=False),
    Column("sealed_text", LargeBinary),
)

critical_result = Table(
    "critical_result", metadata,
    Column("sequence", Integer, primary_key=True),
    Column("analysis_id", ID, ForeignKey("analysis.analysis_id"), nullable=False, unique=True),
    Column("category", Integer),
    Column("found_at", Moment, nullable=False),
    Column("counted_from", Moment, nullable=False),
    Column("next_at", Moment, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("finished_at", Moment),
    Column("reason_category", String(64)),
    Column("reason_text", Text),
)
"""A positive answer that people are to be told of. ``counted_from``: the moment from which the steps of its ladder count.
``next_at``: when its ladder is looked at next; null where nothing is planned."""

notification = Table(
    "notification", metadata,
    Column("sequence", Integer, primary_key=True),
    Column("analysis_id", ID, ForeignKey("critical_result.analysis_id"), nullable=False, index=True),
    Column("step", Integer, nullable=False),
    Column("channel", String(64), nullable=False),
    Column("method", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("next_at", Moment),
    Column("reason_category", String(64)),
    Column("reason_text", Text),
    Column("refusals", Integer, nullable=False, server_default="0"),
    UniqueConstraint("analysis_id", "step", "channel"),
)
"""One message to people: of one step, by one channel. ``at``: when it was sent or given up; while it waits, since when."""

person_acknowledgement = Table(
    "person_acknowledgement", metadata,
    Column("analysis_id", ID, ForeignKey("critical_result.analysis_id"), primary_key=True),
    Column("by", String(64), nullable=False),
    Column("method", String(16), nullable=False),
    Column("channel", String(64)),
    Column("at", Moment, nullable=False),
)
"""``by``: the name that a member of the staff gave."""

used_link = Table(
    "used_link", metadata,
    Column("link_id", String(64), primary_key=True),
    Column("used_at", Moment, nullable=False),
)

hold = Table(
    "hold", metadata,
    Column("subject", ID, primary_key=True),
    Column("by", String(64), nullable=False),
    Column("at", Moment, nullable=False),
)
"""What is kept in the house: an analysis's alert (its id), or those of a study whose final report is known (its Orthanc id)."""

model_event = Table(
    "model_event", metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("model_id", ID, nullable=False, index=True),
    Column("version", String(32), nullable=False),
    Column("package_sha256", SHA256, nullable=False),
    Column("event", String(16), nullable=False),
    Column("use", String(16)),
    Column("by", String(64), nullable=False),
    Column("evidence", Text, nullable=False),
)
"""What became of each model package at this site. ``sequence``: that of the entry of the audit which says the same; a row
without its entry counts for nothing. Never updated, never deleted from."""

settings_snapshot = Table(
    "settings_snapshot", metadata,
    Column("sha256", SHA256, primary_key=True),
    Column("first_used_at", Moment, nullable=False),
    Column("json", Text, nullable=False),
)

audit = Table(
    "audit", metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("role", String(64), nullable=False),
    Column("event", String(64), nullable=False),
    Column("subject", DELIVERY_ID, nullable=False, index=True),
    Column("evidence", Text, nullable=False),
    Column("previous_hash", SHA256, nullable=False),
    Column("hash", SHA256, nullable=False),
)
"""``at`` is text as it was hashed. Never updated, never deleted from."""

audit_head = Table(
    "audit_head", metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", Integer, nullable=False),
    Column("hash", SHA256, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
"""One row: the newest entry of the audit, sealed, so that cutting the chain's end or writing it anew is seen."""

Index("ix_decision_newest", decision.c.study_id, decision.c.model_id, decision.c.sequence)
Index("ix_analysis_newest", analysis.c.study_id, analysis.c.model_id, analysis.c.sequence)
Index("ix_delivery_outbox", delivery.c.destination, delivery.c.kind, delivery.c.state, delivery.c.urgency, delivery.c.sequence)
Index("ix_delivery_order", delivery.c.order_key, delivery.c.sequence)
