"""Campaigns in the console: the list, one campaign, its pause, its budget (S4-049..051)."""

from datetime import UTC, datetime
from html import unescape
from uuid import UUID, uuid4

from flask import Flask
from sqlalchemy import text

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.wiring import House
from tests.conditions import limit
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.seeding import Seeded, seed
from tests.web.console.conftest import HIDDEN, SAME_ORIGIN, Visitor, visitor_of


def sent(visitor: Visitor, page: str, action: str, **fields: object):
    """Send the form of a page that goes to `action`, as a browser does."""
    form = visitor.get(page).text.partition(f'action="{action}"')[2].partition("</form>")[0]
    return visitor.client.post(
        action, data=dict(HIDDEN.findall(form)) | fields, headers=SAME_ORIGIN
    )


def pay(house: House, account: UUID) -> tuple[int, int]:
    (row,) = rows(house, "SELECT balance, held FROM accounts WHERE id = :id", id=account)
    return row.balance, row.held


def own_account(house: House, campaign_id: UUID) -> UUID:
    (row,) = rows(
        house, "SELECT id FROM accounts WHERE owner_id = :id AND kind = 'credit'", id=campaign_id
    )
    found: UUID = row.id
    return found


def test_s4_049_a_campaign_says_how_it_stands_what_pays_and_what_it_issued(
    app: Flask, house: House, seeded: Seeded, bob: Visitor
) -> None:
    other = seed(house, vendor=False)
    import_cards_now(house, seeded.csv_pool, cards_csv(2))
    job = submit(house, seeded, recipients_csv(2))
    drain(house)
    path = f"/console/campaigns/{seeded.campaign_id}"
    agency = visitor_of(app, house, Role.AGENCY_ADMIN, seeded)

    shown, listed = bob.get(path).text, bob.get("/console/campaigns").text
    profit, cards = agency.get(f"{path}/profit").text, agency.get(f"{path}/profit.csv")

    for words in ("Active", "$99,950.00", "Imported cards", "$50.00", "Every brand", "Well"):
        assert words in shown
    assert f"/console/jobs/{job}" in shown
    assert f"/console/jobs/{job}" in bob.get(f"/console/jobs?campaign={seeded.campaign_id}").text
    assert path in listed
    assert str(other.campaign_id) not in listed
    assert f"{path}/profit" not in shown
    assert bob.get(f"{path}/profit").status_code == 403
    assert f"{path}/profit" in agency.get(path).text
    for words in ("$50.00", "$46.00", "$4.00"):
        assert words in profit
    assert cards.text.count("\n") == 3
    assert "No campaign is like this" in bob.get("/console/campaigns?find=nothing").text
    assert bob.get(f"/console/campaigns/{other.campaign_id}").status_code == 404
    assert bob.get(f"/console/jobs?campaign={other.campaign_id}").status_code == 404
    assert bob.get(f"/console/campaigns/{uuid4()}").status_code == 404


def test_a_campaign_is_paused_and_resumed_by_whoever_may(
    app: Flask, house: House, seeded: Seeded, bob: Visitor
) -> None:
    path = f"/console/campaigns/{seeded.campaign_id}"
    viewer = visitor_of(app, house, Role.CLIENT_VIEWER, seeded)

    paused = sent(bob, path, f"{path}/pause")
    said = bob.get(paused.headers["Location"]).text
    resumed = sent(bob, path, f"{path}/resume")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(
            text("UPDATE campaigns SET state = 'paused', pause_reason = 'credit_exhausted'")
        )

    assert "Somebody paused it" in said
    assert resumed.headers["Location"] == f"{path}?done=resumed"
    assert "paused by itself" in bob.get(path).text
    assert f"{path}/pause" not in viewer.get(path).text
    assert f"{path}/budget" not in viewer.get(path).text


