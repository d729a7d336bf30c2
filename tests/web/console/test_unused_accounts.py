"""An account in which nothing ever moved runs out on no day and lacks nothing (S4-048, S4-052)."""

from html import unescape
from uuid import UUID

import pytest
from flask import Flask

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.ledger import Tier
from models.people import Role
from models.scope import PLATFORM
from pipelines.credit.accounts import PLATFORM_ID, Owner, open_accounts
from pipelines.credit.allocate import allocate, recall, top_up_platform
from pipelines.credit.projection import projections
from pipelines.wiring import House
from tests.seeding import ACTOR, Seeded
from tests.web.conftest import signed_in
from tests.web.console.conftest import Visitor, visitor_of
from tests.web.console.test_credit_tree import lines

FRANCS = 50_000


@pytest.fixture
def francs(house: House, seeded: Seeded) -> tuple[UUID, UUID, UUID]:
    """Accounts in francs from the platform down to the client; nobody ever moved any."""
    agency, client = seeded.agency_id, seeded.client_id
    owners = (
        Owner(Tier.PLATFORM, PLATFORM_ID),
        Owner(Tier.AGENCY, agency, agency),
        Owner(Tier.CLIENT, client, agency, client),
    )
    made: list[UUID] = []
    with scoped_transaction(house.sessions, PLATFORM) as session:
        for owner in owners:
            above = made[-1] if made else None
            made.append(open_accounts(session, owner, currency="CHF", parent_id=above))
    return made[0], made[1], made[2]


def pass_through(house: House, francs: tuple[UUID, UUID, UUID]) -> None:
    """Credit comes down to the client and all of it goes back up: an account that is empty again."""
    with scoped_transaction(house.sessions, PLATFORM) as session:
        top_up_platform(
            session, currency="CHF", amount=FRANCS, client_ref=f"t:{new_id()}", actor_id=None
        )
        for verb, upper in ((allocate, 0), (allocate, 1), (recall, 1)):
            verb(
                session,
                parent_id=francs[upper],
                child_id=francs[upper + 1],
                amount=FRANCS,
                notes="",
                client_ref=f"t:{new_id()}",
                actor_id=ACTOR,
            )


def in_francs(visitor: Visitor) -> list[list[str]]:
    return [line[:3] for line in lines(visitor) if "CHF" in line[0]]


def test_s4_048_what_nobody_moved_anything_in_has_no_day_and_no_banner(
    app: Flask, house: House, seeded: Seeded, francs: tuple[UUID, UUID, UUID]
) -> None:
    boss = visitor_of(app, house, Role.AGENCY_ADMIN, seeded)
    client = visitor_of(app, house, Role.CLIENT_ADMIN, seeded)
    campaign = f"/console/campaigns/{seeded.campaign_id}"

    tree, overview = in_francs(boss), unescape(boss.get("/console/").text)
    own, account = client.get("/console/").text, client.get(f"/console/credit/{francs[2]}").text
    page = client.get(campaign).text

    assert [line[1:] for line in tree] == [["Not used yet", "Not used yet"]] * 2
    for shown in (overview, own, account, page):
        assert "runs out on" not in shown
        assert "Used up" not in shown
        assert "No credit" not in shown
    assert "Credit available, CHF" in own
    assert "credit in CHF" not in page

    pass_through(house, francs)

    (_name, state, end) = in_francs(boss)[1]
    assert state == "No credit"
    assert end.startswith("Used up")
    assert "No credit: credit in CHF" in client.get(campaign).text


def test_s4_052_a_projection_of_what_was_never_used_has_no_end_at_any_tier(
    app: Flask, house: House, seeded: Seeded, francs: tuple[UUID, UUID, UUID]
) -> None:
    boss = signed_in(app, house, Role.AGENCY_ADMIN, seeded)

    def ends() -> list[tuple[bool, int | None]]:
        with scoped_transaction(house.sessions, PLATFORM) as session:
            found = projections(session, francs, now=clock.now(session))
        return [(found[one].is_used, found[one].days_left) for one in francs]

    before = ends()
    told = boss.get(f"/credit/accounts/{francs[2]}/projection").json
    pass_through(house, francs)

    assert before == [(False, None)] * 3
    assert (told["days_left"], told["runs_out_on"]) == (None, None)
    # All that came in is the agency's again: the client's own is empty, and was used.
    assert ends() == [(True, None), (True, None), (True, 0)]
