"""Everything the environment says, read once at boot, with a remedy for each thing missing."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

from environs import Env, EnvError

from pipelines.edge_settings import EdgeBroken, EdgeSettings, read_edge_settings
from pipelines.limits import DEFAULTS, Limits
from pipelines.mail_settings import MailSettings, NotAMailServer, read_mail_settings
from pipelines.sealing import Keyring
from pipelines.unsafe_settings import MAKE_ONE, production_faults
from pipelines.vendor_settings import (
    StripeSettings,
    TwilioSettings,
    VendorSettings,
    read_sms_settings,
    read_stripe_settings,
    read_vendor_settings,
)

_Read = TypeVar("_Read")


class Environment(StrEnum):
    DEMO = "demo"
    PRODUCTION = "production"
    TEST = "test"


class SettingsBroken(Exception):
    """The environment is incomplete or unsafe; the text says what to set."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process needs to know of its surroundings; secrets are not shown by repr."""

    environment: Environment
    database_url: str = field(repr=False)
    queue_url: str = field(repr=False)
    pool_size: int
    keyring: Keyring = field(repr=False)
    token_key: bytes = field(repr=False)
    cron_secret: str = field(repr=False)
    public_url: str
    port: int
    time_scale: float
    drain_seconds: float
    pooled_by_proxy: bool
    secure_cookies: bool
    requires_second_factor: bool
    vendors: VendorSettings
    mail: MailSettings | None
    sms: TwilioSettings | None
    stripe: StripeSettings | None
    edge: EdgeSettings

    @property
    def webhooks_anywhere(self) -> bool:
        """Whether endpoints may be of plain http and at addresses inside: a receiver at a desk."""
        return self.environment is not Environment.PRODUCTION

    @property
    def limits(self) -> Limits:
        """The house's limits as this process lives by them."""
        limits = DEFAULTS if self.time_scale == 1.0 else DEFAULTS.scaled(self.time_scale)
        if self.environment is Environment.DEMO:
            limits = replace(
                limits,
                access_token_seconds=DEMO_SECONDS,
                step_up_seconds=DEMO_SECONDS,
                second_person_allocation_minor=DEMO_ALLOCATION_MINOR,
            )
        return replace(limits, drain_seconds=self.drain_seconds)


#: Chunks keep a core each busy, here and in PostgreSQL. More at once than there are cores gain a
#: few percent, and people who wait for a single request lose as much as they gain (docs/benchmark).
BULK_THREADS = max(2, min(4, os.cpu_count() or 2))

#: Process name -> (database login, default threads = connections of its pool).
PROCESSES: dict[str, tuple[str, int]] = {
    "web": ("web", 18),
    "relay": ("system", 1),
    "scheduler": ("system", 1),
    "interactive": ("worker", 8),
    "bulk": ("worker", BULK_THREADS),
    "vendors": ("worker", 24),
    "deliveries": ("worker", 8),
    "tools": ("worker", 6),
}
#: What a process holds beside its pool: the connection of its heartbeat.
OWN_CONNECTIONS = 1
#: Whose rows stand in `processes`; a command of a person does not beat.
BEATING = frozenset(PROCESSES) - {"tools"}
TOKEN_KEY_CHARACTERS_MIN = 32
#: A demo is shown for a day without signing in or proving oneself again.
DEMO_SECONDS = 24 * 3600
#: Nor has it a second administrator of each kind to agree.
DEMO_ALLOCATION_MINOR = 10**13


