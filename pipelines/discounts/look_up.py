"""Find a client's discount code by its text, with the rules that are in force."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.books.codes import canonical, is_code
from pipelines.discounts.customers import KnownCustomer, is_for
from pipelines.discounts.refusals import CodeInvalid
from pipelines.discounts.stored_rules import RULES_READ
from pipelines.jobs.refusals import ClientSuspended


def referrer_of(code: str) -> str:
    """SQL: whose code the one with the id `code` is to give to friends; null if nobody's.

    By their names, and by the cards that they have paid with: nobody is given anything by a card, but
    whoever comes with it is taken for them.
    """
    return f"""(
    SELECT f.referrer_keys || ARRAY(
        SELECT k.card_key FROM discount_usages o JOIN usage_risks k ON k.usage_id = o.id
        WHERE o.client_id = f.client_id AND o.customer_keys && f.referrer_keys
          AND k.card_key IS NOT NULL)
    FROM referral_codes f WHERE f.code_id = {code})"""


_CODE = text(f"""
SELECT c.id, c.agency_id, c.client_id, c.code, c.state, c.rules_version, c.max_uses,
    c.max_uses_per_customer, c.used, c.assignee_keys, c.assigned_user_id,
    l.suspended_at IS NOT NULL AS is_suspended,
    {referrer_of("c.id")} AS referrer_keys,
    {RULES_READ}
FROM discount_codes c JOIN discount_rules r ON r.code_id = c.id AND r.version = c.rules_version
JOIN clients l ON l.id = c.client_id
WHERE c.client_id = :client AND c.code = :code
""")
_IDS = text("""
SELECT c.id FROM clients l JOIN discount_codes c ON c.client_id = l.id AND c.code = :code ORDER BY c.id
""")


def ids_of_text(session: Session, typed: str) -> list[UUID]:
    """The codes that have this text, however it is typed, of each client that this scope sees."""
    return list(session.execute(_IDS, {"code": canonical(typed)}).scalars())


def is_own(code: Row[Any], keys: Collection[bytes]) -> bool:
    """Whether the customer gives this code to friends, by any of their names or cards."""
    return not set(keys).isdisjoint(code.referrer_keys or ())


def code_named(
    session: Session, client_id: UUID, typed: str, customer: KnownCustomer | None
) -> Row[Any]:
    """The code, however it is typed (EC-024), if it is for everybody or for this customer (EC-017).

    Raises `CodeInvalid`, `ClientSuspended`.
    """
    text_of_code = canonical(typed)
    values = {"client": client_id, "code": text_of_code}
    row = session.execute(_CODE, values).one_or_none() if is_code(text_of_code) else None
    if row is None:
        raise CodeInvalid
    if not is_for(row.assignee_keys, row.assigned_user_id, customer):
        raise CodeInvalid(anothers=row.id)
    if row.is_suspended:
        raise ClientSuspended
    return row
