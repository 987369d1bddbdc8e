"""What Alembic runs: the migrations, inside the transaction that :func:`vigil.records.schema.migrate` has begun."""

from __future__ import annotations

from alembic import context

from vigil.records.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
