"""Alembic's entry: runs the migrations as `largesse_owner`, one transaction each."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from models.schema import MigrationRunning
from models.tables import metadata

_ONE_AT_A_TIME = text("SELECT pg_try_advisory_lock(hashtextextended('largesse.migration', 0))")


def run() -> None:
    url = context.config.get_main_option("sqlalchemy.url") or ""
    engine = create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=pool.NullPool
    )
    with engine.connect() as connection:
        # Of the session, for migrations commit between their steps. Nobody waits: who waited would
        # be waited for by an index that is built concurrently.
        if not connection.execute(_ONE_AT_A_TIME).scalar_one():
            raise MigrationRunning
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=metadata(),
            transaction_per_migration=True,
            compare_server_default=False,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
