"""EC-124: what a fault says about a card stays with the fault, in real processes too."""

from pathlib import Path

import psycopg

from ops.bootstrap import database_url
from pipelines.wiring import House
from tests import canary
from tests.canary import MARK, PIN
from tests.conftest import Database, Ground
from tests.driving import cards_csv, import_cards_now, recipients_csv, rows
from tests.intake import items_of, submit_file
from tests.proof import assert_proven
from tests.seeding import seed
from tests.workers.crew import Crew

#: A database that quotes the card which it refuses, as PostgreSQL does with the row of a constraint.
_QUOTING = f"""
CREATE FUNCTION quoting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'card {MARK}-1 is refused' USING ERRCODE = '23505',
    DETAIL = 'Key (card_number, pin)=({MARK}-1, {PIN}) already exists.', HINT = '{MARK}';
END $$;
CREATE TRIGGER quoting BEFORE INSERT ON provisions FOR EACH ROW EXECUTE FUNCTION quoting();
"""


def test_ec124_a_fault_that_quotes_a_card_is_told_by_its_class_alone(
    ground: Ground, vendor_house: House, database: Database, crew: Crew, tmp_path: Path
) -> None:
    """EC-124: not in the item, the task, the message, the log of a process or of the database."""
    seeded = seed(vendor_house, vendor=False)
    import_cards_now(vendor_house, seeded.csv_pool, cards_csv(2))
    superuser = database_url(database.admin_url, database.name)
    with psycopg.connect(superuser) as connection:
        connection.execute(_QUOTING.encode())
    wire = canary.Wire(ground.servers.redis_url)

    job_id = submit_file(vendor_house, seeded, recipients_csv(2)).job_id
    for name in ("relay", "interactive", "bulk"):
        crew.start(name)
    ended = crew.until_ended(job_id)
    crew.dismiss()
    with psycopg.connect(superuser) as connection:
        connection.execute("DROP FUNCTION quoting CASCADE")

    assert ended["state"] == "failed"
    assert items_of(vendor_house, job_id, "state", "code") == [("failed", "internal_error")] * 2
    assert "UniqueViolation" in crew.logs()
    assert canary.in_logs(tmp_path) == []
    assert canary.in_logs(ground.home.path / "logs") == []
    assert canary.in_database(superuser) == []
    assert wire.leaks() == []
    assert wire.commands > 0
    assert canary.in_redis(ground.servers.redis_url) == []
    assert rows(vendor_house, "SELECT count(*) FROM provisions") == [(0,)]
    assert_proven(vendor_house)
