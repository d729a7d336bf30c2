"""A client with a manager and people, for tests of what it gives and redeems."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from models.books import CouponState
from models.people import Role
from pipelines.wiring import House
from tests.booking import make_book
from tests.couponing import (
    act,
    end_of,
    id_of,
    other_person,
    put_codes,
)
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in

S = CouponState


@dataclass(frozen=True, slots=True)
class Shop:
    """A client with a manager, and people who get coupons."""

    house: House
    seeded: Seeded
    manager: Caller
    ann: Caller
    bob: UUID

    def assign(self, book_id: UUID, user_id: UUID | None = None) -> tuple[int, dict[str, Any]]:
        asked = {"book_id": str(book_id), "user_id": str(user_id or id_of(self.ann))}
        return end_of(self.house, self.manager, act(self.manager, "/coupons/assign", asked))

    def redeem(self, code: str) -> tuple[int, dict[str, Any]]:
        return end_of(self.house, self.ann, act(self.ann, f"/coupons/redeem/{code}"))

    def book(self, coupons: int, **rules: Any) -> UUID:
        book_id = make_book(self.house, self.seeded, **rules)
        put_codes(self.house, self.seeded, book_id, coupons)
        return book_id


@pytest.fixture
def shop(app: Flask, house: House, seeded: Seeded, manager: Caller) -> Shop:
    ann = signed_in(app, house, Role.CLIENT_VIEWER, seeded, name="ann.")
    return Shop(house, seeded, manager, ann, other_person(house, seeded))


def said(outcome: tuple[int, dict[str, Any]]) -> tuple[int, str, str]:
    status, body = outcome
    return status, body.get("code", ""), body.get("detail", "")


def state(house: House) -> list[Any]:
    """Everything that giving and redeeming may change."""
    return [
        sorted(map(tuple, rows(house, f"SELECT * FROM {table}")))
        for table in ("coupon_counts", "coupon_events", "open_redemptions", "client_users")
    ] + [sorted(tuple(row) for row in rows(house, "SELECT id, state, version FROM coupons"))]
