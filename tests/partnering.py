"""A partner for tests: its site's backend signs tokens, and its users visit the widget."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.partners.claim import Asked, claim_coupon
from pipelines.partners.open_session import OpenedSession, Place, open_session
from pipelines.partners.partners import create_partner
from pipelines.partners.refusals import TokenReplayed
from pipelines.partners.rules import OfferWanted, PartnerWanted
from pipelines.partners.secrets import rotate_secret
from pipelines.partners.sessions import find_visitor
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import put_codes
from tests.seeding import ACTOR, Seeded
from tests.web.conftest import Caller

SITE = "https://shop.example"


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner as its own backend knows itself."""

    id: UUID
    secret: str = field(repr=False)
    house: House = field(repr=False)

    def token(self, user: str = "user-1", **members: Any) -> str:
        """A token for one of its users, made now by the database's clock; None leaves a member out."""
        return sign(self.claims(user) | members, self.secret)

    def claims(self, user: str = "user-1") -> dict[str, Any]:
        now = int(now_of(self.house).timestamp())
        return {
            "iss": str(self.id),
            "aud": "largesse",
            "sub": user,
            "iat": now,
            "exp": now + 180,
            "jti": str(uuid4()),
        }


def now_of(house: House) -> datetime:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return clock.now(session)


def sign(claims: dict[str, Any], secret: str, **options: Any) -> str:
    """As a partner's backend does it: the secret is decoded first; members of None are left out."""
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, base64.b64decode(secret), **({"algorithm": "HS256"} | options))


def make_partner(
    house: House,
    seeded: Seeded,
    *book_ids: UUID,
    origins: Sequence[str] = (SITE,),
    time_zone: str = "UTC",
    name: str = "Shop",
) -> Partner:
    """A partner with a secret that offers these books, each as `Offer N`."""
    offers = [OfferWanted(book, f"Offer {place}") for place, book in enumerate(book_ids, 1)]
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        made = create_partner(
            session,
            seeded.client_id,
            PartnerWanted(name, time_zone, list(origins), offers),
            actor_id=ACTOR,
            anywhere=True,
            now=now,
        )
        drawn = rotate_secret(
            session,
            made,
            overlap_seconds=3600,
            actor_id=ACTOR,
            keyring=house.settings.keyring,
            now=now,
        )
    return Partner(made, drawn.text, house)


def present(app: Flask, token: str, **headers: str) -> TestResponse:
    """A token at the door; no page asks unless an Origin is given."""
    return Caller(app.test_client()).post("/session-from-token", {"token": token}, **headers)


def visit(app: Flask, partner: Partner, user: str = "user-1", **headers: str) -> Caller:
    """A user of the partner with a session."""
    answer = present(app, partner.token(user), **headers)
    assert answer.status_code == 201, answer.text
    return Caller(
        app.test_client(), {"Authorization": f"Bearer {answer.json['session_token']}", **headers}
    )


class Forgetful:
    """A memory of spent tokens that has just been emptied."""

    def knows(self, partner_id: UUID, digest: bytes) -> bool:
        return False

    def keep(self, partner_id: UUID, digest: bytes, *, seconds: int) -> None:
        pass


def opened(partner: Partner, token: str) -> OpenedSession:
    """A visit that the partner's own server opens."""
    house = partner.house
    keyring = house.settings.keyring
    return open_session(house.sessions, token, Place(None), keyring=keyring, memory=Forgetful())


def full_partner(house: House, seeded: Seeded) -> Partner:
    """A partner with a row in each of its tables: its user has claimed, and came with a spent token."""
    book_id = make_book(house, seeded)
    put_codes(house, seeded, book_id, 2)
    partner = make_partner(house, seeded, book_id)
    token = partner.token()
    visit = opened(partner, token)
    with pytest.raises(TokenReplayed):
        opened(partner, token)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        who = find_visitor(session, visit.token, None, now=clock.now(session))
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        claim_coupon(session, who, Asked(), now=clock.now(session))
    return partner


def shown(me: Caller) -> list[str]:
    """The ids of what may be claimed."""
    return [one["id"] for one in me.get("/available-coupons").json["data"]]


def told(answer: Any) -> tuple[int, str]:
    """How a request was refused."""
    return answer.status_code, answer.json["code"]
