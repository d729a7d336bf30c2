"""Networks of API keys: one spelling, no address inside them, and who is within (SEC-05)."""

import pytest

from pipelines.access.networks import is_within, read_network


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("203.0.113.7", "203.0.113.7/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("203.0.113.7/24", None),
        ("203.0.113.0/33", None),
        ("203.0.113/24", None),
        ("0313.0.113.0/24", None),
        ("fe80::1%eth0", None),
        ("shop.example", None),
        ("", None),
        ("٢٠٣.0.113.0/24", None),
        ("1" * 65, None),
    ],
)
def test_a_network_has_one_spelling_or_is_none(text: str, network: str | None):
    assert read_network(text) == network


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("203.0.113.255", True),
        ("203.0.114.0", False),
        ("::ffff:203.0.113.9", True),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        (None, False),
        ("not an address", False),
    ],
)
def test_an_address_is_within_or_not(address: str | None, answer: bool):
    assert is_within(address, ("203.0.113.0/24", "2001:db8::/32")) is answer


def test_nothing_is_within_no_networks():
    assert is_within("203.0.113.9", ()) is False
