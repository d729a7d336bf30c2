"""Who is told of alerts by mail, of which, and how often (S4-022, S4-067)."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from models import clock
from models.alerts import Severity
from models.base import new_id
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM, tenant_scope
from pipelines.alerts.kind import AlertKind
from pipelines.alerts.kinds import POOL_DEPLETED, POOL_LOW, PROVISIONING_FAILURES
from pipelines.alerts.raise_alert import raise_alert
from pipelines.alerts.subscriptions import Chosen, Reader, choose_notices
from pipelines.monitoring.monitor import monitor
from pipelines.monitoring.notify import LISTED_MAX, fold_and_tell
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit
from tests.mail.conftest import a_user
from tests.seeding import Seeded, seed
from tests.vendor import Sandbox

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


def seen(
    house: House,
    subject: UUID,
    *,
    kind: AlertKind = POOL_LOW,
    severity: Severity = CRITICAL,
    level: int = 0,
    seeded: Seeded | None = None,
) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        raise_alert(
            session,
            kind,
            subject_id=subject,
            detail={"usable": 3},
            now=clock.now(session),
            agency_id=seeded and seeded.agency_id,
            client_id=seeded and seeded.client_id,
            severity=severity,
            level=level,
        )


def fold(house: House) -> None:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fold_and_tell(session, keyring=house.settings.keyring, now=clock.now(session))


def told(house: House) -> dict[UUID, int]:
    """How many mails of alerts each person was written."""
    found = rows(
        house,
        "SELECT user_id, count(*) AS mails FROM outgoing_mails WHERE template = 'alerts' GROUP BY 1",
    )
    return {row.user_id: row.mails for row in found}


def choose(house: House, user_id: UUID, severity: str, kinds: Any = None, **place: UUID) -> None:
    reader = Reader(user_id, place.get("agency_id"), place.get("client_id"))
    with scoped_transaction(house.sessions, SYSTEM) as session:
        choose_notices(session, reader, Chosen(severity, kinds), now=clock.now(session))


def test_s4_022_an_administrator_is_written_what_is_wrong_and_what_it_is_about(
    mail_house: House, sandbox: Sandbox
):
    a_user(mail_house, "root@example.com")
    pool = new_id()
    seen(mail_house, pool)

    fold(mail_house)
    drain(mail_house)

    (mail,) = sandbox.mails("root@example.com")
    assert mail["subject"] == POOL_LOW.sentence
    assert f"Critical: {POOL_LOW.sentence} (pool {pool}; usable 3)" in mail["text"]
    assert "http://127.0.0.1:8000/console/alerts" in mail["text"]
    assert f"pool {pool}" in mail["html"]


def test_s4_067_a_waterfall_that_ends_without_a_card_says_so_and_an_administrator_is_written(
    mail_house: House, sandbox: Sandbox
):
    """S4-067: the row ends with an error; the monitor alerts whoever asked to be told of warnings."""
    root = a_user(mail_house, "root@example.com")
    choose(mail_house, root, "warning")
    seeded = seed(mail_house, vendor=False)
    import_cards_now(mail_house, seeded.csv_pool, cards_csv(1))
    job_id = submit(mail_house, seeded, recipients_csv(2))
    drain(mail_house)
    ended = rows(mail_house, "SELECT state, code FROM items WHERE job_id = :j ORDER BY 1", j=job_id)
    assert [tuple(row) for row in ended] == [("failed", "no_inventory"), ("succeeded", None)]

    with tenant_scope(SYSTEM):
        monitor(mail_house.sessions, limits=mail_house.limits)
    fold(mail_house)
    drain(mail_house)

    (mail,) = sandbox.mails("root@example.com")
    assert f"Warning: {POOL_DEPLETED.sentence} (pool {seeded.csv_pool};" in mail["text"]
    assert PROVISIONING_FAILURES.sentence in mail["text"]


def test_many_alerts_of_one_pass_are_one_mail_that_lists_the_worst_first(
    mail_house: House, sandbox: Sandbox
):
    root = a_user(mail_house, "root@example.com")
    choose(mail_house, root, "warning")
    for _ in range(LISTED_MAX + 3):
        seen(mail_house, new_id(), severity=WARNING)
    seen(mail_house, new_id(), kind=POOL_DEPLETED)

    fold(mail_house)
    drain(mail_house)

    (mail,) = sandbox.mails("root@example.com")
    lines = [line for line in mail["text"].splitlines() if line]
    assert mail["subject"] == f"{LISTED_MAX + 4} alerts: {POOL_DEPLETED.sentence}"
    assert lines[0].startswith(f"Critical: {POOL_DEPLETED.sentence}")
    assert sum(line.startswith("Warning: ") for line in lines) == LISTED_MAX - 1
    assert "And 4 more." in lines


def test_the_same_trouble_is_told_once_a_day_and_sooner_when_it_gets_worse(house: House):
    root = a_user(house, "root@example.com")
    pool = new_id()

    def comes_back(level: int) -> None:
        seen(house, pool, level=level)
        fold(house)
        with scoped_transaction(house.sessions, SYSTEM) as session:
            session.execute(text("UPDATE alerts SET state = 'resolved', resolved_at = now()"))

    comes_back(1)
    comes_back(1)
    once = told(house)
    comes_back(2)
    comes_back(1)
    worse = told(house)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE alert_notices SET at = at - interval '24 hours'"))
    comes_back(1)

    assert (once, worse, told(house)) == ({root: 1}, {root: 2}, {root: 3})


def test_seen_again_is_no_news(house: House):
    root = a_user(house, "root@example.com")
    pool = new_id()
    for _ in range(3):
        seen(house, pool)
        fold(house)

    assert told(house) == {root: 1}


def test_a_person_is_told_from_the_severity_and_of_the_kinds_they_chose(house: House):
    root, quiet, picky = (a_user(house, f"{name}@example.com") for name in "abc")
    choose(house, root, "warning")
    choose(house, quiet, "none")
    choose(house, picky, "info", ["pool_depleted"])

    seen(house, new_id(), severity=WARNING)
    seen(house, new_id(), kind=POOL_DEPLETED, severity=Severity.INFO)
    fold(house)

    assert told(house) == {root: 1, picky: 1}


def test_a_tenant_s_people_are_told_of_their_own_alone_and_only_if_they_chose_to(house: House):
    mine, other = seed(house, vendor=False), seed(house, vendor=False)
    place = {"agency_id": mine.agency_id, "client_id": mine.client_id}
    foreign = {"agency_id": other.agency_id, "client_id": other.client_id}
    agency = a_user(house, "a@x.example", Role.AGENCY_ADMIN, agency_id=mine.agency_id)
    client = a_user(house, "c@x.example", Role.CLIENT_VIEWER, **place)
    stranger = a_user(house, "s@x.example", Role.CLIENT_ADMIN, **foreign)
    a_user(house, "n@x.example", Role.CLIENT_ADMIN, **place)
    for user, where in ((agency, {"agency_id": mine.agency_id}), (client, place)):
        choose(house, user, "info", **where)
    choose(house, stranger, "info", **foreign)

    seen(house, mine.csv_pool, seeded=mine)
    seen(house, mine.buffer_pool)
    fold(house)

    assert told(house) == {agency: 1, client: 1}


def test_who_may_not_see_alerts_or_is_disabled_is_not_told(house: House):
    gone = a_user(house, "gone@example.com")
    buyer = a_user(house, "buyer@example.com", Role.END_USER)
    choose(house, buyer, "info")
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE users SET disabled_at = now() WHERE id = :id"), {"id": gone})

    seen(house, new_id())
    fold(house)

    assert told(house) == {}
