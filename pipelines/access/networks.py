"""Networks from which a key may be used: read strictly, and compared with an address. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

NETWORKS_MAX = 20
NETWORK_CHARACTERS_MAX = 64
NOT_A_NETWORK = "Give a network such as 203.0.113.0/24 or 2001:db8::/32."


def read_network(text: str) -> str | None:
    """The network's one spelling; None for what is none, or has bits beside its prefix."""
    if not text.isascii() or len(text) > NETWORK_CHARACTERS_MAX:
        return None
    try:
        network = ip_network(text, strict=True)
    except ValueError:
        return None
    if getattr(network.network_address, "scope_id", None):
        return None
    return str(network)


def is_within(address: str | None, networks: Sequence[str]) -> bool:
    """Whether the address is in one of the networks; nothing is within no networks at all."""
    found = _read_address(address)
    return found is not None and any(found in ip_network(network) for network in networks)


def _read_address(text: str | None) -> IPv4Address | IPv6Address | None:
    """An IPv4 caller of an IPv6 socket comes as ::ffff:192.0.2.1, and is the former."""
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
