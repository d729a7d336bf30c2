"""What an environment says that production must not be run with; pure, a sentence for each (SEC-37).

The house's own settings are read elsewhere: this looks at the words themselves, so that `doctor`
can look at them too, and names everything at once.
"""

import base64
import binascii
import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from urllib.parse import SplitResult, unquote, urlsplit

from pipelines.vendor_settings import (
    SANDBOX_ACCOUNT,
    WEBHOOK_SECRET_HEAD,
    account_variables,
    address_variables,
)

SECRET_BYTES_MIN = 32
#: What the embedded PostgreSQL calls itself, so that it is known whoever starts a process on it.
EMBEDDED_CLUSTER = "largesse-embedded"
#: Fewer different characters than these are a pattern or a number, not a draw.
DIFFERENT_CHARACTERS_MIN = 12
#: What people put where a secret belongs until they find the time; as a part of one it is refused too.
SAMPLE_WORDS = (
    "changeme",
    "change-me",
    "change_me",
    "replace-me",
    "replace_me",
    "replaceme",
    "example",
    "placeholder",
    "sample-",
    "insecure",
    "password",
    "your-secret",
    "your_secret",
    "secret-key",
    "secret_key",
    "supersecret",
    "dev-secret",
    "test-secret",
    "demo123",
    "admin123",
    "largesse-",
)
#: What vendors call the places in which nothing is sold.
TEST_HOSTS = ("sandbox", "testflight", "testbed")
#: How keys of Stripe begin with which nobody pays real money.
TEST_KEYS = ("sk_test_", "rk_test_")
#: Characters of a signing secret behind its beginning; Stripe's have 32.
SIGNING_CHARACTERS_MIN = 24
#: Passwords of servers that came with their image or their manual.
KNOWN_PASSWORDS = frozenset(
    {"guest", "postgres", "redis", "secret", "largesse", "password", "changeme", "sandbox", "admin"}
)
MAKE_ONE = 'make one with: python -c "import secrets; print(secrets.token_urlsafe(48))"'
MAKE_KEY = (
    'make one with: python -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())"'
)
_TRUE = {"1", "true", "yes", "on", "y", "t"}
_LOOPBACK_NAMES = {"", "localhost", "localhost.localdomain"}
_DEBUG = ("FLASK_DEBUG", "LARGESSE_DEBUG")
_CORS = ("CORS_ORIGINS", "LARGESSE_CORS_ORIGINS")
_ADDRESSES = (
    "DATABASE_WEB_URL",
    "DATABASE_WORKER_URL",
    "DATABASE_SYSTEM_URL",
    "DATABASE_READONLY_URL",
)

Environment = Mapping[str, str]


def production_faults(environment: Environment, *, process: str = "") -> list[str]:
    """Every reason why production does not start with this environment."""
    rules: tuple[Callable[[Environment], Iterator[str]], ...] = (
        _master_keys,
        _token_key,
        _debug_flags,
        _cors,
        _embedded,
        _vendors,
        _stripe,
        _public_url,
        _smtp,
        _time_scale,
        _second_factors,
        _queue,
        _passwords,
    )
    faults = [fault for rule in rules for fault in rule(environment)]
    return faults + list(_cron_secret(environment, is_needed=process in {"web", ""}))


def weakness(secret: bytes) -> str | None:
    """Why a secret could be guessed; None if nothing of the kind is seen."""
    if len(secret) < SECRET_BYTES_MIN:
        return f"has {len(secret)} bytes; it needs at least {SECRET_BYTES_MIN}"
    plain = secret.decode("ascii", "ignore").lower()
    if any(word in plain for word in SAMPLE_WORDS):
        return "is a known sample"
    if len(set(secret)) < DIFFERENT_CHARACTERS_MIN or secret in (secret + secret)[1:-1]:
        return "is a pattern that can be guessed"
    steps = Counter((b - a) % 256 for a, b in pairwise(secret))
    if steps.most_common(1)[0][1] > len(secret) // 2:
        return "is a pattern that can be guessed"
    return None


def queue_in_clear(environment: Environment) -> bool:
    """Whether the broker is spoken to unencrypted over a network; warned of, not refused.

    What passes there is ids. Inside a container network or a mesh it may be encrypted below us.
    """
    url = _split(_queue_url(environment))
    return url.scheme in {"redis", "amqp"} and not _is_loopback(url)


def _master_keys(environment: Environment) -> Iterator[str]:
    written = environment.get("LARGESSE_MASTER_KEYS", "")
    if not written:
        yield f"LARGESSE_MASTER_KEYS is missing; set it to 1:<key> and {MAKE_KEY}"
        return
    for part in written.split(","):
        number, _colon, encoded = part.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            yield f"LARGESSE_MASTER_KEYS: key {number} is not base64; {MAKE_KEY}"
            continue
        if why := weakness(key) or _sample_in(encoded):
            yield f"LARGESSE_MASTER_KEYS: key {number} {why}; {MAKE_KEY}"


def _sample_in(encoded: str) -> str | None:
    """The text itself may be the sample: `changeme...` is base64 too."""
    is_sample = any(word in encoded.lower() for word in SAMPLE_WORDS)
    return "is a known sample" if is_sample else None


def _token_key(environment: Environment) -> Iterator[str]:
    written = environment.get("LARGESSE_TOKEN_KEY", "")
    if not written:
        yield f"LARGESSE_TOKEN_KEY is missing; {MAKE_ONE}"
    elif why := weakness(written.encode()):
        yield f"LARGESSE_TOKEN_KEY {why}; {MAKE_ONE}"


