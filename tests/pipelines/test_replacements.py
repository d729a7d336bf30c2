"""EC-067: a card that does not work is replaced once, for no second charge, whoever reports it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.scope import PLATFORM, SYSTEM, agency, client
from pipelines.credit.read import account
from pipelines.errors import NotFound
from pipelines.jobs.undo import preview_undo
from pipelines.provisioning.refusals import (
    CampaignNotActive,
    ProvisionReplaced,
    ProvisionUndone,
    RecipientsForgotten,
)
from pipelines.provisioning.replace import ReplacementLimit, replace_card
from pipelines.provisioning.reveal import facts_by_token, reveal, reveal_token
from pipelines.wiring import House
from tests.driving import (
    cards_csv,
    drain,
    hasten,
    import_cards_now,
    recipients_csv,
    rows,
    submit,
    view,
)
from tests.proof import assert_proven
from tests.replacing import report
from tests.seeding import ACTOR, Seeded, seed
from tests.undoing import ask_undo
from tests.until import until

_WAITING = "SELECT 1 FROM pg_locks WHERE NOT granted"


@pytest.fixture
def seeded(house: House) -> Seeded:
    return seed(house, vendor=False)


def worked(house: House, job_id: UUID) -> dict[str, Any]:
    hasten(house)
    drain(house)
    return view(house, job_id)


def provision_of(house: House, job_id: UUID) -> Any:
    return rows(house, "SELECT * FROM provisions WHERE job_id = :job", job=job_id)[0]


def served(house: House, seeded: Seeded, stock: int = 3, **chosen: Any) -> Any:
    """One recipient with a card of the CSV pool; the provision."""
    import_cards_now(house, seeded.csv_pool, cards_csv(stock))
    job_id = submit(house, seeded, recipients_csv(1), **chosen)
    drain(house)
    return provision_of(house, job_id)


def money(house: House, seeded: Seeded) -> tuple[int, int, int]:
    """Balance, held and spent of the client, in minor units."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        row = account(session, seeded.client_account)
    return row.balance, row.held, row.spent


def test_ec067_a_dead_card_is_replaced_and_charged_once(house: House, seeded: Seeded) -> None:
    first = served(house, seeded)
    before = money(house, seeded)

    job_id = report(house, seeded, first.id)
    between = money(house, seeded)
    job = worked(house, job_id)

    second = provision_of(house, job_id)
    assert job["state"] == "succeeded"
    assert second.card_id != first.card_id
    assert (second.person_key, second.delivery_method, second.source) == (
        first.person_key,
        first.delivery_method,
        "csv",
    )
    charge = first.charge_minor
    assert between == (before[0] + charge, before[1] + charge, before[2] - charge)
    assert money(house, seeded) == before
    (card,) = rows(house, "SELECT state FROM cards WHERE id = :id", id=first.card_id)
    assert card.state == "defective"
    kinds = rows(
        house, "SELECT kind, amount FROM transfers WHERE job_id = :job ORDER BY id", job=job_id
    )
    assert sorted(tuple(row) for row in kinds) == [("capture", charge), ("replacement", charge)]
    (told,) = rows(
        house, "SELECT detail FROM audit_entries WHERE action = 'card.reported_defective'"
    )
    assert told.detail == {
        "reason": "The shop says it was used",
        "replaced_by": str(job_id),
        "source": "csv",
    }
    assert_proven(house)


def test_ec067_reporting_twice_is_one_replacement(house: House, seeded: Seeded) -> None:
    """Eight at once, and again when it is done."""
    first = served(house, seeded)

    with ThreadPoolExecutor(8) as pool:
        jobs = set(pool.map(lambda _: report(house, seeded, first.id), range(8)))
    (job_id,) = jobs
    worked(house, job_id)

    assert report(house, seeded, first.id) == job_id
    assert len(rows(house, "SELECT 1 FROM provisions")) == 2
    assert len(rows(house, "SELECT 1 FROM transfers WHERE kind = 'replacement'")) == 1
    assert_proven(house)


