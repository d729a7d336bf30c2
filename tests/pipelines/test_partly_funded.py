"""Jobs that begin with what the credit covers, and campaigns that pause without any (EC-054, EC-076)."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models import clock
from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import PLATFORM, SYSTEM, client
from pipelines.access.principals import Principal
from pipelines.alerts.fold import fold_signals
from pipelines.credit.allocate import recall
from pipelines.credit.refusals import AccountRestricted, InsufficientCredit
from pipelines.jobs.control import cancel_job, resume_job
from pipelines.provisioning.refusals import CampaignNotActive
from pipelines.tenants.budgets import isolate_budget, share_budget
from pipelines.tenants.campaigns import pause_campaign, resume_campaign
from pipelines.tenants.refusals import HoldsOutstanding
from pipelines.wiring import House
from tests.clawing import dispute, top_up_of
from tests.driving import drain, recipients_csv, rows, submit, view
from tests.funding import PRICE, campaign, funded, top_up
from tests.proof import assert_proven
from tests.seeding import ACTOR, Seeded


def told(house: House, seeded: Seeded) -> list[tuple[str, int]]:
    """Open alerts of shortage about the client's account."""
    drain(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fold_signals(session)
    found = rows(
        house,
        "SELECT state, level FROM alerts WHERE kind = 'low_credit' AND subject_id = :id "
        "AND state <> 'resolved'",
        id=seeded.client_account,
    )
    return [tuple(row) for row in found]


def counts(job: dict[str, Any], *names: str) -> tuple[int, ...]:
    return tuple(job["counts"][name] for name in names)


def test_ec054_without_allow_partial_the_whole_job_is_refused(house: House) -> None:
    """EC-054: balance 99.99, item 100.00: nothing is written, no card is touched."""
    seeded = funded(house, cards=2, minor=9_999)

    with pytest.raises(InsufficientCredit):
        submit(house, seeded, recipients_csv(4))

    assert rows(house, "SELECT 1 FROM jobs WHERE campaign_id = :c", c=seeded.campaign_id) == []


def test_ec054_the_longest_run_that_fits_is_served_and_the_rest_waits(house: House) -> None:
    """EC-054: 3 of 5 are paid for; the rest stays pending and the job says why."""
    seeded = funded(house, cards=5, minor=3 * PRICE + 1)

    job_id = submit(house, seeded, recipients_csv(5), allow_partial=True)
    drain(house)

    job = view(house, job_id)
    assert job["state"] == "paused"
    assert job["pause"]["reason"] == "no_credit"
    assert counts(job, "succeeded", "pending") == (3, 2)
    assert_proven(house)

    top_up(house, seeded, PRICE - 1)
    drain(house)
    assert counts(view(house, job_id), "succeeded", "pending") == (4, 1)

    top_up(house, seeded, PRICE)
    drain(house)
    job = view(house, job_id)
    assert (job["state"], counts(job, "succeeded", "pending")) == ("succeeded", (5, 0))
    assert job["money"]["captured_minor"] == 5 * PRICE
    assert_proven(house)


def test_ec054_several_chunks_wait_and_go_on_in_file_order(house: House) -> None:
    """EC-054: the boundary lies inside a chunk; whole chunks behind it wait too."""
    seeded = funded(house, cards=1_300, minor=700 * PRICE)

    job_id = submit(house, seeded, recipients_csv(1_300), allow_partial=True)
    drain(house)
    served = rows(
        house,
        "SELECT max(position), count(*) FROM items WHERE job_id = :j AND state = 'succeeded'",
        j=job_id,
    )
    assert [tuple(row) for row in served] == [(700, 700)]
    assert_proven(house)

    top_up(house, seeded, 600 * PRICE)
    drain(house)
    assert view(house, job_id)["state"] == "succeeded"
    assert_proven(house)


def test_ec054_a_job_with_nothing_covered_waits_and_may_be_cancelled(house: House) -> None:
    """EC-054: what was never paid for ends cancelled and gives nothing back."""
    seeded = funded(house, cards=3, minor=PRICE)
    job_id = submit(house, seeded, recipients_csv(3), allow_partial=True)
    drain(house)
    other = submit(house, seeded, recipients_csv(2, start=10), allow_partial=True)
    drain(house)
    assert view(house, other)["pause"]["reason"] == "no_credit"
    assert counts(view(house, other), "pending") == (2,)

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        for job in (job_id, other):
            cancel_job(session, job, actor_id=ACTOR, now=clock.now(session))
    drain(house)

    assert counts(view(house, job_id), "succeeded", "cancelled") == (1, 2)
    assert view(house, other)["state"] == "cancelled"
    assert view(house, job_id)["money"]["released_minor"] == 0
    assert_proven(house)


def test_ec054_the_oldest_job_is_served_first(house: House) -> None:
    """EC-054: a later, smaller job does not take the credit that the oldest waits for."""
    seeded = funded(house, cards=4, minor=1)
    first = submit(house, seeded, recipients_csv(2), allow_partial=True, denomination_minor=5_000)
    second = submit(house, seeded, recipients_csv(2, start=5), allow_partial=True)

    top_up(house, seeded, PRICE)
    drain(house)
    assert counts(view(house, first), "pending") == (2,)
    assert counts(view(house, second), "pending") == (2,)

    top_up(house, seeded, 2 * 5_000)
    drain(house)
    # No pool has cards of that value: the first ends, and what it held serves the second.
    assert view(house, first)["state"] == "failed"
    assert view(house, second)["state"] == "succeeded"
    assert_proven(house)


def test_ec054_a_person_who_resumes_without_credit_finds_it_paused_again(house: House) -> None:
    seeded = funded(house, cards=2, minor=PRICE)
    job_id = submit(house, seeded, recipients_csv(2), allow_partial=True)
    drain(house)

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        resume_job(session, job_id, actor_id=ACTOR, now=clock.now(session))
    drain(house)

    assert view(house, job_id)["pause"]["reason"] == "no_credit"
    assert_proven(house)


def test_ec076_a_drained_campaign_pauses_and_credit_resumes_it(house: House) -> None:
    """EC-076, S4-071: drain, refuse, top up less than a card, top up, finish."""
    seeded = funded(house, cards=4, minor=2 * PRICE + 100)
    submit(house, seeded, recipients_csv(2))
    drain(house)
    assert campaign(house, seeded) == ("paused", "credit_exhausted")
    with pytest.raises(CampaignNotActive):
        submit(house, seeded, recipients_csv(1, start=9))

    top_up(house, seeded, PRICE - 101)
    drain(house)
    assert campaign(house, seeded) == ("paused", "credit_exhausted")

    top_up(house, seeded, 1)
    drain(house)
    assert campaign(house, seeded) == ("active", None)
    job_id = submit(house, seeded, recipients_csv(1, start=9))
    drain(house)
    assert view(house, job_id)["state"] == "succeeded"


def test_ec076_only_a_person_lifts_a_persons_pause(house: House) -> None:
    seeded = funded(house, cards=2, minor=2 * PRICE)
    submit(house, seeded, recipients_csv(2))
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        pause_campaign(session, seeded.campaign_id, actor_id=ACTOR)
    drain(house)
    assert campaign(house, seeded) == ("paused", "user")

    top_up(house, seeded, 10 * PRICE)
    drain(house)
    assert campaign(house, seeded) == ("paused", "user")

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        resume_campaign(session, seeded.campaign_id, actor_id=ACTOR)
    assert campaign(house, seeded) == ("active", None)


def test_ec076_credit_taken_back_pauses_too(house: House) -> None:
    seeded = funded(house, cards=2, minor=3 * PRICE)
    submit(house, seeded, recipients_csv(1))
    drain(house)
    assert campaign(house, seeded) == ("active", None)

    with scoped_transaction(house.sessions, PLATFORM) as session:
        recall(
            session,
            parent_id=seeded.agency_account,
            child_id=seeded.client_account,
            amount=2 * PRICE,
            notes="",
            client_ref=f"r:{new_id()}",
            actor_id=ACTOR,
        )
    drain(house)

    assert campaign(house, seeded) == ("paused", "credit_exhausted")


def test_ec076_each_crossing_is_told_once_and_is_over_with_new_credit(house: House) -> None:
    """EC-076: 20, 10 and 0 percent of what the account held when credit last came in."""
    seeded = funded(house, cards=12, minor=10 * PRICE)
    heard = []
    for start, size in ((0, 7), (10, 1), (20, 1), (30, 1)):
        submit(house, seeded, recipients_csv(size, start=start))
        heard.append(told(house, seeded))
    seen = rows(
        house,
        "SELECT seen FROM alerts WHERE kind = 'low_credit' AND subject_id = :id",
        id=seeded.client_account,
    )

    assert heard == [[], [("open", 1)], [("open", 2)], [("open", 3)]]
    assert [row.seen for row in seen] == [3]

    top_up(house, seeded, 20 * PRICE)
    assert told(house, seeded) == []
    submit(house, seeded, recipients_csv(2, start=40))
    assert told(house, seeded) == []


def test_s4_068_an_account_never_falls_below_zero(house: House) -> None:
    """S4-068: the constraint stands under every verb."""
    seeded = funded(house, cards=1, minor=PRICE)

    spend = text("UPDATE accounts SET balance = -1 WHERE id = :id")
    with (
        pytest.raises(IntegrityError, match="ck_accounts_available"),
        scoped_transaction(house.sessions, PLATFORM) as session,
    ):
        session.execute(spend, {"id": seeded.client_account})


def switched(house: House, seeded: Seeded, verb: Any, **values: Any) -> None:
    caller = Principal(ACTOR, Role.CLIENT_ADMIN, seeded.agency_id, seeded.client_id)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        verb(
            session,
            seeded.campaign_id,
            client_ref=f"b:{new_id()}",
            caller=caller,
            limits=house.limits,
            **values,
        )


def test_ec075_a_budget_is_not_switched_while_its_jobs_hold_credit(house: House) -> None:
    """EC-075: not while a job runs, nor while one waits; afterwards the balance goes along."""
    seeded = funded(house, cards=3, minor=4 * PRICE)
    job_id = submit(house, seeded, recipients_csv(2))
    with pytest.raises(HoldsOutstanding):
        switched(house, seeded, isolate_budget, amount=PRICE, currency="USD")
    drain(house)
    assert view(house, job_id)["state"] == "succeeded"

    switched(house, seeded, isolate_budget, amount=PRICE, currency="USD")
    waiting = submit(house, seeded, recipients_csv(2, start=5), allow_partial=True)
    for _ in range(2):
        with pytest.raises(HoldsOutstanding):
            switched(house, seeded, share_budget)
        drain(house)
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        cancel_job(session, waiting, actor_id=ACTOR, now=clock.now(session))
    drain(house)

    switched(house, seeded, share_budget)
    (own,) = rows(
        house,
        "SELECT balance, held FROM accounts WHERE owner_id = :id AND kind = 'credit'",
        id=seeded.campaign_id,
    )
    assert tuple(own) == (0, 0)
    assert_proven(house)


def test_ec077_a_campaign_that_owes_does_not_leave_its_debt_behind(house: House) -> None:
    """EC-077: its budget is shared again when its own account owes nothing."""
    seeded = funded(house, cards=1, minor=4 * PRICE)
    switched(house, seeded, isolate_budget, amount=PRICE, currency="USD")
    submit(house, seeded, recipients_csv(1))
    drain(house)
    (own,) = rows(
        house,
        "SELECT id FROM accounts WHERE owner_id = :id AND kind = 'credit'",
        id=seeded.campaign_id,
    )
    dispute(house, top_up_of(house, own.id))

    with pytest.raises(AccountRestricted):
        switched(house, seeded, share_budget)

    mode = "SELECT budget_mode FROM campaigns WHERE id = :id"
    assert rows(house, mode, id=seeded.campaign_id)[0].budget_mode == "isolated"
