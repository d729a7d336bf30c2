"""Every state of a slot with everything that can be told of its payment: the table of docs/states.md."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models import clock
from models.database import scoped_transaction
from models.discounts import UsageState
from models.payments import PaymentState
from models.scope import SYSTEM
from pipelines.payments.learn import learn
from pipelines.payments.news import News
from tests.discounting import make_discount
from tests.driving import change, rows
from tests.paying import Till
from tests.proof import assert_proven

PAID = News(payment="paid", paid_minor=9_000, paid_currency="USD", session_status="complete")
#: What may be told of a payment, by the name that the table has for it.
TOLD: dict[str, News] = {
    "paid": PAID,
    "paid another amount": News(payment="paid", paid_minor=8_999, paid_currency="USD"),
    "processing": News(payment="processing", session_status="complete"),
    "failed": News(payment="failed", session_status="complete"),
    "declined": News(failure_code="card_declined"),
    "expired": News(session_status="expired"),
    "refunded": News(
        payment="paid", paid_minor=9_000, paid_currency="USD", charge_refunded_minor=9_000
    ),
    "refunded in part": News(
        payment="paid", paid_minor=9_000, paid_currency="USD", charge_refunded_minor=1_000
    ),
    "refund failed": News(refund_id="re_1", refund_state="failed", refund_minor=9_000),
    "disputed": News(
        dispute_id="dp_1",
        dispute_status="needs_response",
        dispute_minor=9_000,
        dispute_reason="fraudulent",
        at="2026-11-28T12:00:00+00:00",
    ),
}
#: How a slot comes to each state, by what is told before.
BEFORE: dict[UsageState, list[str]] = {
    UsageState.RESERVED: [],
    UsageState.RELEASED: ["expired"],
    UsageState.CONFIRMED: ["paid"],
    UsageState.REFUNDED: ["refunded"],
}
DOCS = Path(__file__).parents[2] / "docs/states.md"
_ROW = re.compile(
    r"^\| (?!told)([a-z ]+) \| (\w+) \| (\w+) \| (\w+) \| (\w+) \| (\w+) \|$", re.MULTILINE
)


def table() -> dict[tuple[str, str], str]:
    """Told of a payment, and the slot's state before -> its state after, as the page says."""
    text = DOCS.read_text(encoding="utf-8").partition("## Purchases")[2]
    found = {}
    for told, _payment, *after in _ROW.findall(text):
        for state, then in zip(UsageState, after, strict=True):
            found[told, state.value] = then
    return found


def payments() -> dict[str, str]:
    """Told of a payment that was open -> its state."""
    text = DOCS.read_text(encoding="utf-8").partition("## Purchases")[2]
    return {told: payment for told, payment, *_after in _ROW.findall(text)}


@pytest.fixture
def tell(till: Till) -> Callable[[str, str], None]:
    def say(purchase_id: str, what: str) -> None:
        with scoped_transaction(till.house.sessions, SYSTEM) as session:
            learn(
                session,
                purchase_id,  # type: ignore[arg-type]
                TOLD[what],
                followers=till.house.paying.pages.followers,
                now=clock.now(session),
            )

    return say


def test_the_page_has_every_pair() -> None:
    assert set(table()) == {(told, state.value) for told in TOLD for state in UsageState}


@pytest.mark.parametrize("state", list(UsageState))
def test_every_state_and_everything_that_is_told(
    till: Till, tell: Callable[[str, str], None], state: UsageState
) -> None:
    expected = {told: then for (told, before), then in table().items() if before == state.value}
    found: dict[str, str] = {}
    make_discount(till.house, till.seeded, max_uses=100)

    for told in TOLD:
        purchase = till.checkout(till.reserve())
        change(till.house, "UPDATE tasks SET run_after = now() + interval '1 day'")
        for earlier in (*BEFORE[state], told, told):
            tell(purchase["purchase_id"], earlier)
        found[told] = usage_state(till, purchase)

    assert found == expected
    assert_proven(till.house)


def test_every_state_of_a_payment_follows_what_is_told_first(
    till: Till, tell: Callable[[str, str], None]
) -> None:
    make_discount(till.house, till.seeded, max_uses=100)
    found = {}
    for told in TOLD:
        purchase = till.checkout(till.reserve())
        tell(purchase["purchase_id"], told)
        (row,) = rows(
            till.house, "SELECT state FROM payments WHERE id = :id", id=purchase["purchase_id"]
        )
        found[told] = PaymentState(row.state).value

    assert found == payments()


def usage_state(till: Till, purchase: dict[str, Any]) -> str:
    return str(till.usage(purchase).state)
