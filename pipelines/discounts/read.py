"""Read discount codes with the rules that are in force, and reservations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import CodeState
from pipelines.books.codes import canonical
from pipelines.discounts.options import OPTION_NAMES
from pipelines.discounts.rules import DiscountRules
from pipelines.discounts.stored_rules import RULES_READ, rules_of, told_rules
from pipelines.errors import NotFound

#: What is kept beside the versions of the rules, and may change while slots are taken.
LIMIT_NAMES = ("max_uses", "max_uses_per_customer")

#: SQL: whoever holds the code `c` has what it is worth (decision 0047).
IS_BEARER = "(c.max_uses = 1 AND c.assignee_keys IS NULL)"


def masked(code: str, *, unless: str) -> str:
    """SQL: the text of a code, and by its last characters alone unless the condition holds."""
    return f"""CASE WHEN {unless} THEN {code}
    ELSE '****' || CASE WHEN length({code}) > 8 THEN right({code}, 4) ELSE '' END END"""


#: SQL: the text of the code `c` as it is shown, with all codes `opens` or without.
CODE_SHOWN = masked("c.code", unless=f"CAST(:opens AS boolean) OR {IS_BEARER} IS NOT TRUE")
_CODES = f"""
SELECT c.id, c.agency_id, c.client_id, c.batch_id, {CODE_SHOWN} AS code, c.state, c.rules_version, c.max_uses,
    c.max_uses_per_customer, c.watch_leaks, c.pause_reason,
    c.assignee_keys IS NOT NULL AS is_assigned, c.assigned_user_id, c.restore_on_refund, c.on_late, c.used, c.overflow_uses, c.version, c.created_by, c.created_at,
    c.updated_at, {RULES_READ},
    (SELECT count(*) FROM discount_usages u
     WHERE u.code_id = c.id AND u.state = 'reserved') AS reserved,
    t.others AS others_tried, t.last_at AS last_tried_by_other_at
FROM discount_codes c
JOIN discount_rules r ON r.code_id = c.id AND r.version = c.rules_version
LEFT JOIN LATERAL (SELECT count(*) AS others, max(last_at) AS last_at
                   FROM code_tries WHERE code_id = c.id) t ON c.assignee_keys IS NOT NULL
"""
_ONE = text(_CODES + "WHERE c.id = :code")
# Looked for by its beginning, a code that is not shown would be told letter by letter.
_LIST = text(
    _CODES
    + f"""
WHERE (CAST(:before AS uuid) IS NULL OR c.id < :before)
  AND (CAST(:client AS uuid) IS NULL OR c.client_id = :client)
  AND (CAST(:batch AS uuid) IS NULL OR c.batch_id = :batch)
  AND c.code LIKE :begins AND (CAST(:opens AS boolean) OR {IS_BEARER} IS NOT TRUE
    OR :begins IN ('%', c.code || '%'))
  AND CASE CAST(:standing AS text) WHEN 'paused' THEN c.state = 'paused'
    WHEN 'draining' THEN c.state = 'archived' AND EXISTS (SELECT FROM discount_usages u
      WHERE u.code_id = c.id AND u.state = 'reserved')
    WHEN 'archived' THEN c.state = 'archived' AND NOT EXISTS (SELECT FROM discount_usages u
      WHERE u.code_id = c.id AND u.state = 'reserved')
    WHEN 'scheduled' THEN c.state = 'active' AND r.starts_at > :now
    WHEN 'expired' THEN c.state = 'active' AND r.expires_at <= :now
    WHEN 'exhausted' THEN c.state = 'active' AND c.used = c.max_uses
      AND coalesce(r.starts_at <= :now, true) AND coalesce(r.expires_at > :now, true)
    WHEN 'active' THEN c.state = 'active' AND coalesce(r.starts_at <= :now, true)
      AND coalesce(r.expires_at > :now, true) AND coalesce(c.used < c.max_uses, true)
    ELSE true END
ORDER BY c.id DESC LIMIT :limit
"""
)


def codes_of(usage: str) -> str:
    """SQL: the codes of the reservation whose id is `usage`, in the order in which they take off.

    A JSON list of `code_id`, `code` and `discount_minor`, and of what becomes of each use: see
    `codes_json` for what its readers get.
    """
    return f"""(
    SELECT jsonb_agg(jsonb_build_object('code_id', s.code_id, 'code', d.code,
        'discount_minor', s.discount_minor, 'is_overflow', s.is_overflow, 'restored', s.restored,
        'restore_on_refund', d.restore_on_refund) ORDER BY t.kind <> 'percent', d.code COLLATE "C")
    FROM discount_usages s JOIN discount_codes d ON d.id = s.code_id
    JOIN discount_rules t ON t.code_id = s.code_id AND t.version = s.rules_version
    WHERE s.id = {usage} OR s.stacked_on = {usage})"""


_USAGE = text(f"""
SELECT u.*, m.state AS payment_state, {codes_of("u.id")} AS codes
FROM discount_usages u LEFT JOIN payments m ON m.id = u.purchase_id
WHERE u.id = :usage AND u.stacked_on IS NULL
  AND u.release_reason IS DISTINCT FROM 'code_removed'
