"""What waits for a second person is shown in words and answered (SEC-31)."""

import re
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM, SYSTEM, agency
from pipelines.access.principals import Principal
from pipelines.approvals.corrections import ask_to_unfreeze
from pipelines.approvals.movements import RECALL, ask_for_movement
from pipelines.credit.drift import check_balances
from pipelines.wiring import House
from tests.driving import rows
from tests.seeding import Seeded
from tests.web.conftest import make_user
from tests.web.console.conftest import Visitor, visitor_of


@pytest.fixture
def boss(app: Flask, house: House, seeded: Seeded) -> Visitor:
    return visitor_of(app, house, Role.AGENCY_ADMIN, seeded)


def ask(house: House, seeded: Seeded, *, by: UUID | None = None) -> str:
    """Somebody of the agency asks for 6,000.00 back from its client."""
    by = by or make_user(house, "asker@x.example", Role.AGENCY_ADMIN, seeded)
    caller = Principal(by, Role.AGENCY_ADMIN, seeded.agency_id)
    (child,) = rows(
        house,
        "SELECT id, parent_id FROM accounts WHERE owner_id = :id AND kind = 'credit'",
        id=seeded.client_id,
    )
    with scoped_transaction(house.sessions, agency(seeded.agency_id)) as session:
        asked = ask_for_movement(
            session,
            RECALL,
            caller,
            parent_id=child.parent_id,
            child_id=child.id,
            amount=600_000,
            notes="end <b>of</b> season",
            limits=house.limits,
            now=clock.now(session),
        )
    return str(asked)


def test_an_act_is_told_in_a_sentence_and_approved(house: House, boss: Visitor, seeded: Seeded):
    asked = ask(house, seeded)

    shown = boss.get("/console/approvals").text
    assert re.search(r"Take \$?6,000\.00( USD)? back from", shown)
    assert "end &lt;b&gt;of&lt;/b&gt; season" in shown

    agreed = boss.send(f"/console/approvals/{asked}/approve", "/console/approvals")
    assert agreed.headers["Location"] == "/console/approvals?done=approved"
    assert "Approved" in boss.get("/console/approvals").text
    assert rows(house, "SELECT 1 FROM transfers WHERE amount = 600000 AND kind = 'recall'")


def test_ec074_an_unfreezing_is_told_by_what_it_takes_back(
    app: Flask, house: House, seeded: Seeded
) -> None:
    """EC-074: whose account, which of theirs, by how much it is off, and what it gets."""
    boss = visitor_of(app, house, Role.PLATFORM_ADMIN, seeded)
    asker = Principal(make_user(house, "p@x.example", Role.PLATFORM_ADMIN), Role.PLATFORM_ADMIN)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        spoil = (
            "UPDATE accounts SET balance = 7 WHERE kind = 'spent' AND client_id = :c RETURNING id"
        )
        (spent,) = session.execute(text(spoil), {"c": seeded.client_id}).scalars()
        check_balances(session, clock.now(session))
    with scoped_transaction(house.sessions, PLATFORM) as session:
        now = clock.now(session)
        ask_to_unfreeze(
            session, asker, account_id=spent, reason="edited", limits=house.limits, now=now
        )

    shown = boss.get("/console/approvals").text

    assert "Unfreeze Client (spent): its balance is off by $0.07" in shown
    assert "it gets $0.00, $0.00 of it held by jobs" in shown


def test_a_rejection_needs_its_reason(house: House, boss: Visitor, seeded: Seeded):
    asked = ask(house, seeded)
    address = f"/console/approvals/{asked}/reject"

    without = boss.send(address, "/console/approvals", reason=" ")
    told = boss.send(address, "/console/approvals", reason="Not this quarter")

    assert (without.status_code, told.status_code) == (422, 303)
    assert "Say why" in without.text
    assert "Not this quarter" in boss.get("/console/approvals").text


def test_who_asked_is_shown_no_button(house: House, boss: Visitor, seeded: Seeded):
    (person,) = rows(house, "SELECT id FROM users WHERE role = 'agency_admin'")
    ask(house, seeded, by=person.id)

    shown = boss.get("/console/approvals").text

    assert "Somebody else has to answer" in shown
    assert "/approve" not in shown


def test_who_cannot_approve_is_told_why_and_may_reject(
    app: Flask, house: House, boss: Visitor, seeded: Seeded
):
    """Nobody is made to approve; nothing is done for somebody who has left."""
    asked = ask(house, seeded)
    puppet = visitor_of(app, house, Role.PLATFORM_ADMIN)

    too_new = puppet.get("/console/approvals").text
    rows(house, "UPDATE users SET disabled_at = now() WHERE email = 'asker@x.example' RETURNING 1")
    left = boss.get("/console/approvals").text

    assert "Your account was made after this was asked for" in too_new
    assert "Who asked for this is disabled or lost the right to it" in left
    for shown in (too_new, left):
        assert f"/approvals/{asked}/approve" not in shown
        assert f"/approvals/{asked}/reject" in shown


def test_with_nothing_to_decide_the_page_says_what_comes_here(boss: Visitor):
    assert "Nothing waits" in boss.get("/console/approvals").text
