"""Other times: the same house as it will be, and moments that are ahead."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote

from models import clock
from models.database import create_database_engine, scoped_transaction, sessions_of
from models.scope import SYSTEM
from pipelines.wiring import House


@contextmanager
def two_days_later(house: House) -> Iterator[House]:
    """The house in two days."""
    with later(house, hours=48) as then:
        yield then


@contextmanager
def later(house: House, **ahead: float) -> Iterator[House]:
    """The house after so long: only the database's clock says what time it is."""
    url = house.settings.database_url
    seconds = timedelta(**ahead).total_seconds()
    options = quote(f"-c app.clock_offset={seconds:.0f}s")
    address = f"{url}{'&' if '?' in url else '?'}options={options}"
    engine = create_database_engine(address, pool_size=2)
    yield replace(house, sessions=sessions_of(engine))
    engine.dispose()


def tomorrow(house: House, hours: int = 24) -> datetime:
    """So many hours from now."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return clock.now(session) + timedelta(hours=hours)