def load(process: str) -> Settings:
    """Read the settings of one process; raises `SettingsBroken` naming every fault at once."""
    login, threads = PROCESSES[process]
    env = Env(eager=False)
    environment = env.enum(
        "LARGESSE_ENV", enum=Environment, by_value=True, default=Environment.PRODUCTION
    )
    database_url = env.str(f"DATABASE_{login.upper()}_URL")
    queue_url = env.str("QUEUE_URL", default=os.environ.get("REDIS_URL", ""))
    master_keys = env.str("LARGESSE_MASTER_KEYS")
    token_key = env.str("LARGESSE_TOKEN_KEY")
    cron_secret = env.str("CRON_SECRET", default="")
    port = env.int("PORT", default=8000)
    public_url = env.str("PUBLIC_URL", default=f"http://127.0.0.1:{port or 8000}")
    time_scale = _said(env.float, "LARGESSE_TIME_SCALE", default=1.0)
    drain_seconds = env.float("LARGESSE_DRAIN_SECONDS", default=DEFAULTS.drain_seconds)
    pooled = env.bool("DATABASE_POOLED", default=False)
    needs_totp = _said(env.bool, "LARGESSE_REQUIRE_TOTP", default=_is_production(environment))
    pool_size = env.int(f"LARGESSE_{process.upper()}_THREADS", default=threads)
    faults = production_faults(os.environ, process=process) if _is_production(environment) else []
    faults += _unreadable(env, faults)
    vendors, sms, stripe = _companies(faults)
    faults += [] if queue_url else ["Set QUEUE_URL (or REDIS_URL) to redis://... or amqp://..."]
    edge = _edge(process, public_url, environment, faults)
    keyring, mail = _keyring(master_keys, faults), _mail(public_url, faults)
    if keyring is None or edge is None or faults:
        raise SettingsBroken("\n".join(faults))
    return checked(
        Settings(
            environment=environment,
            database_url=database_url,
            queue_url=queue_url,
            pool_size=pool_size,
            keyring=keyring,
            token_key=token_key.encode(),
            cron_secret=cron_secret,
            public_url=public_url.rstrip("/"),
            port=port,
            time_scale=time_scale,
            drain_seconds=drain_seconds,
            pooled_by_proxy=pooled,
            secure_cookies=public_url.startswith("https://"),
            requires_second_factor=needs_totp,
            vendors=vendors,
            mail=mail,
            sms=sms,
            stripe=stripe,
            edge=edge,
        )
    )


def _is_production(environment: Environment | None) -> bool:
    """Also while nobody can tell: what is not read yet is judged as the strictest."""
    return environment not in {Environment.DEMO, Environment.TEST}


def _unreadable(env: Env, named: list[str]) -> list[str]:
    """What is missing or has another type, unless it was named already."""
    try:
        env.seal()
    except EnvError as error:
        messages: dict[str, list[str]] = getattr(error, "error_messages", {})
        words = [
            f"{name}: {' '.join(said)}"
            for name, said in messages.items()
            if not any(name in fault for fault in named)
        ]
        return [f"{said} See docs/configuration.md for each variable." for said in words]
    return []


def _companies(
    faults: list[str],
) -> tuple[VendorSettings, TwilioSettings | None, StripeSettings | None]:
    """Those who sell cards, send SMS and take payments."""
    return (
        read_vendor_settings(os.environ, faults),
        read_sms_settings(os.environ, faults),
        read_stripe_settings(os.environ, faults),
    )


def _keyring(written: str | None, faults: list[str]) -> Keyring | None:
    try:
        return Keyring.parse(written or "")
    except ValueError as error:
        if not any("LARGESSE_MASTER_KEYS" in fault for fault in faults):
            faults.append(f"LARGESSE_MASTER_KEYS: {error}")
        return None


def _said(read: Callable[..., _Read], name: str, *, default: _Read) -> _Read:
    """What a variable says; an empty one counts as unset."""
    return read(name, default=default) if os.environ.get(name, "").strip() else default


def _edge(
    process: str, public_url: str, environment: Environment | None, faults: list[str]
) -> EdgeSettings | None:
    is_production = _is_production(environment)
    try:
        return read_edge_settings(
            os.environ,
            public_url=public_url,
            is_production=is_production,
            is_front=process == "web",
        )
    except EdgeBroken as error:
        faults.append(str(error))
        return None


def _mail(public_url: str, faults: list[str]) -> MailSettings | None:
    smtp_url, sender = os.environ.get("SMTP_URL", ""), os.environ.get("MAIL_FROM", "")
    try:
        return read_mail_settings(smtp_url, sender, public_url=public_url)
    except NotAMailServer as error:
        faults.append(str(error))
        return None


def checked(settings: Settings) -> Settings:
    """Refuse what cannot work anywhere; what production refuses is in `unsafe_settings`."""
    faults = []
    if len(settings.token_key) < TOKEN_KEY_CHARACTERS_MIN:
        faults.append(
            f"LARGESSE_TOKEN_KEY needs at least {TOKEN_KEY_CHARACTERS_MIN} characters; {MAKE_ONE}"
        )
    if settings.pool_size < 1:
        faults.append("LARGESSE_<PROCESS>_THREADS must be 1 or more.")
    if not 0 < settings.drain_seconds <= DEFAULTS.drain_seconds:
        faults.append(
            "LARGESSE_DRAIN_SECONDS must be more than 0 and at most "
            f"{DEFAULTS.drain_seconds:g}: the supervisor kills a process that takes longer."
        )
    if faults:
        raise SettingsBroken("\n".join(faults))
    return settings
