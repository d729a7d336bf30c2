"""Read referral programs with what came of them, and the rewards of each."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import CodeState
from models.referrals import RewardState
from pipelines.errors import NotFound
from pipelines.referrals.programs import PLAIN_NAMES

#: Of one customer, the newest: a shop shows what they have.
REWARDS_OF_ONE_MAX = 100

_ONE = text("SELECT * FROM referral_programs WHERE id = :program")
_LIST = text("""
SELECT g.*, (SELECT count(*) FROM referral_codes WHERE program_id = g.id) AS codes,
    (SELECT count(*) FROM referral_rewards WHERE program_id = g.id AND state = 'issued') AS issued
FROM referral_programs g
WHERE (CAST(:before AS uuid) IS NULL OR g.id < :before)
  AND (CAST(:client AS uuid) IS NULL OR g.client_id = :client)
  AND (CAST(:state AS text) IS NULL OR g.state = :state)
ORDER BY g.id DESC LIMIT :limit
""")
_REWARDS_BY_STATE = text("""
SELECT state, count(*) AS rewards FROM referral_rewards WHERE program_id = :program GROUP BY state
""")
_CODES = text("SELECT count(*) FROM referral_codes WHERE program_id = :program")
# What was paid and is not refunded, also what cost nothing and earns no reward.
_PURCHASES = text("""
SELECT u.currency, count(*) AS purchases, sum(u.discount_minor) AS discount_minor
FROM referral_codes f JOIN discount_usages u ON u.code_id = f.code_id AND u.state = 'confirmed'
WHERE f.program_id = :program GROUP BY u.currency ORDER BY u.currency
""")
_REWARDS = """
SELECT r.id, r.agency_id, r.client_id, r.program_id, r.code_id, c.code, r.state, r.due_at,
    r.reward_code_id, d.code AS reward_code, x.expires_at AS reward_expires_at,
    d.used > 0 AS is_used, r.ended_at, r.created_at
FROM referral_rewards r JOIN discount_codes c ON c.id = r.code_id
LEFT JOIN discount_codes d ON d.id = r.reward_code_id
LEFT JOIN discount_rules x ON x.code_id = d.id AND x.version = d.rules_version
"""
_OF_PROGRAM = text(
    _REWARDS
    + """
WHERE r.program_id = :program AND (CAST(:before AS uuid) IS NULL OR r.id < :before)
  AND (CAST(:state AS text) IS NULL OR r.state = :state)
ORDER BY r.id DESC LIMIT :limit
"""
)
_OF_CODE = text(_REWARDS + "WHERE r.code_id = :code ORDER BY r.id DESC LIMIT :limit")
_CODE = text("""
SELECT f.code_id, f.program_id, f.client_id, c.code, f.created_at
FROM referral_codes f JOIN discount_codes c ON c.id = f.code_id WHERE f.code_id = :code
""")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which programs of a list: None asks for any."""

    state: CodeState | None = None
    client_id: UUID | None = None


def read_program(session: Session, program_id: UUID) -> Row[Any]:
    """One program; `NotFound` if this scope cannot see it."""
    row = session.execute(_ONE, {"program": program_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def list_programs(
    session: Session, wanted: Wanted, *, before: UUID | None, limit: int
) -> list[Row[Any]]:
    """Programs this scope can see with their codes and rewards, newest first."""
    values = {"before": before, "client": wanted.client_id, "state": wanted.state, "limit": limit}
    return list(session.execute(_LIST, values))


def program_json(row: Row[Any]) -> dict[str, Any]:
    """A program as the API shows it."""
    return {
        "id": row.id,
        "agency_id": row.agency_id,
        "client_id": row.client_id,
        "state": row.state,
        "friend": row.friend,
        "reward": row.reward,
        **{name: getattr(row, name) for name in PLAIN_NAMES},
        "version": row.version,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def counts_of(session: Session, program_id: UUID) -> dict[str, Any]:
    """What came of a program: codes, purchases that stand, rewards by state, discounts in minor units."""
    values = {"program": program_id}
    rewards = {state.value: 0 for state in RewardState}
    rewards |= {row.state: int(row.rewards) for row in session.execute(_REWARDS_BY_STATE, values)}
    bought = session.execute(_PURCHASES, values).all()
    return {
        "codes": int(session.execute(_CODES, values).scalar_one()),
        "purchases": sum(int(row.purchases) for row in bought),
        **rewards,
        "discounts": [
            {"currency": row.currency, "discount_minor": int(row.discount_minor)} for row in bought
        ],
    }


def list_rewards(
    session: Session,
    program_id: UUID,
    state: RewardState | None,
    *,
    before: UUID | None,
    limit: int,
) -> list[Row[Any]]:
    """Rewards of a program, those for the newest purchases first; `NotFound` beyond the scope."""
    read_program(session, program_id)
    values = {"program": program_id, "state": state, "before": before, "limit": limit}
    return list(session.execute(_OF_PROGRAM, values))


def rewards_of_code(session: Session, code_id: UUID) -> list[Row[Any]]:
    """What one referrer has earned by their code, the newest first."""
    return list(session.execute(_OF_CODE, {"code": code_id, "limit": REWARDS_OF_ONE_MAX}))


def read_referral_code(session: Session, code_id: UUID) -> Row[Any]:
    """A referrer's code with its text; `NotFound` if it is none."""
    row = session.execute(_CODE, {"code": code_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def reward_json(row: Row[Any]) -> dict[str, Any]:
    """A reward as the API shows it; its id is that of the friend's purchase."""
    return {
        "id": row.id,
        "program_id": row.program_id,
        "referral_code_id": row.code_id,
        "state": row.state,
        "due_at": row.due_at,
        "reward_code_id": row.reward_code_id,
        "reward_code": row.reward_code,
        "expires_at": row.reward_expires_at,
        "is_used": bool(row.is_used),
        "ended_at": row.ended_at,
        "created_at": row.created_at,
    }
