"""Give the demo's books their codes, and some people their first coupons."""

from typing import Any
from uuid import UUID

from ops.client import Api
from ops.demo import ids
from ops.demo.seed_books import BOOKS

#: Whom the notes' ten coupons belong to from the start (S1-071).
ASSIGNED: tuple[tuple[UUID, UUID], ...] = (
    (ids.SUMMER_SALE, ids.ALICE),
    (ids.SUMMER_SALE, ids.BOB),
    (ids.SUMMER_SALE, ids.CHARLIE),
    (ids.SUMMER_SALE, ids.DIANA),
    (ids.VIP_REWARDS, ids.ALICE),
    (ids.VIP_REWARDS, ids.BOB),
    (ids.VIP_REWARDS, ids.EVE),
    (ids.WELCOME_GIFT, ids.CHARLIE),
    (ids.WELCOME_GIFT, ids.DIANA),
    (ids.GIFT_VOUCHERS, ids.EVE),
)
#: A job of the demo ends within a moment; who is slower is not waited for.
PATIENCE = {"Prefer": "wait=20"}


def stock_coupons(manager: Api) -> None:
    """Make the codes of books that have none; if none was given to anybody yet, give the first."""
    stocks = {}
    for book in BOOKS:
        path = f"/books/{book.id}"
        stock = manager.get(path)["stock"]
        if not stock["total"]:
            wanted = {"count": book.codes}
            manager.send("POST", f"{path}/generate", json=wanted, headers=PATIENCE)
            stock = manager.get(path)["stock"]
        stocks[book.id] = stock
    if not any(_given(stock) for stock in stocks.values()):
        for book_id, user_id in ASSIGNED:
            body = {"book_id": str(book_id), "user_id": str(user_id)}
            manager.send("POST", "/coupons/assign", json=body, headers=PATIENCE)


def _given(stock: dict[str, Any]) -> int:
    """How many coupons somebody has, or had before they were withdrawn."""
    return int(stock["total"]) - int(stock["unassigned"])
