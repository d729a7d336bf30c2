"""Where a widget may be shown: origins as browsers write them, compared character by character."""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from pipelines.errors import FieldError

ORIGINS_MAX = 20
ORIGIN_CHARACTERS_MAX = 255
#: Of all together: they stand in one header, for which proxies have little room.
CHARACTERS_MAX = 2_000
#: What a browser sends of a page that has no site: a file, or a frame that was cut off.
OPAQUE = "null"
_HOST = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_DEFAULT_PORTS = {"https": 443, "http": 80}
_SHAPE = "Give an origin as a browser sends it, such as https://shop.example: no path, lower case."


def origin_fault(origin: str, *, anywhere: bool) -> str | None:
    """What is wrong with an origin, in words; None for one that is as a browser writes it.

    `anywhere`: not in production, where it may be plain http and an address of this machine.
    """
    if len(origin) > ORIGIN_CHARACTERS_MAX or "*" in origin:
        return f"Name each origin by itself, without wildcards. {_SHAPE}"
    if origin.startswith("http:") and not anywhere:
        return "An origin in production is https: what is read over http can be changed on its way."
    is_written_so = origin == _as_browsers_write(origin)
    host = urlsplit(origin).hostname if is_written_so else None
    return None if host is not None and _is_host(host, anywhere=anywhere) else _SHAPE


def _as_browsers_write(text: str) -> str | None:
    """The origin of an address, in lower case and without the port of its scheme; None for no address."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    shown = "" if port in (None, 0, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{parts.hostname}{shown}"


def origin_errors(origins: Sequence[str], *, anywhere: bool) -> list[FieldError]:
    """What is wrong with a partner's list, each with its place."""
    faults = []
    if sum(map(len, origins)) > CHARACTERS_MAX:
        detail = f"At most {CHARACTERS_MAX:,} characters in all: they have to go into one header."
        faults.append(FieldError("too_long", detail, pointer="/origins"))
    for place, origin in enumerate(origins):
        fault = origin_fault(origin, anywhere=anywhere)
        if fault is None and origin in origins[:place]:
            fault = "This origin stands in the list already."
        if fault is not None:
            faults.append(FieldError("invalid_origin", fault, pointer=f"/origins/{place}"))
    return faults


def _is_host(host: str, *, anywhere: bool) -> bool:
    if not _HOST.fullmatch(host):
        return False
    if anywhere:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        # One word is a machine inside a network, and digits at the end an address written oddly.
        return "." in host and not host.rpartition(".")[2].isdigit()
    return False
