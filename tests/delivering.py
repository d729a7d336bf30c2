"""Send the links of cards by mail the way the doors do, and open cards by what arrived."""

import re
from typing import Any
from uuid import UUID

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.deliveries.resend import Resend, resend
from pipelines.provisioning.reveal import facts_by_token
from pipelines.provisioning.reveal_link import open_by_link
from pipelines.wiring import House
from tests.driving import drain, rows, submit
from tests.seeding import ACTOR, Seeded
from tests.vendor import Sandbox

ADA, BOB = "ada@example.com", "bob@example.com"
LINK = re.compile(r"http://127\.0\.0\.1:8000/r/([\w-]+)")


def issue(house: House, seeded: Seeded, *addresses: str, method: str = "email") -> UUID:
    """A job whose cards are issued and whose links were tried once."""
    listed = [{"email": address} for address in addresses]
    job_id = submit(house, seeded, listed, delivery_method=method)
    drain(house)
    return job_id


def provision(house: House, position: int = 1) -> Any:
    (row,) = rows(house, "SELECT * FROM provisions WHERE position = :position", position=position)
    return row


def link(sandbox: Sandbox, to: str) -> str:
    """The token of the newest link that somebody got."""
    found = LINK.search(sandbox.mails(to)[0]["text"])
    assert found is not None
    return found[1]


def again(house: House, seeded: Seeded, provision_id: UUID | None = None, **asked: Any) -> None:
    """Send the link of a card once more: of the only one, if none is named."""
    wanted = Resend(provision_id or provision(house).id, **asked)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        resend(
            session,
            wanted,
            actor_id=ACTOR,
            key=None,
            keyring=house.settings.keyring,
            person_secret=house.person_secret,
        )
    drain(house)


def opened(house: House, seeded: Seeded, token: str, address: str) -> bool:
    """Whether the card of a link opens for somebody who says this address is theirs."""
    keyring = house.settings.keyring
    with scoped_transaction(house.sessions, SYSTEM) as session:
        facts = facts_by_token(session, token, keyring)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        card = open_by_link(
            session,
            facts.provision_id,
            address,
            person_secret=house.person_secret,
            keyring=keyring,
            now=clock.now(session),
        )
    return card is not None
