"""A house whose database is reached through a proxy that can lose the reply to a COMMIT."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from models.database import create_database_engine, sessions_of
from pipelines.wiring import House
from tests.chaos.proxy import Proxy


@contextmanager
def house_through_proxy(house: House) -> Iterator[tuple[House, Proxy]]:
    """Statements are sent as text each time, so that the proxy can read them."""
    url = house.settings.database_url
    proxy = Proxy("127.0.0.1", urlsplit(url).port or 0, speaks="postgres")
    engine = create_database_engine(proxy.through(url), pool_size=4, pooled_by_proxy=True)
    try:
        yield replace(house, sessions=sessions_of(engine)), proxy
    finally:
        engine.dispose()
        proxy.end()
