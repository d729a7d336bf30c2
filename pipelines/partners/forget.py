"""Forget what is over: spent tokens nobody takes any more, old visits, texts of ended secrets."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

#: A visit is kept for questions about it; when somebody came is personal too (SEC-40).
VISITS_KEPT = timedelta(days=30)
REFUSALS_KEPT = timedelta(days=90)
#: Rows of each kind forgotten by one run of the duty.
FORGOTTEN_AT_ONCE = 5_000

_TOKENS = text("""
WITH gone AS MATERIALIZED (
    SELECT partner_id, jti_hash FROM spent_tokens WHERE forget_at <= :now
    ORDER BY forget_at LIMIT :limit
)
DELETE FROM spent_tokens t USING gone g
WHERE t.partner_id = g.partner_id AND t.jti_hash = g.jti_hash
""")
_VISITS = text("""
DELETE FROM widget_sessions WHERE id = ANY (ARRAY(
    SELECT id FROM widget_sessions WHERE expires_at <= :before
    ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED))
""")
_SECRETS = text("""
UPDATE partner_secrets SET secret_sealed = NULL
WHERE secret_sealed IS NOT NULL AND ends_at <= :now
""")
_REFUSALS = text("DELETE FROM partner_refusals WHERE day < CAST(:before AS date)")


def forget_partner_traces(session: Session, now: datetime) -> bool:
    """A bounded piece, in the SYSTEM scope; whether there may be more."""
    session.execute(_SECRETS, {"now": now})
    session.execute(_REFUSALS, {"before": now - REFUSALS_KEPT})
    limit = {"limit": FORGOTTEN_AT_ONCE}
    tokens = session.execute(_TOKENS, limit | {"now": now}).rowcount  # type: ignore[attr-defined]
    visits = session.execute(_VISITS, limit | {"before": now - VISITS_KEPT}).rowcount  # type: ignore[attr-defined]
    return FORGOTTEN_AT_ONCE in {tokens, visits}