def test_ec067_the_old_link_dies_and_the_new_one_opens(house: House, seeded: Seeded) -> None:
    """Who holds the old link is told that there is a newer one."""
    keyring = house.settings.keyring
    first = served(house, seeded)
    old_link = reveal_token(first.id, first.reveal_version, keyring)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        reveal(session, first.id, actor_id=ACTOR, keyring=keyring, now=now)

    job_id = report(house, seeded, first.id)
    worked(house, job_id)
    second = provision_of(house, job_id)

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        now = clock.now(session)
        with pytest.raises(ProvisionReplaced):
            facts_by_token(session, old_link, keyring)
        with pytest.raises(ProvisionReplaced):
            reveal(session, first.id, actor_id=ACTOR, keyring=keyring, now=now)
        new_link = reveal_token(second.id, second.reveal_version, keyring)
        assert facts_by_token(session, new_link, keyring).provision_id == second.id
        assert reveal(session, second.id, actor_id=ACTOR, keyring=keyring, now=now).number


def test_ec067_a_second_replacement_for_one_recipient_waits_for_a_second_person(
    house: House, seeded: Seeded
) -> None:
    first = served(house, seeded)
    worked(house, report(house, seeded, first.id))
    second = rows(house, "SELECT * FROM provisions WHERE replaced_at IS NULL")[0]
    sizes = len(rows(house, "SELECT 1 FROM transfers"))

    with pytest.raises(ReplacementLimit):
        report(house, seeded, second.id)
    assert len(rows(house, "SELECT 1 FROM transfers")) == sizes

    job = worked(house, report(house, seeded, second.id, approved=True))
    assert job["state"] == "succeeded"
    assert_proven(house)


def test_ec067_the_limit_counts_the_person_and_not_the_card(house: House, seeded: Seeded) -> None:
    """A person who has two cards of a campaign had one replaced: the other asks for approval."""
    first = served(house, seeded, stock=5)
    other_job = submit(house, seeded, recipients_csv(1), allow_repeat=True)
    drain(house)
    worked(house, report(house, seeded, first.id))

    with pytest.raises(ReplacementLimit):
        report(house, seeded, provision_of(house, other_job).id)


def test_ec067_two_cards_of_one_person_reported_at_once_are_one_replacement(
    house: House, seeded: Seeded
) -> None:
    """EC-067: whoever comes second is refused though the first had not committed as it came."""
    first = served(house, seeded, stock=5)
    other_job = submit(house, seeded, recipients_csv(1), allow_repeat=True)
    drain(house)
    second = provision_of(house, other_job)

    is_reported, may_commit = Event(), Event()

    def report_slowly() -> None:
        with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
            replace_card(session, first.id, reason="r", actor_id=ACTOR, limits=house.limits)
            is_reported.set()
            may_commit.wait(60)

    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(report_slowly)
        is_reported.wait(60)
        late = pool.submit(report, house, seeded, second.id)
        until(lambda: rows(house, _WAITING) or late.done())
        may_commit.set()
        early.result()
        with pytest.raises(ReplacementLimit):
            late.result()
    assert len(rows(house, "SELECT 1 FROM provisions WHERE replaced_at IS NOT NULL")) == 1


def test_ec067_a_replacement_that_finds_no_card_leaves_the_money_with_its_payer(
    house: House, seeded: Seeded
) -> None:
    first = served(house, seeded, stock=1)
    balance, held, spent = money(house, seeded)

    job = worked(house, report(house, seeded, first.id))

    assert (job["state"], job["counts"]["failed"]) == ("failed", 1)
    charge = first.charge_minor
    assert money(house, seeded) == (balance + charge, held, spent - charge)
    assert_proven(house)
    import_cards_now(house, seeded.csv_pool, cards_csv(1, "MORE"))
    again = submit(house, seeded, recipients_csv(1))  # and the person is not served before
    drain(house)
    assert view(house, again)["state"] == "succeeded"


def test_ec067_an_account_without_a_cent_left_pays_for_no_second_card(house: House) -> None:
    poor = seed(house, vendor=False, credit_minor=2500)
    first = served(house, poor)
    assert money(house, poor)[:2] == (0, 0)

    job = worked(house, report(house, poor, first.id))

    assert job["state"] == "succeeded"
    assert money(house, poor) == (0, 0, 2500)
    assert_proven(house)


