"""Which addresses of the net an endpoint may have, by its URL and by where its name leads (SEC-25)."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

URL_CHARACTERS_MAX = 2048
PORTS = frozenset({443, 8443})
#: Global by the registries, and yet not somewhere else: a cloud's own services, relays that lead
#: back inside, and addresses that stand for others.
_INSIDE = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b::/96",
        "2001::/32",
        "2002::/16",
        "::ffff:0:0/96",
        "::/96",
    )
)
#: What no URL holds as it is; some readers stop at a backslash, and others do not.
_NEVER = frozenset(' \\"<>^`{|}')
#: Rule -> what to write instead.
RULES = {
    "too_long": f"Give an address of at most {URL_CHARACTERS_MAX} characters.",
    "characters": "Give an address in ASCII without blanks; write other names in punycode.",
    "scheme": "Give an address that begins with https://.",
    "credentials": "Leave user and password out of the address: check the signature instead.",
    "host": "Give the full name of a host, such as hooks.example.com, and not a number.",
    "port": "Use port 443 or 8443.",
    "fragment": "Leave out the part after #: it is never sent.",
}


def url_fault(url: str, *, anywhere: bool) -> str | None:
    """The rule that a URL breaks, a key of `RULES`; None if it may be an endpoint's.

    `anywhere`: not in production, where plain http, any port and numbers are useful.
    """
    if len(url) > URL_CHARACTERS_MAX:
        return "too_long"
    if not url.isascii() or not url.isprintable() or set(url) & _NEVER:
        return "characters"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "host"
    broken = {
        "scheme": parts.scheme not in ({"https", "http"} if anywhere else {"https"}),
        "credentials": "@" in parts.netloc,
        "fragment": "#" in url,
        "host": not host or not (anywhere or _is_name(host)),
        "port": port == 0 or not (anywhere or (port or 443) in PORTS),
    }
    return next((rule for rule, is_broken in broken.items() if is_broken), None)


def _is_name(host: str) -> bool:
    """A name with a dot whose last part is no number, as numbers in any spelling end."""
    labels = host.removesuffix(".").split(".")
    return (
        len(labels) > 1
        and len(host) <= 253
        and all(
            0 < len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum()
            for label in labels
        )
        and labels[-1][:1].isalpha()
    )


def is_public(address: str) -> bool:
    """Whether an IP address, as the resolver gave it, belongs to somebody else on the internet."""
    try:
        ip: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.is_site_local:
        return False
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified:
        return False
    return not any(ip in network for network in _INSIDE if network.version == ip.version)
