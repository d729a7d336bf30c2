"""An account that owes: forms say what credit becomes that comes in, and why no job is paid (EC-077)."""

from html import unescape

import pytest
from flask import Flask

from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM
from pipelines.access.permissions import Permission, may
from pipelines.credit.allocate import allocate, top_up_platform
from pipelines.credit.refusals import AccountRestricted
from pipelines.wiring import House
from tests.clawing import account, dispute, top_up_of
from tests.driving import drain, recipients_csv, rows
from tests.funding import PRICE, funded
from tests.pipelines.test_claw_back import spend
from tests.seeding import ACTOR, Seeded
from tests.web.conftest import signed_in
from tests.web.console.conftest import Visitor, visitor_of
from tests.web.console.test_credit_move import agreed, balances
from tests.web.console.test_wizard import draft_with

RICH = 100_000


@pytest.fixture
def owing(house: House) -> Seeded:
    """Nine cards' worth is owed to the agency, which has 1,025.00."""
    made = funded(house, cards=9, minor=10 * PRICE)
    spend(house, made, 9)
    dispute(house, top_up_of(house, made.client_account))
    with scoped_transaction(house.sessions, PLATFORM) as session:
        top_up_platform(
            session, currency="USD", amount=RICH, client_ref=f"t:{new_id()}", actor_id=None
        )
        allocate(
            session,
            parent_id=made.platform_account,
            child_id=made.agency_account,
            amount=RICH,
            notes="",
            client_ref=f"t:{new_id()}",
            actor_id=ACTOR,
        )
    drain(house)
    # It paused for want of credit; another campaign of the client would not have.
    rows(house, "UPDATE campaigns SET state = 'active', pause_reason = NULL RETURNING 1")
    return made


@pytest.fixture
def boss(app: Flask, house: House, owing: Seeded) -> Visitor:
    return visitor_of(app, house, Role.AGENCY_ADMIN, owing)


def words_of(visitor: Visitor, path: str) -> str:
    return unescape(visitor.get(path).text)


def test_ec077_an_allocation_says_what_of_it_pays_what_is_owed_and_what_stays(
    house: House, boss: Visitor, owing: Seeded
) -> None:
    path = f"/console/credit/{owing.client_account}/allocate"

    shown = unescape(boss.send(path, amount="300").text)
    form = agreed(boss, path, amount="300")
    moved = boss.client.post(path, data=form, headers={"Sec-Fetch-Site": "same-origin"})
    told = words_of(boss, moved.headers["Location"])
    drain(house)
    later = words_of(boss, moved.headers["Location"])

    assert "of this $225.00 pays what is owed; $75.00 stays. Then nothing is owed any more" in shown
    assert shown.count('data-label="Balance after" class="number">$950.00<') == 1
    assert shown.count('data-label="Available after" class="number">$75.00<') == 1
    assert "Client owes is being settled: of this $225.00 pays what is owed; $75.00 stays" in told
    assert "The balance of Client is $75.00 by now." in later
    assert "being settled" not in later
    assert balances(house, owing.agency_account, owing.client_account) == [95_000, 7_500]
    assert not account(house, owing.client_account).restricted


def test_ec077_an_allocation_that_does_not_pay_all_says_what_is_owed_after_it(
    house: House, boss: Visitor, owing: Seeded
) -> None:
    shown = boss.send(f"/console/credit/{owing.client_account}/allocate", amount="100").text

    assert "of this $100.00 pays what is owed; $0.00 stays" in shown
    assert "$125.00 is owed after it, and the account stays restricted" in shown
    assert account(house, owing.client_account).balance == 0


def test_ec077_a_job_says_that_its_account_owes_and_not_that_credit_is_short(
    app: Flask, house: House, owing: Seeded
) -> None:
    link = f'<a href="/console/credit/{owing.client_account}">Open the account</a>'
    for role in (Role.CLIENT_ADMIN, Role.CAMPAIGN_MANAGER):
        visitor = visitor_of(app, house, role, owing)
        cost = words_of(visitor, f"{draft_with(visitor, owing, recipients_csv(1, start=20))}/cost")

        assert "The account is restricted: it owes $225.00" in cost, role
        assert "There is not enough credit" not in cost, role
        assert "more." not in cost.partition("cannot be submitted yet")[2].partition("</ul>")[0]
        assert (link in cost) is may(role, Permission.CREDIT_READ), role

    overview = words_of(visitor_of(app, house, Role.CLIENT_VIEWER, owing), "/console/")

    assert "Restricted, it owes</span> $225.00 owed" in overview
    assert "runs out on" not in overview


def test_ec077_a_preview_names_the_account_that_owes_and_what_and_what_waits_may_wait(
    app: Flask, house: House, owing: Seeded
) -> None:
    manager = signed_in(app, house, Role.CAMPAIGN_MANAGER, owing)
    asked = {
        "campaign_id": str(owing.campaign_id),
        "brand_id": str(owing.brand_id),
        "denomination_minor": PRICE,
        "delivery_method": "none",
        "recipients": [{"reference": "one", "email": "one@example.com"}],
    }

    (blocker,) = manager.post("/gift-cards/provision-jobs?preview=true", asked).json["blockers"]
    waits = manager.post(
        "/gift-cards/provision-jobs?preview=true", asked | {"allow_partial": True}
    ).json
    refused = manager.post("/gift-cards/provision-jobs", asked, Idempotency_Key=new_id().hex)

    facts = {
        "account_id": str(owing.client_account),
        "owed_minor": 9 * PRICE,
        "currency": "USD",
    }
    assert blocker == facts | {"code": "account_restricted", "detail": AccountRestricted.detail}
    assert waits["blockers"] == []
    assert refused.status_code == 423
    assert facts.items() <= refused.json.items()


def test_s4_045_a_job_of_a_frozen_account_is_told_so_before_it_is_sent(
    app: Flask, house: House, owing: Seeded
) -> None:
    rows(
        house,
        "UPDATE accounts SET frozen_at = now() WHERE id = :id RETURNING 1",
        id=owing.client_account,
    )
    visitor = visitor_of(app, house, Role.CLIENT_ADMIN, owing)

    cost = words_of(visitor, f"{draft_with(visitor, owing, recipients_csv(1, start=20))}/cost")

    assert "This account is frozen" in cost
    assert "There is not enough credit" not in cost
