"""Count what a partner was refused, by day and code: its page shows it, and whoever replays is seen."""

from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import SQLAlchemyError

from models import clock
from models.database import Sessions, scoped_transaction
from models.scope import client
from pipelines.telemetry import get_logger

log = get_logger(__name__)

_COUNT = text("""
INSERT INTO partner_refusals AS r (partner_id, day, reason, agency_id, client_id, last_at)
VALUES (:partner, CAST(:now AS date), :reason, :agency, :client, :now)
ON CONFLICT (partner_id, day, reason) DO UPDATE SET times = r.times + 1, last_at = excluded.last_at
""")


def note_refusal(sessions: Sessions, partner: Row[Any], code: str) -> None:
    """One more of them today, in a transaction of its own; a token's text is kept nowhere.

    A count that cannot be written keeps nobody from the answer.
    """
    named = {"partner": partner.id, "agency": partner.agency_id, "client": partner.client_id}
    try:
        with scoped_transaction(sessions, client(partner.client_id)) as session:
            session.execute(_COUNT, named | {"reason": code, "now": clock.now(session)})
    except SQLAlchemyError as fault:
        log.warning("partner.refusal_not_counted", reason=code, fault=type(fault).__name__)
