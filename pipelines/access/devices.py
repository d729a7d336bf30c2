"""From where somebody signed in, as far as they need it to know their own: never a whole address."""

from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network

AGENT_CHARACTERS_MAX = 200
_IPV4_PREFIX, _IPV6_PREFIX = 24, 48


@dataclass(frozen=True, slots=True)
class Device:
    """The network and the program of a sign-in; None for what is not known."""

    network: str | None = None
    user_agent: str | None = None


UNKNOWN = Device()


def device(address: str | None, user_agent: str | None) -> Device:
    """The device behind a request's address and `User-Agent`."""
    agent = "".join(c if c.isprintable() else " " for c in user_agent or "").strip()
    return Device(network_of(address), agent[:AGENT_CHARACTERS_MAX] or None)


def network_of(address: str | None) -> str | None:
    """The network an address is of: /24 or /48; None for what is no address (SEC-40)."""
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    length = _IPV4_PREFIX if isinstance(parsed, IPv4Address) else _IPV6_PREFIX
    return str(ip_network((parsed, length), strict=False))
