"""Who tries a code that is for somebody else: kept by digests, and told of when it seems to have leaked (EC-017).

The code stays good for whom it is for: nobody else can use it anyway.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from pipelines.alerts.payment_kinds import ASSIGNED_CODE_LEAKED
from pipelines.alerts.raise_alert import raise_alert
from pipelines.discounts.customers import KnownCustomer, is_for
from pipelines.limits import Limits

# Whoever notes another try of the code waits, so that one person is one row.
_CODE = text("""
SELECT id, agency_id, client_id, assignee_keys, assigned_user_id FROM discount_codes
WHERE id = :code FOR NO KEY UPDATE
""")
_AGAIN = text("""
UPDATE code_tries SET tries = tries + 1, last_at = greatest(last_at, :now), customer_keys = ARRAY(
    SELECT DISTINCT unnest(customer_keys || CAST(:keys AS bytea[])) ORDER BY 1)
WHERE id = (SELECT id FROM code_tries WHERE code_id = :code
              AND customer_keys && CAST(:keys AS bytea[]) ORDER BY id LIMIT 1)
RETURNING id
""")
# So many are enough to know: a guesser of names fills no table.
_FIRST = text("""
INSERT INTO code_tries (id, agency_id, client_id, code_id, customer_keys, tries, first_at, last_at)
SELECT :id, :agency, :client, :code, :keys, 1, :now, :now
WHERE (SELECT count(*) FROM code_tries WHERE code_id = :code) < :most
""")
_LATELY = text("SELECT count(*) FROM code_tries WHERE code_id = :code AND last_at > :since")


def note_stranger(
    session: Session, code_id: UUID, customer: KnownCustomer, *, now: datetime, limits: Limits
) -> None:
    """Keep that somebody else tried an assigned code; raise the alert where several did within an hour."""
    code = session.execute(_CODE, {"code": code_id}).one()
    if is_for(code.assignee_keys, code.assigned_user_id, customer):
        # They have become known as its assignee meanwhile.
        return
    values = {
        "id": new_id(),
        "agency": code.agency_id,
        "client": code.client_id,
        "code": code_id,
        "keys": list(customer.keys),
        "now": now,
        "most": limits.code_tries_kept_max,
    }
    if session.execute(_AGAIN, values).one_or_none() is None:
        session.execute(_FIRST, values)
    _watch(session, code, now, limits)


def _watch(session: Session, code: Row[Any], now: datetime, limits: Limits) -> None:
    window = timedelta(seconds=limits.code_tries_window_seconds)
    since = {"code": code.id, "since": now - window}
    others = int(session.execute(_LATELY, since).scalar_one())
    if others >= limits.code_tries_alert_at:
        raise_alert(
            session,
            ASSIGNED_CODE_LEAKED,
            subject_id=code.id,
            detail={"others": others},
            now=now,
            agency_id=code.agency_id,
            client_id=code.client_id,
        )
