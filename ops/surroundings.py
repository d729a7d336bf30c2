"""What the processes of a stack are told by their environment, and with whose secrets."""

import base64
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.home import AlreadyRunning, Home, free_port, port_is_free
from pipelines.errors import Kind, Refusal
from pipelines.settings import BEATING, OWN_CONNECTIONS, PROCESSES
from pipelines.vendor_settings import (
    SANDBOX_ACCOUNT,
    WEBHOOK_SECRET_HEAD,
    account_variables,
    secret_variables,
)

ROOT = Path(__file__).parents[1]
DATABASE_NAME = "largesse"
WEB_PORT = 8000
SANDBOX_PORT = 8100
PORT_MAX = 65_535
#: The sandbox's mail server listens so far above its pages.
SMTP_OFFSET = 25
SANDBOX = "sandbox"

#: The login whose address each variable holds.
URL_VARIABLES: Mapping[str, str] = {
    "DATABASE_OWNER_URL": "largesse_owner",
    "DATABASE_WEB_URL": "largesse_web",
    "DATABASE_WORKER_URL": "largesse_worker",
    "DATABASE_SYSTEM_URL": "largesse_system",
    "DATABASE_READONLY_URL": "largesse_readonly",
}
#: Every other process works with less than the right to change the schema.
NOT_FOR_PROCESSES = ("DATABASE_OWNER_URL", "DATABASE_ADMIN_URL", "DATABASE_URL")


class HalfOfTheServers(Refusal):
    """Only the database or only the message store was named; both are embedded, or none."""

    code = "half_of_the_servers"


class PortTaken(AlreadyRunning):
    """Another program listens where this stack should."""

    code = "port_taken"


class PortUnreadable(Refusal):
    """A port variable is not a port number."""

    code = "port_unreadable"
    kind = Kind.MALFORMED


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a stack is reached: the web process, the sandbox and its mail server, on loopback."""

    web_port: int
    sandbox_port: int
    smtp_port: int

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"


def addresses(environment: Mapping[str, str], *, web_may_move: bool = False) -> Addresses:
    """The ports asked for. A taken one is refused; a default one may move where that is fine."""
    web_port = _port(environment, "PORT", WEB_PORT, may_move=web_may_move)
    sandbox_port = _port(environment, "SANDBOX_PORT", SANDBOX_PORT, may_move=True)
    near = min(sandbox_port + SMTP_OFFSET, PORT_MAX)
    smtp_port = _port(environment, "SANDBOX_SMTP_PORT", near, may_move=True)
    return Addresses(web_port=web_port, sandbox_port=sandbox_port, smtp_port=smtp_port)


def _port(environment: Mapping[str, str], name: str, default: int, *, may_move: bool) -> int:
    asked = environment.get(name, "")
    if asked and not (asked.isdecimal() and 0 < int(asked) <= PORT_MAX):
        raise PortUnreadable(f"{name} is not a port number; set it to one from 1024 to 65535.")
    port = int(asked or default)
    if port_is_free(port):
        return port
    if not asked and may_move:
        return free_port()
    raise PortTaken(
        f"Port {port} is in use by another program; set {name} to a free one, or stop that program."
    )


def uses_own_servers(environment: Mapping[str, str]) -> bool:
    """Whether the environment names a database and a message store; raises if only one."""
    database = environment.get("DATABASE_URL") or environment.get("DATABASE_WEB_URL")
    store = environment.get("QUEUE_URL") or environment.get("REDIS_URL")
    if bool(database) != bool(store):
        missing = "REDIS_URL (or QUEUE_URL)" if database else "DATABASE_URL"
        raise HalfOfTheServers(
            f"Set {missing} too, or set neither: then both servers are embedded in LARGESSE_HOME."
        )
    return bool(database)


def process_environment(
    home: Home,
    given: Mapping[str, str],
    *,
    database_urls: Mapping[str, str],
    queue_url: str,
    where: Addresses,
    environment_name: str,
    embedded: bool = False,
) -> dict[str, str]:
    """The whole environment of a stack's processes: what was given, then what only we know."""
    kept = {name: value for name, value in given.items() if name not in NOT_FOR_PROCESSES}
    urls = {
        variable: database_urls[login]
        for variable, login in URL_VARIABLES.items()
        if variable not in NOT_FOR_PROCESSES
    }
    told = kept | urls
    told |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{given.get('PATH', os.defpath)}",
        "LARGESSE_ENV": environment_name,
        "LARGESSE_HOME": str(home.path),
        "QUEUE_URL": queue_url,
        "PORT": str(where.web_port),
        "PYTHONUNBUFFERED": "1",
    }
    if embedded:
        told["LARGESSE_EMBEDDED"] = "1"
    told.setdefault("PUBLIC_URL", where.web_url)
    told.setdefault("LARGESSE_MASTER_KEYS", master_keys(home))
    for variable, secret in (("LARGESSE_TOKEN_KEY", "token_key"), ("CRON_SECRET", "cron_secret")):
        told.setdefault(variable, home.secret(secret))
    if environment_name == "demo":
        told.setdefault(
            "STRIPE_WEBHOOK_SECRETS", WEBHOOK_SECRET_HEAD + home.secret("stripe_webhooks")
        )
        for variable, value in sandbox_vendors(where.sandbox_url).items():
            told.setdefault(variable, value)
        told.setdefault("SMTP_URL", f"smtp://127.0.0.1:{where.smtp_port}")
        told.setdefault("DEMO_PARTNER_URL", f"{where.sandbox_url}/partner/")
    return told


def master_keys(home: Home) -> str:
    """The first version of this data folder's sealing key, in the form the settings read."""
    secret = home.secret("master_key")
    raw = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    return f"1:{base64.b64encode(raw).decode()}"


def sandbox_vendors(sandbox_url: str, *, secret: str = SANDBOX_ACCOUNT) -> dict[str, str]:
    """The settings of vendors, SMS and payments that lead to the sandbox; it takes any credentials."""
    addresses = {
        "RELOADLY_AUTH_URL": f"{sandbox_url}/reloadly/auth",
        "RELOADLY_BASE_URL": f"{sandbox_url}/reloadly",
        "TANGO_BASE_URL": f"{sandbox_url}/tango",
        "TREMENDOUS_BASE_URL": f"{sandbox_url}/tremendous",
        "GIFTBIT_BASE_URL": f"{sandbox_url}/giftbit",
        "TWILIO_BASE_URL": f"{sandbox_url}/twilio",
        "STRIPE_API_BASE": f"{sandbox_url}/stripe",
    }
    accounts = dict.fromkeys(account_variables(), SANDBOX_ACCOUNT)
    secrets = dict.fromkeys(secret_variables(), secret)
    secrets |= {
        "STRIPE_API_KEY": f"sk_test_{secret}",
        "STRIPE_WEBHOOK_SECRETS": WEBHOOK_SECRET_HEAD + secret,
    }
    return addresses | accounts | secrets


def behind_pgbouncer(environment: Mapping[str, str]) -> bool:
    """Whether connections are shared out by PgBouncer, whose sum is then its own business."""
    return environment.get("DATABASE_POOLED", "").lower() in {"1", "true", "yes", "on", "y", "t"}


def connections_needed(names: list[str], environment: Mapping[str, str]) -> int:
    """Database connections that these processes may hold at once, the tools included."""
    total = 0
    for name in (*names, "tools"):
        if name in PROCESSES:
            given = environment.get(f"LARGESSE_{name.upper()}_THREADS", "")
            total += int(given) if given.isdecimal() else PROCESSES[name][1]
            total += OWN_CONNECTIONS if name in BEATING else 0
    return total