def test_s4_050_a_budget_of_its_own_is_shown_given_raised_and_given_back(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    """S4-049, S4-051: it is set with the switch, raised and lowered by the forms of its account."""
    path = f"/console/campaigns/{seeded.campaign_id}/budget"

    shown = sent(bob, path, f"{path}/own", amount="250")
    form = {name: unescape(value) for name, value in HIDDEN.findall(shown.text)}
    before = pay(house, seeded.client_account)
    given = [bob.client.post(f"{path}/own", data=form, headers=SAME_ORIGIN) for _ in range(2)]
    own = own_account(house, seeded.campaign_id)
    budget = bob.get(path).text
    lower = bob.send(f"/console/credit/{own}/recall", amount="50")
    lowered = {name: unescape(value) for name, value in HIDDEN.findall(lower.text)}
    bob.client.post(f"/console/credit/{own}/recall", data=lowered, headers=SAME_ORIGIN)
    isolated = pay(house, own), pay(house, seeded.client_account)
    back = bob.get(path).text
    shared = sent(bob, path, f"{path}/shared")

    for words in ("$100,000.00", "$99,750.00", "$250.00", "Give it $250.00"):
        assert words in shown.text
    assert before == (10_000_000, 0)
    assert {answer.headers["Location"] for answer in given} == {
        f"/console/campaigns/{seeded.campaign_id}?done=isolated"
    }
    assert f"/console/credit/{own}/allocate" in budget
    assert isolated == ((20_000, 0), (9_980_000, 0))
    assert "$99,800.00" in back
    assert shared.headers["Location"].endswith("?done=shared")
    assert (pay(house, own), pay(house, seeded.client_account)) == ((0, 0), (10_000_000, 0))
    (campaign,) = rows(house, "SELECT budget_mode FROM campaigns")
    assert campaign.budget_mode == "shared"


def test_ec075_while_jobs_hold_credit_the_switch_is_off_and_says_which(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    """S4-050"""
    path = f"/console/campaigns/{seeded.campaign_id}/budget"
    job = submit(house, seeded, recipients_csv(2))

    shown = bob.get(path).text
    refused = sent(bob, path, f"{path}/own", amount="10")
    forced = sent(bob, path, f"{path}/own", amount="10", agreed="1")

    assert "It cannot have a budget of its own now" in shown
    assert f"/console/jobs/{job}" in shown
    assert "holds $50.00" in shown
    assert "disabled" in shown
    for answer in (refused, forced):
        assert answer.status_code == 409
        assert "Wait until they end, or cancel them" in answer.text
        assert 'value="10"' in answer.text
    assert rows(house, "SELECT budget_mode FROM campaigns")[0].budget_mode == "shared"


def test_s4_051_a_budget_that_cannot_be_is_refused_at_its_field(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    path = f"/console/campaigns/{seeded.campaign_id}/budget"

    for amount, status, words in (
        ("many", 422, "Give the amount as digits"),
        ("100000.01", 402, "$100,000.00 available"),
    ):
        refused = sent(bob, path, f"{path}/own", amount=amount)
        wrong = refused.text.partition('id="amount-wrong"')[2].partition("</span>")[0]

        assert refused.status_code == status
        assert words in unescape(wrong)
        assert f'value="{amount}"' in refused.text
    assert pay(house, seeded.client_account) == (10_000_000, 0)


def test_s4_128_a_campaign_shows_its_conditions_in_its_own_time_zone(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    path = f"/console/campaigns/{seeded.campaign_id}"
    before = bob.get(path).text
    starts = datetime(2026, 1, 31, 8, tzinfo=UTC)
    limit(house, seeded, time_zone="Europe/Berlin", starts_at=starts, max_rewards=1000)
    submit(house, seeded, recipients_csv(2))

    shown = bob.get(path).text

    assert "No conditions" in before
    assert "31 Jan 2026, 09:00 (Europe/Berlin)" in shown
    assert "2 of 1,000, 998 left" in shown
    assert "Gives rewards until" not in shown


def test_s4_128_a_campaign_whose_window_is_past_is_shown_as_over_and_not_offered(
    house: House, seeded: Seeded, bob: Visitor
) -> None:
    path, draft = f"/console/campaigns/{seeded.campaign_id}", "/console/jobs/new"
    chosen = {"campaign_id": str(seeded.campaign_id), "brand_id": str(seeded.brand_id)}
    chosen |= {"amount": "25", "delivery_method": "none"}
    offered = bob.get(draft).text
    limit(house, seeded, ends_at=datetime(2026, 1, 31, 9, tzinfo=UTC))

    shown, listed = bob.get(path).text, bob.get("/console/campaigns?state=over").text
    refused = bob.send(draft, **chosen)

    assert f'value="{seeded.campaign_id}"' in offered
    assert f'value="{seeded.campaign_id}"' not in bob.get(draft).text
    assert "Make the campaign first" in bob.get(draft).text
    for page in (shown, listed):
        assert "over since 31 Jan 2026, 09:00 (UTC)" in page
    assert 'href="/console/jobs/new"' not in shown.partition("<main")[2]
    assert path in listed
    assert path not in bob.get("/console/campaigns?state=active").text
    assert refused.status_code == 422
    assert rows(house, "SELECT FROM upload_drafts") == []
    limit(house, seeded, ends_at=None)
    assert path in bob.get("/console/campaigns?state=active").text
