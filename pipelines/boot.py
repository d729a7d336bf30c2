"""What every process checks before it serves: schema, keys, roles."""

from sqlalchemy import text

from models.schema import newest_revision, revision_of
from pipelines.settings import SettingsBroken
from pipelines.wiring import House

_ROLE = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")


def check_database(house: House) -> None:
    """Refuse to start on a schema this code does not fit, or as a role that sees everything."""
    engine = house.sessions.kw["bind"]
    found, needed = revision_of(engine), newest_revision()
    if found != needed:
        raise SettingsBroken(
            f"The database is at schema {found}; this code needs {needed}. Run: largesse migrate"
        )
    with engine.connect() as connection:
        if connection.execute(_ROLE).scalar_one():
            raise SettingsBroken(
                "This process connected as a superuser, for whom tenant policies do not hold. "
                "Use the largesse_* logins that `largesse migrate` makes."
            )
