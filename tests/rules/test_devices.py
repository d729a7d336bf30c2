"""What a sign-in keeps of where it came from: a network, never a whole address (SEC-40)."""

import pytest

from pipelines.access.devices import AGENT_CHARACTERS_MAX, Device, device
from pipelines.audit.circumstances import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", None),
        (None, None),
        ("not an address", None),
    ],
)
def test_an_address_is_cut_to_its_network(address: str | None, network: str | None):
    assert network_of(address) == network


def test_a_program_names_itself_in_one_short_line():
    told = device("203.0.113.77", "curl/8\r\nSet-Cookie: x" + "y" * 500)

    assert told.user_agent is not None
    assert len(told.user_agent) == AGENT_CHARACTERS_MAX
    assert told.user_agent.startswith("curl/8  Set-Cookie: x")
    assert device(None, None) == Device(None, None)
