"""Make a discount code with the first version of its rules."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as insert_or_not
from sqlalchemy.orm import Session

from models.base import new_id
from models.discounts import DiscountCode, DiscountRulesVersion
from models.tenants import Client
from pipelines.audit.record import record
from pipelines.books.codes import read_code
from pipelines.discounts.options import USUAL, CodeOptions, option_values
from pipelines.discounts.refusals import CodeExists
from pipelines.discounts.rule_checks import check_rules
from pipelines.discounts.rules import DiscountRules
from pipelines.discounts.stored_rules import rule_values
from pipelines.errors import FieldError, NotFound, ValidationFailed
from pipelines.jobs.cells import CellProblem


@dataclass(frozen=True, slots=True)
class NewDiscount:
    """A code as it was typed, what it does, and how often; a limit of None is none."""

    client_id: UUID
    code: str
    rules: DiscountRules
    max_uses: int | None = None
    max_uses_per_customer: int | None = 1
    options: CodeOptions = USUAL


def create_discount(session: Session, new: NewDiscount, *, actor_id: UUID) -> UUID:
    """Raises `NotFound` (client), `ValidationFailed`, `CodeExists`."""
    agency_id = session.execute(
        select(Client.agency_id).where(Client.id == new.client_id)
    ).scalar_one_or_none()
    if agency_id is None:
        raise NotFound
    code = read_code(new.code)
    if isinstance(code, CellProblem):
        raise ValidationFailed(errors=(FieldError(code.code, code.detail, pointer="/code"),))
    check_rules(new.rules)
    tenant = {"agency_id": agency_id, "client_id": new.client_id}
    values = {
        "id": new_id(),
        "code": code,
        "max_uses": new.max_uses,
        "max_uses_per_customer": new.max_uses_per_customer,
        **option_values(new.options),
        "created_by": actor_id,
    }
    made = session.execute(
        insert_or_not(DiscountCode)
        .values(values | tenant)
        .on_conflict_do_nothing(index_elements=["client_id", "code"])
        .returning(DiscountCode.id)
    ).scalar_one_or_none()
    if made is None:
        raise CodeExists
    write_rules(session, made, 1, new.rules, tenant, actor_id=actor_id)
    record(
        session,
        "discount.created",
        object_kind="discount",
        object_id=made,
        actor_id=actor_id,
        detail={"code": code, "kind": new.rules.kind.value},
        **tenant,
    )
    return made


def write_rules(
    session: Session,
    code_id: UUID,
    version: int,
    rules: DiscountRules,
    tenant: dict[str, Any],
    *,
    actor_id: UUID,
) -> None:
    """Another version of what a code does; the one before stays as it is."""
    place = {"code_id": code_id, "version": version, "created_by": actor_id}
    session.execute(insert(DiscountRulesVersion).values(rule_values(rules) | place | tenant))
