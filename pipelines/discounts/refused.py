"""How often discount codes were refused at the checkout, and why: added by fronts, read by periods (S2-062, S2-064).

A front counts in its memory, and adds what it counted with its beat (decision 0049): no request waits for
it, and one statement is for all refusals since the last one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.discounts.refusals import (
    AlreadyReserved,
    AlreadyUsed,
    CodeExpired,
    CodeInactive,
    CodeInvalid,
    CodeNotStarted,
    CurrencyMismatch,
    MinOrderNotMet,
    NoEligibleItems,
    NotFirstOrder,
    OwnReferral,
    SlotExhausted,
    StackingNotAllowed,
    TooManyReservations,
)

#: What is said of a code and whom it is for. Limits of tries, and carts that are being paid, are not.
COUNTED = frozenset(
    refusal.code
    for refusal in (
        *(CodeInvalid, CodeInactive, CodeNotStarted, CodeExpired, SlotExhausted, AlreadyReserved),
        *(AlreadyUsed, OwnReferral, StackingNotAllowed, TooManyReservations, CurrencyMismatch),
        *(NoEligibleItems, MinOrderNotMet, NotFirstOrder),
    )
)
#: Longer than the longest period that can be asked for.
KEPT_DAYS = 400
#: Rows that one run of the duty forgets.
FORGOTTEN_AT_ONCE = 5_000
REASONS_SHOWN = 20

# Several fronts add at once: in one order, so that they wait for each other in no circle. What a client
# does not have as a code is counted as its own; a client that is no more, not at all.
_ADD = text("""
INSERT INTO discount_refusals AS r (agency_id, client_id, code_id, reason, slot, applied, validated)
SELECT l.agency_id, l.id, c.id, g.reason,
    date_bin('15 minutes', CAST(:now AS timestamptz), TIMESTAMPTZ '2000-01-01 00:00:00Z'),
    sum(g.applied), sum(g.validated)
FROM unnest(CAST(:clients AS uuid[]), CAST(:codes AS text[]), CAST(:reasons AS text[]),
    CAST(:applied AS integer[]), CAST(:validated AS integer[]))
    AS g (client_id, code, reason, applied, validated)
JOIN clients l ON l.id = g.client_id
LEFT JOIN discount_codes c ON c.client_id = l.id AND c.code = g.code
GROUP BY l.agency_id, l.id, c.id, g.reason
ORDER BY l.id, c.id, g.reason
ON CONFLICT (client_id, slot, code_id, reason) DO UPDATE SET
    applied = r.applied + excluded.applied, validated = r.validated + excluded.validated
""")
_TOP = """
SELECT reason, CAST(sum(applied) AS bigint) AS applied, CAST(sum(validated) AS bigint) AS validated
FROM discount_refusals WHERE slot >= :begins AND slot < :ends {whose}
GROUP BY reason ORDER BY sum(applied) + sum(validated) DESC, reason LIMIT :limit
"""
_OF_CODE = text(_TOP.format(whose="AND code_id = :code"))
_OF_CLIENT = text(_TOP.format(whose="AND client_id = :client"))
_OF_SCOPE = text(_TOP.format(whose=""))
_FORGET = text("""
DELETE FROM discount_refusals WHERE id = ANY (ARRAY(
    SELECT id FROM discount_refusals WHERE slot < :before ORDER BY slot LIMIT :limit
    FOR UPDATE SKIP LOCKED))
""")


@dataclass(frozen=True, slots=True)
class RefusedFor:
    """What was refused: the code's text if it can be one, at which client, and why."""

    client_id: UUID
    code: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Times:
    """How often, when it was applied to a cart and when it was only asked about."""

    applied: int = 0
    validated: int = 0

    def __add__(self, other: "Times") -> "Times":
        return Times(self.applied + other.applied, self.validated + other.validated)


@dataclass(frozen=True, slots=True)
class Refused:
    """A reason with how often it was given in a period."""

    reason: str
    applied: int
    validated: int

    def as_json(self) -> dict[str, str | int]:
        return {"reason": self.reason, "applied": self.applied, "validated": self.validated}


def add_refusals(session: Session, counted: Mapping[RefusedFor, Times], *, now: datetime) -> None:
    """Add what a front counted, in the system's scope, to the quarter of an hour that it is."""
    values = {
        "clients": [one.client_id for one in counted],
        "codes": [one.code for one in counted],
        "reasons": [one.reason for one in counted],
        "applied": [times.applied for times in counted.values()],
        "validated": [times.validated for times in counted.values()],
    }
    session.execute(_ADD, values | {"now": now})


def refused_for(
    session: Session,
    bounds: Mapping[str, Any],
    *,
    code_id: UUID | None = None,
    client_id: UUID | None = None,
    limit: int = REASONS_SHOWN,
) -> Sequence[Refused]:
    """Why codes were refused in the period of these bounds, what was most first: of one code, of one
    client, or of all in this scope."""
    statement = _OF_SCOPE
    if code_id is not None:
        statement = _OF_CODE
    elif client_id is not None:
        statement = _OF_CLIENT
    values = {"begins": bounds["begins"], "ends": bounds["ends"], "limit": limit}
    found = session.execute(statement, values | {"code": code_id, "client": client_id})
    return [Refused(row.reason, row.applied, row.validated) for row in found]


def forget_refusals(session: Session, now: datetime) -> bool:
    """Delete what no period that can be asked for has any more; True if there may be more of it."""
    values = {"before": now - timedelta(days=KEPT_DAYS), "limit": FORGOTTEN_AT_ONCE}
    done: int = session.execute(_FORGET, values).rowcount  # type: ignore[attr-defined]
    return done == FORGOTTEN_AT_ONCE
