"""A customer's own referral code: one for each program and customer, by whatever they are known (S2-128)."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text
from sqlalchemy.orm import Session

from models.discounts import CodeState
from models.locks import Namespace, wait_for_lock
from models.referrals import ReferralCode
from pipelines.audit.record import record
from pipelines.books.patterns import draw_codes
from pipelines.discounts.create import NewDiscount, create_discount
from pipelines.discounts.refusals import CodeBusy, CodeExists
from pipelines.referrals.programs import program_shared, rules_from
from pipelines.referrals.refusals import ProgramInactive

Draw = Callable[[int], bytes]
#: Somebody else may have the text that was drawn; twice in a row nobody has.
ROUNDS_MAX = 5

# Who was two people once, and has two codes, goes on with the first.
_KNOWN = text("""
SELECT code_id, referrer_keys FROM referral_codes
WHERE program_id = :program AND referrer_keys && CAST(:keys AS bytea[]) ORDER BY code_id LIMIT 1
""")
_BETTER_KNOWN = text("""
UPDATE referral_codes SET referrer_keys = referrer_keys || CAST(:keys AS bytea[])
WHERE code_id = :code
""")


@dataclass(frozen=True, slots=True)
class Given:
    """A customer's code of a program, by its id; `is_new` unless they had it already."""

    code_id: UUID
    is_new: bool


def give_code(
    session: Session,
    program_id: UUID,
    keys: Sequence[bytes],
    *,
    actor_id: UUID,
    draw: Draw = os.urandom,
) -> Given:
    """Make the customer's code, or find the one that they have.

    `keys` are the names by which the shop asks, as the program's client knows them; what was not known
    of them before is learned. No cards: who shares one would be given the other's code and rewards.
    Raises `NotFound`, and `ProgramInactive` where it is paused or put away and they have none.
    """
    # In ascending order: whoever has one name in common waits, and nobody waits in a circle.
    for key in sorted(keys):
        wait_for_lock(session, Namespace.REFERRER, f"{program_id}:{key.hex()}")
    program = program_shared(session, program_id)
    known = session.execute(_KNOWN, {"program": program_id, "keys": list(keys)}).one_or_none()
    if known is not None:
        new = sorted(set(keys) - set(known.referrer_keys))
        if new:
            session.execute(_BETTER_KNOWN, {"code": known.code_id, "keys": new})
        return Given(known.code_id, is_new=False)
    if program.state != CodeState.ACTIVE:
        raise ProgramInactive
    code_id = _make(session, program, actor_id, draw)
    tenant = {"agency_id": program.agency_id, "client_id": program.client_id}
    values = {"code_id": code_id, "program_id": program_id, "created_by": actor_id}
    session.execute(
        insert(ReferralCode).values(values | tenant | {"referrer_keys": sorted(set(keys))})
    )
    record(
        session,
        "referral_program.code_given",
        object_kind="referral_program",
        object_id=program_id,
        actor_id=actor_id,
        detail={"discount_id": str(code_id)},
        **tenant,
    )
    return Given(code_id, is_new=True)


def _make(session: Session, program: Row[Any], actor_id: UUID, draw: Draw) -> UUID:
    """An ordinary discount code by what the program promises friends at this moment."""
    rules = rules_from(dict(program._mapping))
    friend = replace(rules.friend, first_order_only=True)
    for drawn in draw_codes(rules.pattern, ROUNDS_MAX, draw=draw):
        new = NewDiscount(program.client_id, drawn, friend, max_uses=rules.max_uses_per_code)
        try:
            return create_discount(session, new, actor_id=actor_id)
        except CodeExists:
            continue
    raise CodeBusy
