"""Write discount codes that have the same rules, thousands with one statement; taken ones are left out."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_ids
from models.discounts import CodeState
from pipelines.discounts.options import OPTION_LIST, OPTIONS_GIVEN, CodeOptions, option_values
from pipelines.discounts.rules import DiscountRules
from pipelines.discounts.stored_rules import RULE_LIST, RULES_GIVEN, rule_values

# Two who write at once may meet in the index of codes: they write in its order, and wait in no circle.
_WRITE = text(f"""
WITH written AS (
    INSERT INTO discount_codes (id, agency_id, client_id, batch_id, code, state, max_uses,
        max_uses_per_customer, {OPTION_LIST}, created_by)
    SELECT n.id, :agency, :client, :batch, n.code, :state, :max_uses, :max_uses_per_customer,
        {OPTIONS_GIVEN}, :actor
    FROM unnest(CAST(:ids AS uuid[]), CAST(:codes AS text[])) AS n (id, code) ORDER BY n.code
    ON CONFLICT (client_id, code) DO NOTHING RETURNING id
)
INSERT INTO discount_rules (code_id, version, agency_id, client_id, {RULE_LIST}, created_by)
SELECT id, 1, :agency, :client, {RULES_GIVEN}, :actor
FROM written
""")


@dataclass(frozen=True, slots=True)
class Series:
    """Whose codes they are, in which batch, and what each of them does."""

    batch_id: UUID
    agency_id: UUID
    client_id: UUID
    rules: DiscountRules
    max_uses: int | None
    max_uses_per_customer: int | None
    options: CodeOptions
    created_by: UUID


def write_codes(
    session: Session, series: Series, codes: Collection[str], *, state: CodeState
) -> int:
    """Write each of the codes, canonical and all different; how many were new."""
    values = (
        rule_values(series.rules)
        | option_values(series.options)
        | {
            "batch": series.batch_id,
            "agency": series.agency_id,
            "client": series.client_id,
            "max_uses": series.max_uses,
            "max_uses_per_customer": series.max_uses_per_customer,
            "actor": series.created_by,
            "state": state.value,
            "ids": new_ids(len(codes)),
            "codes": list(codes),
        }
    )
    done: Any = session.execute(_WRITE, values)
    return int(done.rowcount)
