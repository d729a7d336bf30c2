"""How long credit lasts: from what is spent, held, waiting and scheduled (S4-052)."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, agency, client, tenant_scope
from pipelines.alerts.fold import fold_signals
from pipelines.credit.projection import Projection, projection, projections
from pipelines.jobs.control import cancel_job
from pipelines.monitoring.monitor import Report, monitor
from pipelines.provisioning.plan import OnError
from pipelines.wiring import House
from tests.auditing import as_superuser
from tests.conftest import Database
from tests.driving import drain, recipients_csv, rows, submit
from tests.funding import PRICE, funded, top_up
from tests.later import tomorrow
from tests.proof import assert_proven, violations
from tests.seeding import ACTOR, Seeded


def projected(house: House, seeded: Seeded, account: UUID | None = None) -> Projection:
    with scoped_transaction(house.sessions, agency(seeded.agency_id)) as session:
        found = projection(session, account or seeded.client_account, now=clock.now(session))
    assert found is not None
    return found


def days_ago(database: Database, days: int) -> None:
    """As if everything issued so far had been so many days ago; nobody may write that."""
    as_superuser(database, f"UPDATE issued_deltas SET day = day - {days}")


def test_s4_052_what_is_spent_says_when_it_runs_out(house: House, database: Database) -> None:
    """Four cards nine days ago are 100.00 in ten days: 200.00 last twenty days."""
    seeded = funded(house, cards=4, minor=12 * PRICE)
    submit(house, seeded, recipients_csv(4))
    drain(house)
    days_ago(database, 9)

    found = projected(house, seeded)

    assert (found.free_minor, found.held_minor, found.pace.spent_minor) == (8 * PRICE, 0, 4 * PRICE)
    assert found.pace.days == 10
    assert found.days_left == 20
    assert found.runs_out_on == found.at.date() + timedelta(days=20)
    assert found.cards_left == 8
    course = found.course(20)
    assert [free for _day, free in course[:3]] == [20_000, 19_000, 18_000]
    assert course[-1] == (found.runs_out_on, 0)


def test_s4_052_without_any_spending_it_does_not_run_out(house: House) -> None:
    seeded = funded(house, cards=1, minor=4 * PRICE)

    found = projected(house, seeded)

    assert (found.days_left, found.runs_out_on, found.cards_left) == (None, None, None)


def test_s4_052_held_and_scheduled_work_is_taken_off_on_its_day(house: House) -> None:
    """A job that is scheduled and held for in part takes the rest on its day, and no card is left."""
    seeded = funded(house, cards=1, minor=4 * PRICE)
    at = tomorrow(house, hours=72)
    job = submit(house, seeded, recipients_csv(6), scheduled_for=at, allow_partial=True)

    held = projected(house, seeded)
    above = projected(house, seeded, seeded.agency_account)
    top_up(house, seeded, PRICE)
    topped = projected(house, seeded)

    assert (held.free_minor, held.held_minor, held.waiting_minor) == (0, 4 * PRICE, 2 * PRICE)
    assert [(one.job_id, one.starts_at) for one in held.coming] == [(job, at)]
    assert (above.free_minor, above.held_minor, above.waiting_minor) == (0, 4 * PRICE, 2 * PRICE)
    assert held.days_left == 0
    assert topped.free_minor == PRICE
    assert topped.days_left == (at.date() - topped.at.date()).days
    assert topped.cards_left == 1


def test_s4_052_an_agency_is_projected_with_all_below_it(house: House) -> None:
    seeded, other = funded(house, cards=2, minor=10 * PRICE), funded(house, cards=1, minor=PRICE)
    submit(house, seeded, recipients_csv(2))
    drain(house)

    whole = projected(house, seeded, seeded.agency_account)
    with scoped_transaction(house.sessions, agency(seeded.agency_id)) as session:
        accounts = [seeded.agency_account, seeded.client_account, other.client_account]
        several = projections(session, accounts, now=clock.now(session))
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        above = projection(session, seeded.agency_account, now=clock.now(session))

    assert whole.covers_below
    assert (whole.free_minor, whole.pace.spent_minor) == (8 * PRICE, 2 * PRICE)
    assert set(several) == {seeded.agency_account, seeded.client_account}
    assert several[seeded.client_account].days_left == whole.days_left == 28
    assert above is None


_WANTED = """
SELECT coalesce(sum(i.charge_minor), 0) AS wanted FROM jobs j JOIN items i ON i.job_id = j.id
WHERE j.client_id = :client AND j.state IN ('queued', 'running', 'paused')
  AND i.state = 'pending' AND i.position > j.funded_to
