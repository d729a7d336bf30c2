"""Referral programs: made, changed, paused, resumed and put away, with the codes of theirs (S2-128)."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.base import new_id
from models.discounts import CodeState
from pipelines.audit.record import Detail, changes, record
from pipelines.books.refusals import PreconditionFailed
from pipelines.discounts.batches import agency_of
from pipelines.discounts.move_codes import OF_PROGRAM, move_codes
from pipelines.errors import NotFound
from pipelines.referrals.refusals import ProgramArchived
from pipelines.referrals.rules import ProgramRules, check_program, part_from, part_json

#: What is not rules of a friend's or referrer's part.
PLAIN_NAMES = (
    "name",
    "prefix",
    "random_length",
    "max_uses_per_code",
    "max_rewards_per_referrer",
    "hold_days",
    "reward_valid_days",
)
_NAMES = ("friend", "reward", *PLAIN_NAMES)
_GIVEN = ", ".join(
    f"CAST(:{name} AS jsonb)" if name in {"friend", "reward"} else f":{name}" for name in _NAMES
)
_NEW = text(f"""
INSERT INTO referral_programs (id, agency_id, client_id, created_by, {", ".join(_NAMES)})
VALUES (:id, :agency, :client, :actor, {_GIVEN})
""")
# Whoever makes codes of the program shares its row: they come before the move, and are moved, or after
# it, and are refused.
_LOCK = text("SELECT * FROM referral_programs WHERE id = :program FOR NO KEY UPDATE")
_SHARE = text("SELECT * FROM referral_programs WHERE id = :program FOR SHARE")
_CHANGE = text(f"""
UPDATE referral_programs SET ({", ".join(_NAMES)}) = ROW({_GIVEN}), version = version + 1,
    updated_at = :now
WHERE id = :program
""")
_MOVE = text("""
UPDATE referral_programs SET state = :state, version = version + 1, updated_at = :now
WHERE id = :program
""")
_MOVED = {
    CodeState.ACTIVE: "referral_program.resumed",
    CodeState.PAUSED: "referral_program.paused",
    CodeState.ARCHIVED: "referral_program.archived",
}


def create_program(
    session: Session, client_id: UUID, rules: ProgramRules, *, actor_id: UUID
) -> UUID:
    """Raises `NotFound` (client), `ValidationFailed`."""
    agency_id = agency_of(session, client_id)
    check_program(rules)
    made = new_id()
    place = {"id": made, "agency": agency_id, "client": client_id, "actor": actor_id}
    session.execute(_NEW, place | _values(rules))
    detail: Detail = {"name": rules.name, "hold_days": rules.hold_days}
    row = session.execute(_SHARE, {"program": made}).one()
    _tell(session, "referral_program.created", row, actor_id, detail)
    return made


def change_program(
    session: Session,
    program_id: UUID,
    values: Mapping[str, Any],
    *,
    version: int | None,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Write what is in `values`, a part as a whole: `friend` and `reward` as plain values.

    Codes and rewards that are there keep the rules of when they were made or earned. `version` is
    what the caller last read. Raises `NotFound`, `PreconditionFailed`, `ProgramArchived`,
    `ValidationFailed`.
    """
    before = _locked(session, program_id)
    if version is not None and version != before.version:
        raise PreconditionFailed(current=before.version)
    if before.state == CodeState.ARCHIVED:
        raise ProgramArchived
    rules = rules_from({**before._mapping, **values})
    check_program(rules)
    written = _values(rules)
    session.execute(_CHANGE, written | {"program": program_id, "now": now})
    was = _values(rules_from(dict(before._mapping)))
    _tell(session, "referral_program.changed", before, actor_id, changes(was, written))


def move_program(
    session: Session,
    program_id: UUID,
    state: CodeState,
    *,
    actor_id: UUID,
    now: datetime,
    reason: str | None = None,
) -> None:
    """Pause, resume or put away a program, perhaps for a `reason`; one that is so already stays as it is.

    Its codes go with it, and what is reserved may still be paid; what was earned is given all the
    same. Raises `NotFound`, `ProgramArchived`.
    """
    before = _locked(session, program_id)
    if before.state == state:
        return
    if before.state == CodeState.ARCHIVED:
        raise ProgramArchived
    session.execute(_MOVE, {"program": program_id, "state": state.value, "now": now})
    moved = move_codes(session, OF_PROGRAM, before, state, now=now)
    why: Detail = {} if reason is None else {"reason": reason}
    _tell(session, _MOVED[state], before, actor_id, {"codes": moved, **why})


def program_shared(session: Session, program_id: UUID) -> Row[Any]:
    """A program that does not change before this transaction ends; raises `NotFound`."""
    row = session.execute(_SHARE, {"program": program_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def rules_from(values: Mapping[str, Any]) -> ProgramRules:
    """The rules among these values: of a row, or of a body whose parts are plain values."""
    plain = {name: values[name] for name in PLAIN_NAMES if name in values}
    return ProgramRules(
        friend=part_from(values["friend"]), reward=part_from(values["reward"]), **plain
    )


def _values(rules: ProgramRules) -> dict[str, Any]:
    parts = {"friend": part_json(rules.friend), "reward": part_json(rules.reward)}
    told = {name: json.dumps(part, sort_keys=True) for name, part in parts.items()}
    return told | {name: getattr(rules, name) for name in PLAIN_NAMES}


def _locked(session: Session, program_id: UUID) -> Row[Any]:
    row = session.execute(_LOCK, {"program": program_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def _tell(
    session: Session, action: str, row: Row[Any], actor_id: UUID, detail: Detail | None
) -> None:
    record(
        session,
        action,
        object_kind="referral_program",
        object_id=row.id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail=detail,
    )
