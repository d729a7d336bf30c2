"""Rows come into the staging table in batches: no single statement lasts as long as the upload."""

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import text
from sqlalchemy.orm import Session

from models.database import scoped_transaction
from models.scope import client
from pipelines.jobs.copying import BATCH_ROWS
from pipelines.provisioning.staging import StagedRow, stage, tally
from pipelines.wiring import House
from tests.seeding import seed


def watched_rows(session: Session, count: int, statuses: set[Any]) -> Iterator[StagedRow]:
    """Rows that note what the connection is doing while they are made."""
    driver: Any = session.connection().connection.driver_connection
    for position in range(1, count + 1):
        statuses.add(driver.info.transaction_status)
        yield StagedRow(position, {"reference": f"r{position}"}, None, None, None)


@pytest.mark.parametrize("count", [0, 1, BATCH_ROWS, 2 * BATCH_ROWS + 1])
def test_no_copy_is_open_while_rows_are_read(house: House, count: int) -> None:
    """A slow upload, or a long one, is not one statement that a timeout could end."""
    seeded = seed(house, vendor=False)
    statuses: set[Any] = set()

    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        rows = watched_rows(session, count, statuses)
        stage(session, rows, person_secret=house.person_secret)
        staged = session.execute(text("SELECT count(DISTINCT reference) FROM intake")).scalar()
        assert (tally(session).rows, staged) == (count, count)

    assert statuses == ({TransactionStatus.INTRANS} if count else set())
