"""Addresses are counted by network (SEC-18)."""

import pytest

from web.client_address import UNREADABLE, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:5123", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", UNREADABLE),
        ("evil", UNREADABLE),
        ("203.0.113.9, 198.51.100.1", UNREADABLE),
        ("203.0.113.999", UNREADABLE),
    ],
)
def test_one_network_has_one_name(address: str, network: str):
    assert network_of(address) == network
