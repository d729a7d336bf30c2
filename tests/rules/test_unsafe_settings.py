"""SEC-37: what production is not started with, one row for each refusal, and all of them at once."""

import base64
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.unsafe_settings import (
    KNOWN_PASSWORDS,
    SAMPLE_WORDS,
    production_faults,
    queue_in_clear,
    weakness,
)

ROOT = Path(__file__).parents[2]
GOOD_KEY = base64.b64encode(
    bytes.fromhex("9f3a0c7be1d24568a7b90f1e2d3c4b5a00ff81723645d8c9eaab1b2c3d4e5f60")
).decode()
GOOD = {
    "LARGESSE_MASTER_KEYS": f"1:{GOOD_KEY}",
    "LARGESSE_TOKEN_KEY": "Zq8rW2vN5xKc0LpYt7uHbG4mSfDa1jEi9oRkQwVz",
    "CRON_SECRET": "mB7cXr2Tq9Lw4Zk0NvYs6Hd1Gf8Jp3UaEo5iCxRt",
    "PUBLIC_URL": "https://gifts.acme.io",
    "QUEUE_URL": "rediss://:uT5wq0Rk2Vx9@broker.acme.io:6379/0",
    "DATABASE_WEB_URL": "postgresql://largesse_web:hG72kqPz0sVd@db.acme.io/largesse",
    "RELOADLY_BASE_URL": "https://giftcards.reloadly.com",
    "STRIPE_API_KEY": "sk_live_51Hk2LpYt7uHbG4mSfDa1jEi",
    "STRIPE_WEBHOOK_SECRETS": "whsec_Zq8rW2vN5xKc0LpYt7uHbG4mSfDa1jEi",
}
#: What is set (None = taken away), and how the fault begins.
REFUSED = [
    ({"LARGESSE_MASTER_KEYS": None}, "LARGESSE_MASTER_KEYS is missing; "),
    ({"LARGESSE_MASTER_KEYS": "1:a2V5"}, "LARGESSE_MASTER_KEYS: key 1 has 3 bytes; "),
    ({"LARGESSE_MASTER_KEYS": "1:???"}, "LARGESSE_MASTER_KEYS: key 1 is not base64; "),
    (
        {"LARGESSE_MASTER_KEYS": f"2:{GOOD_KEY},1:" + base64.b64encode(b"k" * 32).decode()},
        "LARGESSE_MASTER_KEYS: key 1 is a pattern that can be guessed; ",
    ),
    (
        {"LARGESSE_MASTER_KEYS": "1:" + base64.b64encode(bytes(range(32))).decode()},
        "LARGESSE_MASTER_KEYS: key 1 is a pattern that can be guessed; ",
    ),
    (
        {
            "LARGESSE_MASTER_KEYS": "1:"
            + base64.b64encode(b"changeme-Zq8rW2vN5xKc0LpYt7uHbG4").decode()
        },
        "LARGESSE_MASTER_KEYS: key 1 is a known sample; ",
    ),
    (
        {"LARGESSE_MASTER_KEYS": "1:changemechangemeQ0LpYt7uHbG4mSfDa1jEi9oRkQw="},
        "LARGESSE_MASTER_KEYS: key 1 is a known sample; ",
    ),
    ({"LARGESSE_TOKEN_KEY": None}, "LARGESSE_TOKEN_KEY is missing; "),
    (
        {"LARGESSE_TOKEN_KEY": "Zq8rW2vN5xKc0LpYt7uHbG4mSfDa1jE"},
        "LARGESSE_TOKEN_KEY has 31 bytes; ",
    ),
    ({"LARGESSE_TOKEN_KEY": "t" * 48}, "LARGESSE_TOKEN_KEY is a pattern"),
    ({"LARGESSE_TOKEN_KEY": "Zq8rW2vN5xKc" * 4}, "LARGESSE_TOKEN_KEY is a pattern"),
    ({"LARGESSE_TOKEN_KEY": "12345678901234567890123456789012"}, "LARGESSE_TOKEN_KEY is a pattern"),
    (
        {"LARGESSE_TOKEN_KEY": "your-secret-key-Zq8rW2vN5xKc0LpYt7"},
        "LARGESSE_TOKEN_KEY is a known sample",
    ),
    ({"CRON_SECRET": None}, "CRON_SECRET is missing; "),
    ({"CRON_SECRET": "short"}, "CRON_SECRET has 5 bytes; "),
    ({"FLASK_DEBUG": "1"}, "FLASK_DEBUG is on; unset it"),
    ({"LARGESSE_DEBUG": "true"}, "LARGESSE_DEBUG is on; unset it"),
    ({"FLASK_ENV": "development"}, "FLASK_ENV is development; unset it"),
    ({"CORS_ORIGINS": "https://acme.io,*"}, "CORS_ORIGINS lets every site in; unset it"),
    ({"LARGESSE_EMBEDDED": "1"}, "The embedded servers are for development; set DATABASE_"),
    (
        {"LARGESSE_HOME": "/srv/l", "QUEUE_URL": "unix:///srv/l/valkey/valkey.sock"},
        "The embedded servers are for development; set DATABASE_",
    ),
    (
        {"RELOADLY_BASE_URL": "http://127.0.0.1:8100/reloadly"},
        "RELOADLY_BASE_URL points to a sandbox",
    ),
    (
        {"RELOADLY_AUTH_URL": "https://auth-sandbox.reloadly.com"},
        "RELOADLY_AUTH_URL points to a sandbox",
    ),
    (
        {"RELOADLY_BASE_URL": "http://giftcards.reloadly.com"},
        "RELOADLY_BASE_URL points to a sandbox",
    ),
    (
        {"TREMENDOUS_BASE_URL": "https://testflight.tremendous.com/api/v2"},
        "TREMENDOUS_BASE_URL points to a sandbox",
    ),
    (
        {"GIFTBIT_BASE_URL": "https://api-testbed.giftbit.com/papi/v1"},
        "GIFTBIT_BASE_URL points to a sandbox",
    ),
    (
        {"TWILIO_BASE_URL": "http://127.0.0.1:8100/twilio"},
        "TWILIO_BASE_URL points to a sandbox",
    ),
    ({"TWILIO_AUTH_TOKEN": "sandbox"}, "TWILIO_AUTH_TOKEN is the sandbox's; "),
    ({"RELOADLY_CLIENT_ID": "sandbox"}, "RELOADLY_CLIENT_ID is the sandbox's; "),
    (
        {"STRIPE_API_BASE": "http://127.0.0.1:8100/stripe"},
        "STRIPE_API_BASE points to a sandbox",
    ),
    ({"STRIPE_API_KEY": "sk_test_51Hk2"}, "STRIPE_API_KEY is a test key; "),
    ({"STRIPE_API_KEY": "rk_test_51Hk2"}, "STRIPE_API_KEY is a test key; "),
    (
        {"STRIPE_WEBHOOK_SECRETS": "whsec_Zq8rW2vN5xKc0LpYt7uHbG4mSfDa1jEi,whsec_sandbox"},
        "STRIPE_WEBHOOK_SECRETS has one that can be guessed; ",
    ),
    (
        {"STRIPE_WEBHOOK_SECRETS": "whsec_changemechangemechangeme"},
        "STRIPE_WEBHOOK_SECRETS has one that can be guessed; ",
    ),
    ({"PUBLIC_URL": None}, "Set PUBLIC_URL to the https:// address"),
    ({"PUBLIC_URL": "http://gifts.acme.io"}, "Set PUBLIC_URL to the https:// address"),
    ({"PUBLIC_URL": "https://127.0.0.1:8000"}, "Set PUBLIC_URL to the https:// address"),
    ({"SMTP_URL": "smtp://mx.acme.io"}, "SMTP_URL would send mails in clear"),
    ({"LARGESSE_TIME_SCALE": "0.02"}, "LARGESSE_TIME_SCALE is for tests; unset it"),
    ({"LARGESSE_REQUIRE_TOTP": "0"}, "LARGESSE_REQUIRE_TOTP=0 is for demos and tests; unset it"),
    ({"QUEUE_URL": "redis://broker.acme.io:6379/0"}, "QUEUE_URL has no password"),
    (
        {"QUEUE_URL": "amqp://guest:guest@broker.acme.io/"},
        "The password in QUEUE_URL is a known sample",
    ),
    (
        {"DATABASE_WEB_URL": "postgresql://largesse_web:postgres@db.acme.io/largesse"},
        "The password in DATABASE_WEB_URL is a known sample",
    ),
    (
        {"DATABASE_WEB_URL": "postgresql://largesse_web:ChangeMe1@db.acme.io/largesse"},
        "The password in DATABASE_WEB_URL is a known sample",
    ),
]


