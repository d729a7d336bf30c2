"""Ports, servers and environment of a stack: what is given wins, what is wrong is said."""

import socket
from contextlib import contextmanager

import pytest

from ops.home import free_port
from ops.stack import Plan, entries_of
from ops.surroundings import (
    SANDBOX,
    Addresses,
    HalfOfTheServers,
    PortTaken,
    PortUnreadable,
    addresses,
    connections_needed,
    master_keys,
    process_environment,
    uses_own_servers,
)
from pipelines.sealing import Keyring
from pipelines.vendor_settings import read_stripe_settings

URLS = {
    f"largesse_{login}": f"postgresql://largesse_{login}@db/largesse"
    for login in ("owner", "web", "worker", "system", "readonly")
}
WHERE = Addresses(web_port=8055, sandbox_port=8155, smtp_port=8180)


@contextmanager
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def environment(home, given, *, name="demo"):
    return process_environment(
        home,
        given,
        database_urls=URLS,
        queue_url="redis://store/0",
        where=WHERE,
        environment_name=name,
    )


def test_the_ports_are_those_that_were_asked_for():
    web, sandbox, smtp = free_port(), free_port(), free_port()
    asked = {"PORT": web, "SANDBOX_PORT": sandbox, "SANDBOX_SMTP_PORT": smtp}

    found = addresses({name: str(port) for name, port in asked.items()})

    assert found == Addresses(web, sandbox, smtp)
    assert found.web_url == f"http://127.0.0.1:{web}"


@pytest.mark.parametrize("name", ["PORT", "SANDBOX_PORT", "SANDBOX_SMTP_PORT"])
def test_a_taken_port_is_refused_by_its_name(name):
    with taken_port() as port:
        asked = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())} | {name: str(port)}

        with pytest.raises(PortTaken) as refused:
            addresses(asked, web_may_move=True)

    assert refused.value.detail == (
        f"Port {port} is in use by another program; set {name} to a free one, or stop that program."
    )


@pytest.mark.parametrize("value", ["x", "-1", "0", "65536", "80.5"])
def test_a_port_that_is_none_is_refused(value):
    with pytest.raises(PortUnreadable):
        addresses({"PORT": value})


@pytest.mark.parametrize(
    ("given", "own"),
    [
        ({}, False),
        ({"DATABASE_URL": "postgresql://x", "REDIS_URL": "redis://x"}, True),
        ({"DATABASE_WEB_URL": "postgresql://x", "QUEUE_URL": "redis://x"}, True),
    ],
)
def test_servers_are_embedded_unless_both_are_named(given, own):
    assert uses_own_servers(given) is own


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"DATABASE_URL": "postgresql://x"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://x"}, "DATABASE_URL"),
    ],
)
def test_one_server_alone_is_refused(given, missing):
    with pytest.raises(HalfOfTheServers) as refused:
        uses_own_servers(given)

    assert refused.value.detail.startswith(f"Set {missing}")


def test_processes_are_told_where_everything_is_but_not_how_to_change_the_schema(home):
    told = environment(home, {"DATABASE_URL": "postgresql://admin", "PATH": "/bin", "LANG": "C"})

    assert {key: told[key] for key in told if key.startswith("DATABASE_")} == {
        "DATABASE_WEB_URL": URLS["largesse_web"],
        "DATABASE_WORKER_URL": URLS["largesse_worker"],
        "DATABASE_SYSTEM_URL": URLS["largesse_system"],
        "DATABASE_READONLY_URL": URLS["largesse_readonly"],
    }
    assert told["QUEUE_URL"] == "redis://store/0"
    assert (told["PORT"], told["PUBLIC_URL"]) == ("8055", "http://127.0.0.1:8055")
    assert told["LANG"] == "C"
    assert told["PATH"].endswith("/bin:/bin")


def test_in_a_demo_the_vendors_are_the_sandbox_unless_another_is_named(home):
    told = environment(home, {"RELOADLY_BASE_URL": "http://other"})

    assert told["RELOADLY_AUTH_URL"] == "http://127.0.0.1:8155/reloadly/auth"
    assert told["RELOADLY_BASE_URL"] == "http://other"
    assert "RELOADLY_BASE_URL" not in environment(home, {}, name="production")


def test_in_a_demo_the_sandbox_signs_with_what_the_house_checks(home):
    told = environment(home, {})
    given = environment(home, {"STRIPE_WEBHOOK_SECRETS": "whsec_mine"})
    command = next(e.command for e in entries_of(Plan("demo"), home, WHERE) if e.name == SANDBOX)

    settings = read_stripe_settings(told, [])
    assert settings is not None
    assert settings.base_url == "http://127.0.0.1:8155/stripe"
    assert settings.webhook_secrets == (f"whsec_{home.secret('stripe_webhooks')}",)
    assert given["STRIPE_WEBHOOK_SECRETS"] == "whsec_mine"
    assert "--stripe-webhooks http://127.0.0.1:8055/api/v1/webhooks/stripe" in command
    assert "whsec_" not in command


def test_the_secrets_of_a_folder_stay_and_given_ones_win(home):
    first, second = environment(home, {}), environment(home, {})
    own = environment(home, {"LARGESSE_TOKEN_KEY": "g" * 32})

    for name in ("LARGESSE_MASTER_KEYS", "LARGESSE_TOKEN_KEY", "CRON_SECRET"):
        assert first[name] == second[name]
    assert own["LARGESSE_TOKEN_KEY"] == "g" * 32
    Keyring.parse(master_keys(home))


def test_ec137_connections_add_up_with_heartbeats_tools_and_what_was_set():
    """EC-137: each process holds one connection beside its pool."""
    assert connections_needed(["web", "vendors", "sandbox"], {}) == 19 + 25 + 6
    assert connections_needed(["web"], {"LARGESSE_WEB_THREADS": "4"}) == 5 + 6
