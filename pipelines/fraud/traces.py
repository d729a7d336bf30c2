"""What a shopper leaves behind at a checkout, as digests of one client's own that nobody reads back.

A network's is also of one day: what somebody did last month is told from no address. An hour that
began yesterday is looked for by both days.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pipelines.access.users import normalised

#: How far back a network is looked for.
NETWORK_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Traces:
    """What is known of where and with what somebody came; None and () for what was not told."""

    #: Of today, and of yesterday while that is within the hour.
    networks: tuple[bytes, ...] = ()
    device: bytes | None = None
    mailbox: bytes | None = None


def traces_of(
    client_id: UUID,
    secret: bytes,
    now: datetime,
    *,
    network: str | None,
    device: str | None,
    email: str | None,
) -> Traces:
    """The digests of what a storefront told of a shopper."""

    def key(*told: str) -> bytes:
        text = b"fraud\0" + client_id.bytes + "\0".join(told).encode()
        return hmac.digest(secret, text, hashlib.sha256)

    return Traces(
        networks=() if network is None else _of_days(key, network, now),
        device=None if device is None else key("device", device),
        mailbox=None if email is None else key("mailbox", bare_mailbox(email)),
    )


def card_key(client_id: UUID, card: str) -> bytes:
    """What a card is known by at a client; `card` is told apart by a secret already."""
    return hashlib.sha256(b"card\0" + client_id.bytes + card.encode()).digest()


def bare_mailbox(email: str) -> str:
    """An address without dots and tags, whatever its provider makes of them: alike, not the same."""
    local, at, domain = normalised(email).rpartition("@")
    return f"{local.partition('+')[0].replace('.', '')}{at}{domain}"


def _of_days(key: Callable[..., bytes], network: str, now: datetime) -> tuple[bytes, ...]:
    days = dict.fromkeys((now.date(), (now - NETWORK_FOR).date()))
    return tuple(key("network", day.isoformat(), network) for day in days)
