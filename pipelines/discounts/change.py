"""Change, pause, resume and put away a discount code; what is reserved keeps its price (EC-004, EC-025)."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models.discounts import CodeState
from pipelines.audit.record import Detail, changes, record
from pipelines.books.refusals import PreconditionFailed
from pipelines.discounts.create import write_rules
from pipelines.discounts.move_codes import settle_leaks
from pipelines.discounts.options import OPTION_NAMES
from pipelines.discounts.read import LIMIT_NAMES
from pipelines.discounts.refusals import CodeArchived, LimitBelowUsage
from pipelines.discounts.rule_checks import check_rules
from pipelines.discounts.rules import DiscountRules
from pipelines.discounts.stored_rules import RULE_NAMES, RULES_READ, rules_of, told_rules
from pipelines.discounts.tiers import tiers_cell
from pipelines.errors import NotFound

_LOCK = text(f"""
SELECT c.*, {RULES_READ}
FROM discount_codes c JOIN discount_rules r ON r.code_id = c.id AND r.version = c.rules_version
WHERE c.id = :code FOR NO KEY UPDATE OF c
""")
_CHANGE = text("""
UPDATE discount_codes SET rules_version = :rules_version, max_uses = :max_uses,
    max_uses_per_customer = :max_uses_per_customer, restore_on_refund = :restore_on_refund,
    on_late = :on_late, watch_leaks = :watch_leaks, version = version + 1, updated_at = :now
WHERE id = :code
""")
_MOVE = text("""
UPDATE discount_codes SET state = :state, pause_reason = NULL, version = version + 1,
    resumed_at = CASE WHEN :state = 'active' THEN CAST(:now AS timestamptz) ELSE resumed_at END,
    updated_at = :now
WHERE id = :code AND state = ANY (CAST(:before AS text[]))
""")
# In the order of their ids: two who move the same ones wait in no circle.
_MOVE_THESE = text("""
WITH chosen AS MATERIALIZED (
    SELECT id, pause_reason FROM discount_codes
    WHERE id = ANY (CAST(:codes AS uuid[])) AND state = ANY (CAST(:before AS text[]))
    ORDER BY id FOR NO KEY UPDATE)
UPDATE discount_codes c SET state = :state, pause_reason = NULL, version = c.version + 1,
    resumed_at = CASE WHEN :state = 'active' THEN CAST(:now AS timestamptz) ELSE c.resumed_at END,
    updated_at = :now
FROM chosen WHERE c.id = chosen.id
RETURNING c.id, c.agency_id, c.client_id, c.assignee_keys, chosen.pause_reason
""")


def change_discount(
    session: Session,
    code_id: UUID,
    values: Mapping[str, Any],
    *,
    version: int | None,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Write limits and another version of the rules; what is not in `values` stays as it is.

    `version` is what the caller last read. Raises `NotFound`, `PreconditionFailed`, `CodeArchived`,
    `LimitBelowUsage`, `ValidationFailed`.
    """
    before = _locked(session, code_id)
    if version is not None and version != before.version:
        raise PreconditionFailed(current=before.version)
    if before.state == CodeState.ARCHIVED:
        raise CodeArchived
    was = rules_of(before)
    rules = replace(was, **{name: values[name] for name in RULE_NAMES if name in values})
    check_rules(rules)
    kept = (*LIMIT_NAMES, *OPTION_NAMES)
    limits = {name: values.get(name, getattr(before, name)) for name in kept}
    if limits["max_uses"] is not None and limits["max_uses"] < before.used:
        raise LimitBelowUsage(before.used)
    rules_version = before.rules_version
    if rules != was:
        rules_version += 1
        tenant = {"agency_id": before.agency_id, "client_id": before.client_id}
        write_rules(session, code_id, rules_version, rules, tenant, actor_id=actor_id)
    place = {"code": code_id, "rules_version": rules_version, "now": now}
    session.execute(_CHANGE, place | limits)
    after = dict(values) | {name: told for name, told in _plain(rules).items() if name in values}
    told = changes(dict(before._mapping) | _plain(was), after)
    _tell(session, "discount.changed", before, actor_id, told)


def _plain(rules: DiscountRules) -> dict[str, Any]:
    """The rules as the audit tells them."""
    return told_rules(rules) | {"tiers": tiers_cell(rules.tiers)}


def move_discount(
    session: Session,
    code_id: UUID,
    state: CodeState,
    *,
    actor_id: UUID,
    now: datetime,
    reason: str | None = None,
) -> None:
    """Pause, resume or put away, perhaps for a `reason`; one that is so already stays as it is.

    What is reserved may still be paid (EC-004, EC-026). Raises `NotFound`, `CodeArchived`.
    """
    before = _locked(session, code_id)
    if before.state == state:
        return
    if before.state == CodeState.ARCHIVED:
        raise CodeArchived
    values = {"code": code_id, "state": state.value, "before": [before.state], "now": now}
    session.execute(_MOVE, values)
    _settle_leak(session, before, state, now)
    _tell(session, f"discount.{_MOVED[state]}", before, actor_id, _why(reason))


def move_discounts(
    session: Session,
    code_ids: Collection[UUID],
    state: CodeState,
    *,
    actor_id: UUID,
    now: datetime,
    reason: str | None = None,
) -> int:
    """As `move_discount`, several at once: how many moved; what is put away stays so."""
    before = [one.value for one in _MOVED if one not in {state, CodeState.ARCHIVED}]
    values = {"codes": list(code_ids), "state": state.value, "before": before, "now": now}
    moved = session.execute(_MOVE_THESE, values).all()
    for row in moved:
        _settle_leak(session, row, state, now)
        _tell(session, f"discount.{_MOVED[state]}", row, actor_id, _why(reason))
    return len(moved)


_MOVED = {
    CodeState.ACTIVE: "resumed",
    CodeState.PAUSED: "paused",
    CodeState.ARCHIVED: "archived",
}


def _locked(session: Session, code_id: UUID) -> Row[Any]:
    row = session.execute(_LOCK, {"code": code_id}).one_or_none()
    if row is None:
        raise NotFound
    return row


def _settle_leak(session: Session, was: Row[Any], state: CodeState, now: datetime) -> None:
    leaked = [] if was.pause_reason is None else [was.id]
    tried = [] if was.assignee_keys is None else [was.id]
    settle_leaks(session, was, state, leaked=leaked, tried=tried, now=now)


def _why(reason: str | None) -> Detail | None:
    return None if reason is None else {"reason": reason}


def _tell(
    session: Session, action: str, row: Row[Any], actor_id: UUID, detail: Detail | None
) -> None:
    record(
        session,
        action,
        object_kind="discount",
        object_id=row.id,
        actor_id=actor_id,
        agency_id=row.agency_id,
        client_id=row.client_id,
        detail=detail,
    )
