"""Bring a database to the newest schema, and say which one it has."""

from pathlib import Path

from sqlalchemy import Engine, text


class MigrationRunning(RuntimeError):
    """Somebody else migrates this database just now."""


MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(owner_url: str, *, revision: str = "head") -> None:
    """Run the migrations up to `revision` as the schema's owner. Raises `MigrationRunning`."""
    # Whoever only asks for a revision, as every process does at its start, does not load Alembic.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", owner_url.replace("%", "%%"))
    command.upgrade(config, revision)


def newest_revision() -> str:
    """The revision this code needs: files are named by it, one after the other."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))[:4]


def revision_of(engine: Engine) -> str | None:
    """The revision a database is at; raises the driver's error when it was never migrated."""
    with engine.connect() as connection:
        value: str | None = connection.execute(
            text("SELECT version_num FROM alembic_version")
        ).scalar_one_or_none()
        return value
