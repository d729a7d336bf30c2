"""Start the embedded database and message store together, and stop them together."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ops.bootstrap import LOGINS, role_url
from ops.embedded_postgres import PostgresServer
from ops.embedded_valkey import ValkeyServer
from ops.home import Home
from ops.unprivileged import Say


@dataclass(frozen=True, slots=True)
class Servers:
    """Both servers while they run; each may be killed and started again on the same port."""

    postgres: PostgresServer
    valkey: ValkeyServer

    @property
    def admin_url(self) -> str:
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        return self.valkey.url


@contextmanager
def start_servers(
    home: Home,
    *,
    postgres_port: int = 0,
    valkey_port: int = 0,
    settings: Mapping[str, str] | None = None,
    say: Say = print,
) -> Iterator[Servers]:
    """Run both on `home` until the block ends; call it from a thread that stays.

    A port of 0 is chosen freely. `settings` are extra settings of PostgreSQL, for tests.
    Whoever serves users holds `home.lock()` around it.
    """
    postgres = PostgresServer(home, postgres_port, settings=settings, say=say)
    valkey = ValkeyServer(home, valkey_port, say=say)
    with ExitStack() as stack:
        for server in (postgres, valkey):
            stack.callback(server.stop)
            server.start()
        yield Servers(postgres=postgres, valkey=valkey)


def role_passwords(home: Home) -> dict[str, str]:
    """The password of each login on this data folder, made at the first look."""
    return {login: home.secret(f"role/{login}") for login in LOGINS}


def role_urls(home: Home, admin_url: str, database: str) -> dict[str, str]:
    """The address of `database` for each login of this data folder."""
    passwords = role_passwords(home)
    return {login: role_url(admin_url, login, passwords[login], database) for login in LOGINS}
