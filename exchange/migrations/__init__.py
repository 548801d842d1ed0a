"""The history of schema `exchange`, by alembic. `exchange.database.create_schema` runs it."""
