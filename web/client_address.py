"""Where a request comes from: believed of our own proxies, counted by network."""

import ipaddress
import re

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

#: Whoever has one address of an IPv6 network has them all.
IPV6_PREFIX = 64
#: The network of all whose address cannot be read: they share one count.
UNREADABLE = "unreadable"
_WITH_PORT = re.compile(r"\[?([0-9A-Fa-f.:]+?)\]?:\d{1,5}")


def trust_proxies(app: Flask, proxies: int) -> None:
    """Believe exactly so many proxies of ours about address and scheme, and nobody else.

    What a caller writes into `X-Forwarded-For` stands before what they append; without proxies the
    header is not read at all. No proxy is believed about the host: its name is PUBLIC_URL's.
    """
    if proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=0, x_port=0, x_prefix=0
        )


def client_network() -> str:
    """The network that sent this request, under which its requests are counted."""
    return network_of(request.remote_addr or "")


def network_of(text: str) -> str:
    """An IPv4 address as it is, an IPv6 address by its /64; `unreadable` for anything else."""
    try:
        address = ipaddress.ip_address(_without_port(text).partition("%")[0])
    except ValueError:
        return UNREADABLE
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))


def _without_port(text: str) -> str:
    """Some proxies write the port as well."""
    if text.count(":") == 1 or text.startswith("["):
        match = _WITH_PORT.fullmatch(text)
        return match[1] if match else text.strip("[]")
    return text