def changed(changes: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in (GOOD | changes).items() if value is not None}


def test_an_environment_in_order_is_not_refused() -> None:
    assert production_faults(GOOD, process="web") == []


@pytest.mark.parametrize("name", ["LARGESSE_REQUIRE_TOTP", "LARGESSE_TIME_SCALE"])
def test_an_empty_variable_counts_as_unset(name: str) -> None:
    """Compose files pass on what nobody set as an empty word."""
    assert production_faults(GOOD | {name: ""}, process="web") == []
    for url in ("smtps://mx.acme.io", "smtp+starttls://mx.acme.io"):
        assert production_faults(GOOD | {"SMTP_URL": url}, process="deliveries") == []


@pytest.mark.parametrize(("changes", "sentence"), REFUSED)
def test_sec037_each_fault_is_named_alone_with_how_to_mend_it(
    changes: dict[str, str | None], sentence: str
) -> None:
    """SEC-37"""
    (fault,) = production_faults(changed(changes), process="web")

    assert fault.startswith(sentence)
    assert re.search(r"\b(set|unset|make|change|give)\b", fault.lower())


def test_sec037_all_faults_are_named_at_once() -> None:
    """SEC-37: nobody mends one, starts again, and is told the next."""
    everything = {
        "LARGESSE_MASTER_KEYS": "1:a2V5",
        "LARGESSE_TOKEN_KEY": "t" * 48,
        "FLASK_DEBUG": "1",
        "CORS_ORIGINS": "*",
        "LARGESSE_EMBEDDED": "1",
        "RELOADLY_CLIENT_ID": "sandbox",
        "LARGESSE_TIME_SCALE": "0.5",
        "QUEUE_URL": "redis://broker/0",
    }

    faults = production_faults(everything, process="web")

    assert len(faults) == 10
    assert len(set(faults)) == 10