""")


class Standing(StrEnum):
    """How a code stands at a moment."""

    ACTIVE = "active"
    PAUSED = "paused"
    SCHEDULED = "scheduled"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"
    #: Put away, while somebody is about to pay with it (EC-026).
    DRAINING = "draining"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which codes of a list: None asks for any."""

    standing: Standing | None = None
    #: How the code begins, in its one spelling.
    begins: str = ""
    client_id: UUID | None = None
    batch_id: UUID | None = None


def beginning(code: str | None) -> str:
    """How a code begins, for a search: in the one spelling; what cannot be a code begins none."""
    return canonical(code or "").replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


@dataclass(frozen=True, slots=True)
class CodeView:
    """A code with the rules in force, as it was read at `now`."""

    row: Row[Any]
    now: datetime

    @property
    def rules(self) -> DiscountRules:
        return rules_of(self.row)

    @property
    def standing(self) -> Standing:
        return standing(self.row, self.now)

    def as_json(self) -> dict[str, Any]:
        row = self.row
        return {
            "id": row.id,
            "agency_id": row.agency_id,
            "client_id": row.client_id,
            "batch_id": row.batch_id,
            "code": row.code,
            "standing": self.standing.value,
            **told_rules(self.rules),
            **{name: getattr(row, name) for name in (*LIMIT_NAMES, *OPTION_NAMES)},
            "pause_reason": row.pause_reason,
            "is_assigned": row.is_assigned,
            "assigned_user_id": row.assigned_user_id,
            "others_tried": row.others_tried or 0,
            "last_tried_by_other_at": row.last_tried_by_other_at,
            "used": row.used,
            "reserved": row.reserved,
            "overflow_uses": row.overflow_uses,
            "rules_version": row.rules_version,
            "version": row.version,
            "created_by": row.created_by,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }


def read_code(session: Session, code_id: UUID, *, now: datetime, opens: bool) -> CodeView:
    """One code; `opens` as of `list_codes`. `NotFound` if this scope cannot see it."""
    row = session.execute(_ONE, {"code": code_id, "opens": opens}).one_or_none()
    if row is None:
        raise NotFound
    return CodeView(row, now)


def list_codes(
    session: Session,
    wanted: Wanted,
    *,
    now: datetime,
    before: UUID | None,
    limit: int,
    opens: bool,
) -> list[CodeView]:
    """Codes this scope can see, newest first; `before` is the last id of the page before.

    Unless `opens`, the text of a code that is good once for whoever has it is `****` with its last
    four characters, and it is found by its whole text alone (decision 0047).
    """
    values = {
        "opens": opens,
        "before": before,
        "client": wanted.client_id,
        "batch": wanted.batch_id,
        "begins": f"{wanted.begins}%",
        "standing": wanted.standing,
        "now": now,
        "limit": limit,
    }
    return [CodeView(row, now) for row in session.execute(_LIST, values)]


def standing(row: Row[Any], now: datetime) -> Standing:
    """The standing of a row of codes with its rules, at a moment."""
    if row.state == CodeState.ARCHIVED:
        return Standing.DRAINING if row.reserved else Standing.ARCHIVED
    if row.state == CodeState.PAUSED:
        return Standing.PAUSED
    if row.starts_at is not None and now < row.starts_at:
        return Standing.SCHEDULED
    if row.expires_at is not None and now >= row.expires_at:
        return Standing.EXPIRED
    if row.max_uses is not None and row.used >= row.max_uses:
        return Standing.EXHAUSTED
    return Standing.ACTIVE


def read_reservation(session: Session, usage_id: UUID) -> Row[Any]:
    """A reservation in whatever state, with its `codes`, and the `payment_state` of what pays for it.

    `NotFound` if this scope cannot see it.
    """
    row = session.execute(_USAGE, {"usage": usage_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def codes_json(codes: Sequence[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The codes of a reservation, each with what it takes off in minor units; none without one."""
    return [
        {name: one[name] for name in ("code_id", "code", "discount_minor")} for one in codes or ()
    ]


def reservation_json(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "code_id": row.code_id,
        "client_id": row.client_id,
        "rules_version": row.rules_version,
        "state": row.state.upper(),
        "cart_id": row.cart_reference,
        "user_id": row.user_id,
        "expires_at": row.expires_at,
        "release_reason": row.release_reason,
        "ended_at": row.ended_at,
        "created_at": row.created_at,
    }


def quoted_json(row: Row[Any]) -> dict[str, Any]:
    """A reservation with its codes and what its cart costs with them."""
    return {
        "reservation": reservation_json(row),
        "codes": codes_json(row.codes),
        "quote": row.quote,
    }
