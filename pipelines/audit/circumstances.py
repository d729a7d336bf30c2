"""From where and as whom a request acts: bound by the doors, written into its audit entries."""

import ipaddress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from uuid import UUID

#: What of an address is kept: enough to see that two acts came from one network.
_KEPT_BITS = {4: 24, 6: 48}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a door knows of the request that it serves."""

    #: The client's network, already cut; see `network_of`.
    address: str | None = None
    #: What stands for the program that asks: a keyed digest of its own words (S4-111).
    agent: str | None = None
    actor_id: UUID | None = None
    actor_role: str | None = None
    on_behalf_of: UUID | None = None


_NOBODY = Circumstances()
_current: ContextVar[Circumstances] = ContextVar("audit_circumstances", default=_NOBODY)


def circumstances() -> Circumstances:
    """Those of this request; empty in workers and commands."""
    return _current.get()


def come_from(address: str | None, *, agent: str | None = None) -> None:
    """A request begins: it comes from `address`, and nobody is known yet."""
    _current.set(Circumstances(address=network_of(address), agent=agent))


def act_as(actor_id: UUID, role: str, *, on_behalf_of: UUID | None = None) -> None:
    """The caller is known: what is recorded of this actor carries the role."""
    _current.set(
        replace(_current.get(), actor_id=actor_id, actor_role=role, on_behalf_of=on_behalf_of)
    )


def forget() -> None:
    """The request is over; threads are reused."""
    _current.set(_NOBODY)


def network_of(address: str | None) -> str | None:
    """The address cut to its network: IPv4 to /24, IPv6 to /48; None for what is none."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    kept = mapped or found
    return str(ipaddress.ip_network((kept, _KEPT_BITS[kept.version]), strict=False))
