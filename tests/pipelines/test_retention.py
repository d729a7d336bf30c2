"""What has been kept long enough is forgotten piece by piece, and a full piece is followed by another."""

import pytest
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.jobs.retention import PEOPLE_AT_ONCE
from pipelines.queue.kinds import RETENTION
from pipelines.webhooks.forget import FORGOTTEN_AT_ONCE
from pipelines.wiring import House, build_handlers
from tests.driving import rows
from tests.seeding import seed

_JOB = """
INSERT INTO jobs (id, kind, state, spec, total, campaign_id, agency_id, client_id, retain_until)
VALUES (gen_random_uuid(), 'provisioning', 'cancelled', '{}', 0, :campaign, :agency, :client,
    now() - interval '2 days') RETURNING id
"""
_OLD = {
    "items": """
WITH chunk AS (INSERT INTO chunks (job_id, number, agency_id, client_id)
    VALUES (:job, 1, :agency, :client) RETURNING number)
INSERT INTO items (job_id, position, chunk_number, agency_id, client_id, state, email)
SELECT :job, n, number, :agency, :client, 'cancelled', 'x'
FROM chunk, generate_series(1, :many) n""",
    "webhook_sequences": """
INSERT INTO webhook_sequences (object_id, last, at)
SELECT gen_random_uuid(), 1, now() - interval '3 years' FROM generate_series(1, :many) n""",
}
_LEFT = {
    "items": "SELECT count(*) AS n FROM items WHERE email IS NOT NULL",
    "webhook_sequences": "SELECT count(*) AS n FROM webhook_sequences",
}
_AT_ONCE = {
    "items": PEOPLE_AT_ONCE,
    "webhook_sequences": FORGOTTEN_AT_ONCE,
}


def forgotten_once(house: House) -> int:
    """One pass, as a worker does it; how many passes were asked for in turn."""
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("DELETE FROM tasks WHERE kind = 'retention'"))
        handler = build_handlers(house).by_name[RETENTION.name]
        handler.run(session, None, clock.now(session))
    return len(rows(house, "SELECT 1 FROM tasks WHERE kind = 'retention'"))


@pytest.mark.parametrize("table", _OLD)
def test_a_full_pass_of_retention_is_followed_by_another(house: House, table: str) -> None:
    seeded = seed(house, vendor=False)
    tenant = {"agency": seeded.agency_id, "client": seeded.client_id}
    (job,) = rows(house, _JOB, campaign=seeded.campaign_id, **tenant)
    named = {"job": job.id, **tenant, "many": _AT_ONCE[table] + 1}
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text(_OLD[table]), named)

    followed, left = [], []
    for _ in range(2):
        followed.append(forgotten_once(house))
        left.append(rows(house, _LEFT[table])[0].n)

    assert (followed, left) == ([1, 0], [1, 0])
