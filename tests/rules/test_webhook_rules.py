"""Where an endpoint may be, how it is signed for, and when it is tried again (EC-133, EC-134, SEC-25)."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pipelines.webhooks.addresses import RULES, is_public, url_fault
from pipelines.webhooks.signing import secret_of, signature
from pipelines.webhooks.steps import ATTEMPTS_MAX, PATIENCE, Trouble, trouble, wait_after

NOW = datetime(2026, 11, 27, 15, tzinfo=UTC)

INSIDE = [
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
OUTSIDE = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]


@pytest.mark.parametrize("address", INSIDE)
def test_sec025_an_address_inside_is_never_reached(address: str):
    """SEC-25"""
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_somebody_else_is_reached(address: str):
    assert is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "0x7f.1", "999.1.1.1"])
def test_what_is_no_address_is_not_reached(text: str):
    assert not is_public(text)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://hooks.example.com/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://hooks.example.com/", "scheme"),
        ("//hooks.example.com/", "scheme"),
        ("hooks.example.com", "scheme"),
        ("https://user:p@hooks.example.com/", "credentials"),
        ("https://hooks.example.com@127.0.0.1/", "credentials"),
        ("https://hooks.example.com:22/", "port"),
        ("https://hooks.example.com:0/", "port"),
        ("https://hooks.example.com:99999/", "host"),
        ("https://hooks.example.com/#part", "fragment"),
        ("https://127.0.0.1/", "host"),
        ("https://127.1/", "host"),
        ("https://2130706433/", "host"),
        ("https://0x7f000001/", "host"),
        ("https://0x7f.0.0.0x1/", "host"),
        ("https://017700000001/", "host"),
        ("https://[::ffff:127.0.0.1]/", "host"),
        ("https://[::1]/", "host"),
        ("https://localhost/", "host"),
        ("https://metadata/", "host"),
        ("https:///path", "host"),
        ("https://a..example.com/", "host"),
        ("https://hooks.example.com\\@evil.example/", "characters"),
        ("https://hooks.example.com/a b", "characters"),
        ("https://hooks.example.com/\r\nX: 1", "characters"),
        ("https://b\u00fccher.example/", "characters"),
        ("https://hooks.example.com/" + "a" * 3000, "too_long"),
    ],
)
def test_j21_a_url_that_may_be_no_endpoint_s_is_refused_by_its_rule(url: str, rule: str):
    assert url_fault(url, anywhere=False) == rule
    assert rule in RULES


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/",
        "https://hooks.example.com:8443/in?a=b&c=%20",
        "https://HOOKS.example.com./",
        "https://xn--bcher-kva.example/",
    ],
)
def test_an_ordinary_url_is_an_endpoint_s(url: str):
    assert url_fault(url, anywhere=False) is None


def test_at_a_desk_plain_http_and_numbers_are_taken_and_credentials_are_not():
    assert url_fault("http://127.0.0.1:8100/receiver/a", anywhere=True) is None
    assert url_fault("http://u:p@127.0.0.1:8100/", anywhere=True) == "credentials"


def test_ec134_a_signature_has_one_part_for_each_secret_that_is_good():
    """EC-134: two during a rotation; each over the seconds, a dot, and the very bytes."""
    endpoint, key = UUID(int=1), b"k" * 32
    new, old = (secret_of(endpoint, version, key=key) for version in (2, 1))

    said = signature(b'{"a":1}', [new, old], at=NOW)

    stamp = str(int(NOW.timestamp()))
    expected = [
        hmac.new(secret.encode(), stamp.encode() + b'.{"a":1}', hashlib.sha256).hexdigest()
        for secret in (new, old)
    ]
    assert said == f"t={stamp},v1={expected[0]},v1={expected[1]}"
    assert new != old
    assert len({secret_of(UUID(int=n), v, key=key) for n in (1, 2) for v in (1, 2)}) == 4


def test_ec133_eight_tries_fit_into_a_day_and_chance_only_shortens_waits():
    """EC-133"""
    longest = [wait_after(n, draw=lambda: 0.0) for n in range(1, ATTEMPTS_MAX + 1)]
    shortest = [wait_after(n, draw=lambda: 0.999) for n in range(1, ATTEMPTS_MAX)]

    assert longest.pop() is None
    waits = [wait for wait in longest if wait is not None]
    assert len(waits) == 7
    assert timedelta(hours=23) < sum(waits, timedelta()) <= timedelta(hours=24)
    assert waits == sorted(waits)
    assert all(less is not None and less < wait for less, wait in zip(shortest, waits, strict=True))


@pytest.mark.parametrize(
    ("lasted", "level"),
    [
        (timedelta(0), Trouble.BEGUN),
        (timedelta(hours=23, minutes=59), Trouble.BEGUN),
        (timedelta(days=1), Trouble.A_DAY),
        (PATIENCE - timedelta(seconds=1), Trouble.A_DAY),
        (PATIENCE, Trouble.DISABLED),
    ],
)
def test_ec133_trouble_grows_with_time(lasted: timedelta, level: Trouble):
    """EC-133"""
    assert trouble(NOW - lasted, now=NOW) is level
    assert trouble(None, now=NOW) is Trouble.NONE