def test_an_undo_leaves_replaced_cards_and_takes_the_replacement(
    house: House, seeded: Seeded
) -> None:
    import_cards_now(house, seeded.csv_pool, cards_csv(4))
    job_id = submit(house, seeded, recipients_csv(2))
    drain(house)
    first = provision_of(house, job_id)
    replacement = report(house, seeded, first.id)
    worked(house, replacement)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        tally = preview_undo(session, job_id, kinds=house.job_kinds)
    assert (tally.undoable, [(code, n) for code, _why, n in tally.left]) == (
        1,
        [("already_replaced", 1)],
    )

    undo = ask_undo(house, seeded, job_id).resource_id
    other = ask_undo(house, seeded, replacement).resource_id
    drain(house)

    items = rows(house, "SELECT code, state FROM items WHERE job_id = :job ORDER BY 1", job=undo)
    assert sorted((row.state, row.code) for row in items) == [
        ("skipped", "already_replaced"),
        ("succeeded", None),
    ]
    assert view(house, other)["state"] == "succeeded"
    assert money(house, seeded)[1:] == (0, 0)
    assert_proven(house)


def test_what_was_taken_back_or_is_a_strangers_is_not_replaced(
    house: House, seeded: Seeded
) -> None:
    first = served(house, seeded)
    other = seed(house, vendor=False)
    before = len(rows(house, "SELECT 1 FROM transfers"))

    with pytest.raises(NotFound):
        report(house, other, first.id)
    with pytest.raises(NotFound):
        report(house, seeded, new_id())
    rows(house, "UPDATE campaigns SET state = 'closed' RETURNING 1")
    with pytest.raises(CampaignNotActive):
        report(house, seeded, first.id)
    rows(house, "UPDATE campaigns SET state = 'active' RETURNING 1")
    rows(house, "UPDATE provisions SET delivery_method = 'email' RETURNING 1")
    rows(house, "UPDATE items SET email = NULL RETURNING 1")
    with pytest.raises(RecipientsForgotten):
        report(house, seeded, first.id)
    assert len(rows(house, "SELECT 1 FROM transfers")) == before

    ask_undo(house, seeded, first.job_id)
    drain(house)
    with pytest.raises(ProvisionUndone):
        report(house, seeded, first.id)


@pytest.mark.parametrize("scope", ["platform", "agency", "client"])
def test_each_tier_may_replace_in_its_own_scope(house: House, seeded: Seeded, scope: str) -> None:
    first = served(house, seeded)
    scopes = {
        "platform": PLATFORM,
        "agency": agency(seeded.agency_id),
        "client": client(seeded.client_id),
    }
    with scoped_transaction(house.sessions, scopes[scope]) as session:
        job_id = replace_card(
            session, first.id, reason="r", actor_id=ACTOR, limits=house.limits
        ).job_id

    assert worked(house, job_id)["state"] == "succeeded"
    assert_proven(house)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(acts=st.lists(st.sampled_from(["report", "again", "undo", "stock"]), max_size=7))
def test_ec067_whatever_comes_when_the_books_hold(house: House, acts: list[str]) -> None:
    """EC-067: reports, repeats and undos in any order: each card has one owner, money is exact."""
    seeded = seed(house, vendor=False)
    first = served(house, seeded, stock=2)
    for act in acts:
        live = rows(
            house,
            "SELECT * FROM provisions WHERE client_id = :client AND undone_at IS NULL ORDER BY id",
            client=seeded.client_id,
        )
        if act == "stock":
            import_cards_now(house, seeded.csv_pool, cards_csv(1))
        elif live and act == "undo":
            try:
                ask_undo(house, seeded, live[-1].job_id)
            except Exception as refusal:
                assert hasattr(refusal, "code")
        elif live:
            target = live[-1] if act == "report" else live[0]
            worked(house, report(house, seeded, target.id, approved=True))
        hasten(house)
        drain(house)
    charges = rows(
        house,
        "SELECT coalesce(sum(charge_minor), 0) AS n FROM provisions WHERE client_id = :client "
        "AND undone_at IS NULL AND replaced_at IS NULL",
        client=seeded.client_id,
    )[0].n
    assert money(house, seeded)[1:] == (0, charges)
    assert first.charge_minor == 2500
    assert_proven(house)
