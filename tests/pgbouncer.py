"""A private PgBouncer for tests, from Debian's package: own folder and port, loopback only."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from ops.bootstrap import LOGINS
from ops.child import Launch, Server, plain_environment
from ops.home import Home
from ops.unprivileged import data_folder, make_private_folder

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
REMEDY = (
    "PgBouncer is not installed; the package is pgbouncer: "
    "apt-get install -y --no-install-recommends pgbouncer"
)
#: SCRAM on both sides: the list has verifiers, as the server keeps them, and no password.
CONFIGURATION = """\
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/userlist.txt
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 400
log_connections = 0
log_disconnections = 0
"""
_VERIFIERS = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname = ANY(%s)"


class PgBouncer(Server):
    """In front of one PostgreSQL, with so many server connections per login and database."""

    name = "pgbouncer"
    stop_signals = ((signal.SIGINT, 5.0),)
    port_taken_words = "Address already in use"

    def __init__(self, home: Home, admin_url: str, *, pool_size: int) -> None:
        super().__init__(home, say=lambda _line: None)
        self.admin_url = admin_url
        self.pool_size = pool_size

    @property
    def url(self) -> str:
        return f"postgresql://127.0.0.1:{self.port}"

    def in_front_of(self, url: str) -> str:
        """The same login and database, through here."""
        parts = urlsplit(url)
        return parts._replace(
            netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{self.port}"
        ).geturl()

    def _prepare(self) -> Launch:
        folder, account = data_folder(self.home, self.name, say=self.say)
        if not folder.exists():
            make_private_folder(folder, account)
        server = urlsplit(self.admin_url)
        told = CONFIGURATION.format(
            host=server.hostname,
            port=server.port,
            own_port=self.port,
            folder=folder,
            pool_size=self.pool_size,
        )
        for name, content in {"pgbouncer.ini": told, "userlist.txt": self._verifiers()}.items():
            (folder / name).write_text(content)
            os.chown(folder / name, account.uid, account.gid)
        return Launch(
            argv=(str(PROGRAM), str(folder / "pgbouncer.ini")),
            account=account,
            environment=plain_environment(folder),
        )

    def _verifiers(self) -> str:
        with psycopg.connect(self.admin_url) as connection:
            found = connection.execute(_VERIFIERS, [list(LOGINS)]).fetchall()
        return "".join(f'"{name}" "{verifier}"\n' for name, verifier in found)

    def _answers(self) -> bool:
        """It asks for a password before it asks the server anything."""
        try:
            psycopg.connect(f"{self.url}/nobody?user=nobody&password=x", connect_timeout=2).close()
        except psycopg.OperationalError as refusal:
            return "refused" not in str(refusal)
        return True


@contextmanager
def pgbouncer(home: Home, admin_url: str, *, pool_size: int) -> Iterator[PgBouncer]:
    """A PgBouncer that runs as long as the block; skips where the package is missing."""
    if PROGRAM is None or not Path(PROGRAM).exists():
        pytest.skip(REMEDY)
    server = PgBouncer(home, admin_url, pool_size=pool_size).start()
    try:
        yield server
    finally:
        server.stop()
