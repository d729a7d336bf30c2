"""What is wrong becomes one alert, however often and by whomever it is seen (S4-011, S4-034)."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy.exc import ProgrammingError

from models import clock
from models.alerts import Severity
from models.base import new_id
from models.database import scoped_transaction
from models.scope import SYSTEM, Scope, client
from pipelines.alerts.fold import Folded, Happened, fold_signals, forget_alerts
from pipelines.alerts.kinds import ALL, POOL_DEPLETED
from pipelines.alerts.raise_alert import raise_alert, settle_alert
from pipelines.queue.schedule import fire_due
from pipelines.wiring import House
from tests.driving import drain, rows

STRANGER = client(UUID(int=7))


def seen(house: House, subject: UUID, *, level: int = 0, scope: Scope = SYSTEM) -> None:
    with scoped_transaction(house.sessions, scope) as session:
        raise_alert(
            session,
            POOL_DEPLETED,
            subject_id=subject,
            detail={"cards": 0},
            now=clock.now(session),
            level=level,
        )


def over(house: House, subject: UUID) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        settle_alert(session, POOL_DEPLETED, subject_id=subject, now=clock.now(session))


def fold(house: House, *, limit: int = 1_000) -> Folded:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return fold_signals(session, limit=limit)


def states(house: House) -> list[tuple[str, int, int]]:
    found = rows(house, "SELECT state, seen, level FROM alerts ORDER BY first_seen_at, id")
    return [(row.state, row.seen, row.level) for row in found]


def test_s4_011_trouble_seen_often_is_one_alert_that_counts(house: House):
    pool = new_id()
    for _ in range(3):
        seen(house, pool)

    first = fold(house)
    seen(house, pool)
    second = fold(house)

    assert states(house) == [("open", 4, 0)]
    assert [news.happened for news in first.news] == [Happened.RAISED]
    assert second.news == ()
    assert rows(house, "SELECT 1 FROM alert_signals") == []


def test_a_higher_level_is_news_and_opens_what_was_acknowledged(house: House):
    pool = new_id()
    seen(house, pool, level=1)
    fold(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.connection().exec_driver_sql("UPDATE alerts SET state = 'acknowledged'")

    seen(house, pool, level=1)
    same = fold(house)
    was = states(house)
    seen(house, pool, level=2)
    worse = fold(house)

    assert same.news == ()
    assert was == [("acknowledged", 2, 1)]
    assert [news.happened for news in worse.news] == [Happened.ESCALATED]
    assert states(house) == [("open", 3, 2)]


def test_what_is_over_resolves_and_may_come_back_as_another_alert(house: House):
    pool, other = new_id(), new_id()
    seen(house, pool)
    seen(house, other)
    fold(house)

    over(house, pool)
    resolved = fold(house)
    seen(house, pool)
    again = fold(house)

    assert [news.happened for news in resolved.news] == [Happened.RESOLVED]
    assert [news.happened for news in again.news] == [Happened.RAISED]
    assert [state for state, _seen, _level in states(house)] == ["resolved", "open", "open"]


def test_a_blip_between_two_passes_is_no_alert(house: House):
    pool = new_id()
    seen(house, pool)
    over(house, pool)

    assert fold(house).news == ()
    assert states(house) == []


def test_any_scope_raises_and_none_but_the_system_reads_signals(house: House):
    seen(house, new_id(), scope=STRANGER)

    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        scoped_transaction(house.sessions, STRANGER) as session,
    ):
        session.connection().exec_driver_sql("SELECT * FROM alert_signals")
    fold(house)

    with scoped_transaction(house.sessions, STRANGER) as session:
        found = session.connection().exec_driver_sql("SELECT count(*) FROM alerts").scalar_one()
    assert found == 0, "the alert of nobody's tenant is the platform's"
    assert len(states(house)) == 1


def test_a_full_pass_is_followed_by_another_until_all_are_folded(house: House):
    pool = new_id()
    for _ in range(5):
        seen(house, pool)

    passes = [fold(house, limit=2) for _ in range(3)]

    assert [folded.is_full for folded in passes] == [True, True, False]
    assert states(house) == [("open", 5, 0)]


def test_old_resolved_alerts_are_forgotten_and_open_ones_are_not(house: House):
    pool, other = new_id(), new_id()
    seen(house, pool)
    seen(house, other)
    fold(house)
    over(house, pool)
    fold(house)

    with scoped_transaction(house.sessions, SYSTEM) as session:
        forget_alerts(session, before=clock.now(session) + timedelta(seconds=1))

    assert states(house) == [("open", 1, 0)]


def test_the_duty_folds_what_was_signalled(house: House):
    seen(house, new_id())
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fire_due(session, clock.now(session))
    drain(house)

    assert states(house) == [("open", 1, 0)]


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_kind_says_what_is_wrong_and_what_to_do(name: str):
    kind = ALL[name]

    assert kind.name == name
    assert kind.severity in Severity
    assert kind.sentence.endswith(".")
    assert kind.remedy.endswith(".")
