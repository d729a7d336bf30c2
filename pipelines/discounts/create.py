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
from pipelines.currencies import is_accepted
from pipelines.discounts.read import RULE_NAMES
from pipelines.discounts.refusals import CodeExists
from pipelines.discounts.rules import DiscountKind, DiscountRules
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
    watch_leaks: bool = True


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
        "watch_leaks": new.watch_leaks,
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
    values = {name: getattr(rules, name) for name in RULE_NAMES}
    values |= {"kind": rules.kind.value, "products": rules.products and list(rules.products)}
    place = {"code_id": code_id, "version": version, "created_by": actor_id}
    session.execute(insert(DiscountRulesVersion).values(values | place | tenant))


def check_rules(rules: DiscountRules) -> None:
    """Raises `ValidationFailed` for rules that contradict each other."""
    errors = tuple(_contradictions(rules))
    if errors:
        raise ValidationFailed(errors=errors)


def _contradictions(rules: DiscountRules) -> list[FieldError]:
    errors = []

    def wrong(code: str, field: str, detail: str) -> None:
        errors.append(FieldError(code, detail, pointer=f"/{field}"))

    if rules.kind is DiscountKind.PERCENT:
        if rules.percent_bp is None:
            wrong("required", "percent_bp", "A percentage says how much, in basis points.")
        if rules.amount_minor is not None:
            wrong("not_both", "amount_minor", "A percentage has no amount of its own.")
    else:
        if rules.amount_minor is None:
            wrong("required", "amount_minor", "A fixed discount says how much, in minor units.")
        if rules.percent_bp is not None:
            wrong("not_both", "percent_bp", "A fixed discount has no percentage.")
        if rules.max_discount_minor is not None:
            wrong("not_both", "max_discount_minor", "A fixed discount is its own maximum.")
    amounts = (rules.amount_minor, rules.max_discount_minor, rules.min_subtotal_minor)
    if rules.currency is None:
        if any(amount is not None for amount in amounts):
            wrong("required", "currency", "Amounts are in a currency: say which.")
    elif not is_accepted(rules.currency):
        wrong("unknown_currency", "currency", "Give a currency of ISO 4217, such as USD.")
    if rules.starts_at and rules.expires_at and rules.expires_at <= rules.starts_at:
        wrong("window_ends_first", "expires_at", "The code must expire after it starts.")
    return errors