def test_only_the_front_needs_the_secret_of_the_metrics() -> None:
    assert production_faults(changed({"CRON_SECRET": None}), process="bulk") == []
    assert len(production_faults(changed({"CRON_SECRET": "short"}), process="bulk")) == 1


def test_no_fault_shows_the_value_it_is_about() -> None:
    """SEC-26: the sentence goes to the log."""
    for changes, _sentence in REFUSED:
        told = " ".join(production_faults(changed(changes), process="web"))
        secret = [
            v for n, v in changes.items() if v and n.endswith(("_KEY", "_KEYS", "_SECRET", "_URL"))
        ]
        assert [value for value in secret if value in told] == []


@given(st.binary(min_size=32, max_size=48))
def test_a_secret_that_was_drawn_is_hardly_ever_taken_for_a_pattern(drawn: bytes) -> None:
    """Draws of Hypothesis are simple on purpose; real ones have at least twenty different bytes."""
    if len(set(drawn)) >= 20 and len({b - a for a, b in itertools.pairwise(drawn)}) > 24:
        assert weakness(drawn) is None or any(w.encode() in drawn.lower() for w in SAMPLE_WORDS)


@pytest.mark.parametrize(
    ("url", "in_clear"),
    [
        ("redis://:p@redis:6379/0", True),
        ("amqp://u:p@10.0.0.7/", True),
        ("rediss://:p@redis:6379/0", False),
        ("redis://:p@127.0.0.1:6379/0", False),
        ("redis://:p@[::1]:6379/0", False),
        ("unix:///run/redis.sock", False),
    ],
)
def test_a_broker_in_clear_over_the_network_is_warned_of(url: str, in_clear: bool) -> None:
    assert queue_in_clear({"QUEUE_URL": url}) is in_clear


def test_every_secret_that_our_own_pages_show_is_refused() -> None:
    """SEC-37: what stands in a document is copied from there."""
    pages = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "docker-compose.yml",
        ROOT / "Makefile",
    ]
    shown = re.compile(r"\b(LARGESSE_TOKEN_KEY|CRON_SECRET|[A-Z_]*PASSWORD)=([\w+/=.-]{4,})")
    found = [hit for page in pages for hit in shown.findall(page.read_text(encoding="utf-8"))]
    good = [
        (name, value)
        for name, value in found
        if weakness(value.encode()) is None and value.lower() not in KNOWN_PASSWORDS
    ]

    assert good == []