"""


def test_s4_052_what_waits_is_the_sum_over_its_rows_at_every_step(house: House) -> None:
    """Begun in part, funded in steps across chunks, another behind it, rows that were skipped."""
    seeded = funded(house, cards=620, minor=30 * PRICE)
    seen = []

    def look() -> int:
        drain(house)
        (row,) = rows(house, _WANTED, client=seeded.client_id)
        assert projected(house, seeded).waiting_minor == row.wanted
        return int(row.wanted) // PRICE

    twice = recipients_csv(520) + b"r1,person1@example.com,Again,\n"
    submit(house, seeded, twice, allow_partial=True, on_error=OnError.SKIP)
    seen.append(look())
    second = submit(house, seeded, recipients_csv(7, 520), allow_partial=True)
    seen.append(look())
    for more in (100, 385, 7):
        top_up(house, seeded, more * PRICE)
        seen.append(look())
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        cancel_job(session, second, actor_id=ACTOR, now=clock.now(session))
    seen.append(look())

    assert seen == [490, 497, 397, 12, 5, 0]
    assert_proven(house)


def test_s4_052_a_job_that_wants_another_sum_than_its_rows_is_no_proof(
    house: House, database: Database
) -> None:
    seeded = funded(house, cards=1, minor=PRICE)
    job_id = submit(house, seeded, recipients_csv(3), allow_partial=True)
    as_superuser(database, f"UPDATE jobs SET unfunded_minor = 1 WHERE id = '{job_id}'")

    assert set(violations(house)) == {"open-holds"}


def test_s4_052_a_projection_reads_no_item_however_many_wait(house: House) -> None:
    seeded = funded(house, cards=1, minor=PRICE)
    submit(house, seeded, recipients_csv(3), allow_partial=True)
    scans = text(
        "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables "
        "WHERE relname = 'items'"
    )
    with scoped_transaction(house.sessions, agency(seeded.agency_id)) as session:
        before = session.execute(scans).scalar_one()
        found = projection(session, seeded.client_account, now=clock.now(session))
        after = session.execute(scans).scalar_one()

    assert found is not None
    assert (found.waiting_minor, after) == (2 * PRICE, before)


def looked(house: House) -> Report:
    with tenant_scope(SYSTEM):
        report = monitor(house.sessions, limits=house.limits)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fold_signals(session)
    return report


def unpayable(report: Report) -> list[tuple[UUID | None, int, int]]:
    return [
        (one.subject_id, one.level, one.detail["waiting_minor"])
        for one in report.findings
        if one.kind.name == "scheduled_job_unpayable"
    ]


def standing(house: House) -> list[UUID]:
    found = rows(
        house,
        "SELECT subject_id FROM alerts WHERE kind = 'scheduled_job_unpayable' "
        "AND state <> 'resolved'",
    )
    return [row.subject_id for row in found]


def test_s4_052_a_scheduled_job_that_cannot_be_paid_is_told_before_it_starts(house: House) -> None:
    """The older is served first; told again within a day of the start; over with enough credit."""
    seeded = funded(house, cards=1, minor=4 * PRICE)
    later = submit(
        house,
        seeded,
        recipients_csv(6),
        scheduled_for=tomorrow(house, hours=72),
        allow_partial=True,
    )
    soon = submit(
        house,
        seeded,
        recipients_csv(1, 6),
        scheduled_for=tomorrow(house, hours=5),
        allow_partial=True,
    )

    short, told = looked(house), standing(house)
    top_up(house, seeded, 2 * PRICE)
    one, left = looked(house), standing(house)
    top_up(house, seeded, PRICE)
    both, over = looked(house), standing(house)
    rows(
        house,
        "UPDATE accounts SET restricted_at = now() WHERE id = :id RETURNING 1",
        id=seeded.client_account,
    )
    stopped = looked(house)

    assert unpayable(short) == [(later, 0, 2 * PRICE), (soon, 1, PRICE)]
    assert set(told) == {later, soon}
    assert unpayable(one) == [(soon, 1, PRICE)]
    assert left == [soon]
    assert (unpayable(both), over) == ([], [])
    assert [found[0] for found in unpayable(stopped)] == [later, soon]