def _cron_secret(environment: Environment, *, is_needed: bool) -> Iterator[str]:
    written = environment.get("CRON_SECRET", "")
    if not written:
        if is_needed:
            yield f"CRON_SECRET is missing; {MAKE_ONE}"
    elif why := weakness(written.encode()):
        yield f"CRON_SECRET {why}; {MAKE_ONE}"


def _debug_flags(environment: Environment) -> Iterator[str]:
    for name in _DEBUG:
        if environment.get(name, "").strip().lower() in _TRUE:
            yield f"{name} is on; unset it: debug pages show code and values."
    if environment.get("FLASK_ENV", "").strip().lower() == "development":
        yield "FLASK_ENV is development; unset it."


def _cors(environment: Environment) -> Iterator[str]:
    for name in _CORS:
        if "*" in environment.get(name, ""):
            yield f"{name} lets every site in; unset it: no other site needs the API in a browser."


def _embedded(environment: Environment) -> Iterator[str]:
    home = environment.get("LARGESSE_HOME", "").rstrip("/")
    told = [environment.get(name, "") for name in (*_ADDRESSES, "QUEUE_URL", "REDIS_URL")]
    is_inside = bool(home) and any(f"{home}/" in unquote(address) for address in told)
    if is_inside or environment.get("LARGESSE_EMBEDDED", "").strip().lower() in _TRUE:
        yield (
            "The embedded servers are for development; set DATABASE_*_URL and QUEUE_URL to "
            "servers of your own."
        )


def _vendors(environment: Environment) -> Iterator[str]:
    for name in address_variables():
        address = environment.get(name, "")
        url = _split(address)
        is_test = any(word in address for word in TEST_HOSTS)
        if address and (url.scheme != "https" or _is_loopback(url) or is_test):
            yield f"{name} points to a sandbox; unset it, or set the vendor's own https address."
    for name in account_variables():
        if environment.get(name) == SANDBOX_ACCOUNT and name != "STRIPE_WEBHOOK_SECRETS":
            yield f"{name} is the sandbox's; set your account's."


def _stripe(environment: Environment) -> Iterator[str]:
    """EC-043: paid for with test money, nothing of value is given."""
    if environment.get("STRIPE_API_KEY", "").strip().startswith(TEST_KEYS):
        yield "STRIPE_API_KEY is a test key; set your account's live key (sk_live_... or rk_live_...)."
    for secret in environment.get("STRIPE_WEBHOOK_SECRETS", "").split(","):
        drawn = secret.strip().removeprefix(WEBHOOK_SECRET_HEAD)
        is_known = any(word in drawn for word in (SANDBOX_ACCOUNT, *SAMPLE_WORDS))
        if secret.strip() and (is_known or len(drawn) < SIGNING_CHARACTERS_MIN):
            yield (
                "STRIPE_WEBHOOK_SECRETS has one that can be guessed; set it to those that Stripe "
                "shows beside your endpoint."
            )
            return


def _public_url(environment: Environment) -> Iterator[str]:
    url = _split(environment.get("PUBLIC_URL", ""))
    if url.scheme != "https" or _is_loopback(url):
        yield "Set PUBLIC_URL to the https:// address that users see."


def _smtp(environment: Environment) -> Iterator[str]:
    """Its links let people in; STARTTLS is insisted on where it is asked for."""
    address = environment.get("SMTP_URL", "")
    if address and _split(address).scheme not in {"smtps", "smtp+starttls"}:
        yield (
            "SMTP_URL would send mails in clear; set it to smtps://user:password@host:465 or "
            "smtp+starttls://user:password@host:587."
        )


def _time_scale(environment: Environment) -> Iterator[str]:
    written = environment.get("LARGESSE_TIME_SCALE", "").strip() or "1"
    if re.fullmatch(r"0*1(\.0*)?", written) is None:
        yield "LARGESSE_TIME_SCALE is for tests; unset it in production."


def _second_factors(environment: Environment) -> Iterator[str]:
    written = environment.get("LARGESSE_REQUIRE_TOTP", "").strip().lower()
    if written and written not in _TRUE:
        yield (
            "LARGESSE_REQUIRE_TOTP=0 is for demos and tests; unset it: administrators need a "
            "second factor in production."
        )


def _queue(environment: Environment) -> Iterator[str]:
    url = _split(_queue_url(environment))
    is_reached = url.scheme in {"redis", "rediss", "amqp", "amqps"} and not _is_loopback(url)
    if is_reached and not url.password:
        yield (
            "QUEUE_URL has no password, and its server can be reached over the network; give "
            "the server one and write it into the address."
        )


def _passwords(environment: Environment) -> Iterator[str]:
    for name in (*_ADDRESSES, "QUEUE_URL", "REDIS_URL"):
        password = unquote(_split(environment.get(name, "")).password or "").lower()
        is_sample = any(word in password for word in SAMPLE_WORDS)
        if password and (password in KNOWN_PASSWORDS or is_sample):
            yield f"The password in {name} is a known sample; change it at the server. {MAKE_ONE}"


def _queue_url(environment: Environment) -> str:
    return environment.get("QUEUE_URL") or environment.get("REDIS_URL", "")


def _split(address: str) -> SplitResult:
    """An address that cannot be read is somebody else's fault to name."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _is_loopback(url: SplitResult) -> bool:
    host = (url.hostname or "").lower()
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _LOOPBACK_NAMES
