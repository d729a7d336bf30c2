"""Credit paid for at the console, and a webhook that fell silent, against the sandbox's Stripe (EC-077, EC-131)."""

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask

from models.database import scoped_transaction
from models.ledger import Tier
from models.people import Role
from models.scope import PLATFORM
from pipelines.credit.accounts import Owner, open_accounts
from pipelines.queue.kinds import PULL_EVENTS
from pipelines.wiring import House
from tests.discounting import make_discount
from tests.driving import change, rows
from tests.paying import Till, run_duty
from tests.proof import assert_proven
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of


@pytest.fixture
def bob(app: Flask, vendor_house: House, till: Till) -> Visitor:
    """A client's administrator."""
    return visitor_of(app, vendor_house, Role.CLIENT_ADMIN, till.seeded)


def own_account(till: Till) -> str:
    return f"/console/credit/{till.seeded.client_account}"


def begun(till: Till, visitor: Visitor, amount: str = "100") -> str:
    """The page of a top-up that was begun by the form."""
    answer = visitor.send(f"{own_account(till)}/pay", amount=amount)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"])


def session_of(till: Till) -> dict[str, Any]:
    (row,) = rows(
        till.house,
        "SELECT session_id, session_url, success_url, cancel_url FROM payments "
        "WHERE purpose = 'top_up'",
    )
    return dict(row._mapping)


def test_ec077_the_form_leads_to_the_payment_page_by_a_page_of_ours(
    till: Till, bob: Visitor
) -> None:
    page = begun(till, bob)

    shown = unescape(bob.get(page).text)
    made = session_of(till)

    assert f'http-equiv="refresh" content="0; url={made["session_url"]}"' in shown
    assert f'href="{made["session_url"]}"' in shown
    assert 'http-equiv="refresh"' not in bob.get(page.partition("?")[0]).text
    ours = till.house.settings.public_url + own_account(till)
    assert made["success_url"] == f"{ours}?top_up={{CHECKOUT_SESSION_ID}}"
    assert made["cancel_url"] == f"{ours}?top_up=left"


def test_ec077_who_comes_back_reads_what_came_of_it(till: Till, bob: Visitor) -> None:
    begun(till, bob)
    made = session_of(till)
    back = f"{own_account(till)}?top_up={made['session_id']}"

    left = bob.get(f"{own_account(till)}?top_up=left").text
    unheard = bob.get(back).text
    till.move(made, "pay")
    till.deliver()
    paid = bob.get(back).text
    till.steer(f"payments/{made['session_id']}/refund")
    till.deliver()
    refunded = bob.get(back).text

    assert "$100.00 is not paid yet" in left
    assert made["session_url"] in unescape(left)
    assert "$100.00 is not paid yet" in unheard
    assert "$100.00 is paid" in paid
    assert "The credit is in this account." in paid
    assert "Credit paid for" in paid
    assert "$100.00 was paid back" in refunded
    assert_proven(till.house)


def test_ec077_a_page_that_ended_unpaid_says_so(till: Till, bob: Visitor) -> None:
    begun(till, bob)
    made = session_of(till)

    till.move(made, "expire")
    till.deliver()

    shown = bob.get(f"{own_account(till)}?top_up=left").text
    assert "Nothing of $100.00 was paid." in shown
    assert "is not paid yet" not in shown


def test_another_s_page_and_nonsense_say_nothing(till: Till, bob: Visitor) -> None:
    begun(till, bob)

    shown = bob.get(f"{own_account(till)}?top_up=cs_nobodys").text

    assert "is not paid yet" not in shown


def test_ec077_the_form_sent_twice_begins_one_top_up(till: Till, bob: Visitor) -> None:
    path = f"{own_account(till)}/pay"
    fields = dict(HIDDEN.findall(bob.get(path).text.rpartition("<form")[2])) | {"amount": "25"}

    answers = [bob.client.post(path, data=fields, headers=SAME_ORIGIN) for _ in range(2)]

    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert len(rows(till.house, "SELECT 1 FROM top_ups")) == 1


@pytest.mark.parametrize(
    ("amount", "told"), [("0.10", "The smallest payment is $0.50"), ("", ""), ("x", "")]
)
def test_what_cannot_be_paid_is_said_beside_what_was_typed(
    till: Till, bob: Visitor, amount: str, told: str
) -> None:
    answer = bob.send(f"{own_account(till)}/pay", amount=amount)

    assert answer.status_code == 422
    assert f'value="{amount}"' in answer.text
    assert told in answer.text
    assert rows(till.house, "SELECT 1 FROM top_ups") == []


def test_ec034_without_an_answer_of_stripe_s_the_same_form_goes_on(
    till: Till, bob: Visitor
) -> None:
    path = f"{own_account(till)}/pay"
    till.sandbox.arm(vendor="stripe", drop_before_create={"next": 9})

    failed = bob.send(path, amount="25")
    till.sandbox.control("DELETE", "/stripe/faults")
    fields = dict(HIDDEN.findall(failed.text.rpartition("<form")[2])) | {"amount": "25"}
    again = bob.client.post(path, data=fields, headers=SAME_ORIGIN)

    assert failed.status_code == 503
    assert 'value="25"' in failed.text
    assert again.status_code == 303
    assert len(rows(till.house, "SELECT 1 FROM top_ups")) == 1


def test_campaigns_are_not_paid_for_and_who_only_looks_is_not_asked(
    app: Flask, till: Till, bob: Visitor
) -> None:
    seeded = till.seeded
    with scoped_transaction(till.house.sessions, PLATFORM) as session:
        account_id = open_accounts(
            session,
            Owner(Tier.CAMPAIGN, seeded.campaign_id, seeded.agency_id, seeded.client_id),
            currency="USD",
            parent_id=seeded.client_account,
        )
    campaign = f"/console/credit/{account_id}"
    viewer = visitor_of(app, till.house, Role.CLIENT_VIEWER, till.seeded)

    refused = bob.send(f"{campaign}/pay", amount="25")

    assert "Pay for credit…" in bob.get(own_account(till)).text
    assert "Pay for credit…" not in bob.get(campaign).text
    assert "Pay for credit…" not in viewer.get(own_account(till)).text
    assert viewer.get(f"{own_account(till)}/pay").status_code == 403
    assert refused.status_code == 422


def test_ec131_a_webhook_that_fell_silent_is_seen(app: Flask, till: Till, bob: Visitor) -> None:
    root = visitor_of(app, till.house, Role.PLATFORM_ADMIN)

    def told() -> str:
        shown = root.get("/console/stripe-events").text.partition('id="hearing"')[2]
        return re.sub(r"<[^>]+>", "", shown.partition("</p>")[0])

    never = told()
    begun(till, bob)
    till.move(session_of(till), "pay")
    till.deliver()
    works = told()
    make_discount(till.house, till.seeded)
    till.move(till.checkout(till.reserve()), "pay")
    run_duty(till, PULL_EVENTS)
    change(
        till.house,
        "UPDATE stripe_events SET happened_at = received_at - interval '1 hour' WHERE was_pulled",
    )

    assert "Never heard of" in never
    assert "Works" in works
    assert "Silent" in told()
    assert "came only because we asked" in told()
