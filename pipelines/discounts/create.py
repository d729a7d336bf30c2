"""Make a discount code with the first version of its rules."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as insert_or_not
from sqlalchemy.orm import Session

from models.base import new_id
from models.discounts import DiscountCode
from models.tenants import Client
from pipelines.audit.record import record
from pipelines.books.codes import read_code
from pipelines.discounts.customers import KnownCustomer
from pipelines.discounts.options import USUAL, CodeOptions, option_values
from pipelines.discounts.refusals import CodeExists
from pipelines.discounts.rule_checks import check_rules
from pipelines.discounts.rules import DiscountRules
from pipelines.discounts.stored_rules import RULE_LIST, RULES_GIVEN, rule_values
from pipelines.errors import FieldError, NotFound, ValidationFailed
from pipelines.jobs.cells import CellProblem

_WRITE_RULES = text(f"""
INSERT INTO discount_rules (code_id, version, agency_id, client_id, {RULE_LIST}, created_by)
VALUES (:code, :version, :agency_id, :client_id, {RULES_GIVEN}, :actor)
""")


@dataclass(frozen=True, slots=True)
class NewDiscount:
    """A code as it was typed, what it does, and how often; a limit of None is none."""

    client_id: UUID
    code: str
    rules: DiscountRules
    max_uses: int | None = None
    max_uses_per_customer: int | None = 1
    options: CodeOptions = USUAL
    #: Whom alone it is for; None: whoever knows it (EC-017).
    assigned_to: KnownCustomer | None = None


def create_discount(
    session: Session, new: NewDiscount, *, actor_id: UUID, is_own_act: bool = True
) -> UUID:
    """Make a code; where the house makes it by itself for `actor_id`, the audit log names nobody.

    Raises `NotFound` (client), `ValidationFailed`, `CodeExists`.
    """
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
        "assignee_keys": new.assigned_to and list(new.assigned_to.keys),
        "assigned_user_id": new.assigned_to and new.assigned_to.user_id,
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
    told = {"code": code, "kind": new.rules.kind.value, "is_assigned": new.assigned_to is not None}
    record(
        session,
        "discount.created",
        object_kind="discount",
        object_id=made,
        actor_id=actor_id if is_own_act else None,
        detail=told,
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
    place = {"code": code_id, "version": version, "actor": actor_id}
    session.execute(_WRITE_RULES, rule_values(rules) | place | tenant)
