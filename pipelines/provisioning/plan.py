"""What a bulk request would do: rows, duplicates, cost, sources, time; the preview shows it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import ceil
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.jobs import Priority
from pipelines.credit.hold import Payer, payer_of
from pipelines.credit.refusals import AccountFrozen, AccountRestricted, NoCreditAccount
from pipelines.errors import FieldError, Refusal
from pipelines.jobs.kinds import OnError
from pipelines.limits import Limits
from pipelines.provisioning import staging
from pipelines.provisioning.campaigns import CampaignInUse
from pipelines.provisioning.conditions import mark_beyond
from pipelines.provisioning.sources import Estimate
from pipelines.provisioning.staging import Tally


class Dedupe(StrEnum):
    REJECT = "reject"
    KEEP_FIRST = "keep_first"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class BulkOptions:
    """What the request says besides its recipients."""

    campaign_id: UUID
    brand_id: UUID
    denomination_minor: int | None
    delivery_method: str = "email"
    on_error: OnError = OnError.ABORT
    dedupe: Dedupe = Dedupe.REJECT
    allow_repeat: bool = False
    #: Begin what the credit covers, and let the rest wait for more.
    allow_partial: bool = False
    force: bool = False
    scheduled_for: datetime | None = None
    priority: Priority = Priority.NORMAL
    plan_hash: str | None = None


@dataclass(frozen=True, slots=True)
class IntakePlan:
    """The plan as staged."""

    tally: Tally
    currency: str
    payer: Payer | None
    errors: tuple[FieldError, ...]
    warnings: tuple[FieldError, ...]
    warning_counts: Mapping[str, int]
    plan_hash: str

    @property
    def refused_rows(self) -> int:
        return self.tally.rows - self.tally.valid


_DIGEST = text("""
SELECT md5(coalesce(string_agg(position || ':' || coalesce(code, '+') || ':' ||
    denomination_minor || CASE WHEN charge_minor <> denomination_minor
        THEN '=' || charge_minor ELSE '' END, ',' ORDER BY position), '')) FROM intake
""")


def judge(
    session: Session,
    options: BulkOptions,
    *,
    campaign: CampaignInUse,
    currency: str,
    content_sha256: bytes,
    limits: Limits,
) -> IntakePlan:
    """Judge the staged rows as a set and say what they cost."""
    if options.dedupe is not Dedupe.ALLOW:
        staging.mark_duplicates(session)
    if not options.allow_repeat:
        staging.mark_served(session, options.campaign_id)
    mark_beyond(session, campaign.id, campaign.conditions)
    staging.set_charges(session, campaign.client_id)
    return plan_of(
        session, options, currency=currency, content_sha256=content_sha256, limits=limits
    )


def plan_of(
    session: Session,
    options: BulkOptions,
    *,
    currency: str,
    content_sha256: bytes,
    limits: Limits,
) -> IntakePlan:
    """What the staged rows amount to as they are judged."""
    tally = staging.tally(session)
    try:
        payer: Payer | None = payer_of(session, options.campaign_id, currency)
    except NoCreditAccount:
        payer = None
    return IntakePlan(
        tally=tally,
        currency=currency,
        payer=payer,
        errors=staging.first_errors(session, limits.row_errors_shown_max),
        warnings=staging.first_warnings(session, limits.row_errors_shown_max),
        warning_counts=staging.warning_counts(session),
        plan_hash=_plan_hash(session, options, tally, content_sha256),
    )


def _plan_hash(session: Session, options: BulkOptions, tally: Tally, content_sha256: bytes) -> str:
    """Names what a person agreed to: these rows, these verdicts, this charge, these options."""
    agreed: dict[str, Any] = {
        "content": content_sha256.hex(),
        "rows": session.execute(_DIGEST).scalar_one(),
        "charge": tally.charge,
        "campaign": str(options.campaign_id),
        "brand": str(options.brand_id),
        "denomination": options.denomination_minor,
        "delivery": options.delivery_method,
        "on_error": options.on_error.value,
    }
    if options.allow_partial:
        agreed["partial"] = True
    return hashlib.sha256(json.dumps(agreed, sort_keys=True).encode()).hexdigest()[:32]


def blockers(
    plan: IntakePlan, options: BulkOptions, *, is_stopped: bool = False
) -> list[dict[str, object]]:
    """Why a submit would be refused as things stand; an account that is stopped says that alone."""
    found: list[dict[str, object]] = []
    available = plan.payer.available if plan.payer else 0
    is_unlimited = plan.payer is not None and plan.payer.unlimited
    is_short = plan.tally.charge > available and not is_unlimited and not options.allow_partial
    if is_short and not is_stopped:
        found.append(
            {
                "code": "insufficient_credit",
                "detail": "There is not enough credit for the whole job.",
                "required_minor": plan.tally.charge,
                "available_minor": available,
            }
        )
    if refused_under(options, plan.tally):
        found.append(
            {
                "code": "rows_refused",
                "detail": "Some rows have errors; correct them or choose on_error=skip.",
                "rows": refused_under(options, plan.tally),
            }
        )
    if plan.tally.valid == 0:
        found.append({"code": "no_valid_rows", "detail": "No row can be fulfilled."})
    return found


def refused_under(options: BulkOptions, tally: Tally) -> int:
    """How many rows make `on_error=abort` refuse the request; `keep_first` forgives repeats."""
    if options.on_error is OnError.SKIP:
        return 0
    forgiven = tally.duplicates if options.dedupe is Dedupe.KEEP_FIRST else 0
    return tally.rows - tally.valid - forgiven


def preview_view(
    plan: IntakePlan, options: BulkOptions, expected: Estimate, refusals: Sequence[Refusal] = ()
) -> dict[str, Any]:
    """The preview of api.md, ready for JSON; `refusals` stand against any job just now."""
    available = plan.payer.available if plan.payer else 0
    is_stopped = any(isinstance(no, AccountFrozen | AccountRestricted) for no in refusals)
    return {
        "plan_hash": plan.plan_hash,
        "rows": plan.tally.rows,
        "valid": plan.tally.valid,
        "invalid": [error.as_json() for error in plan.errors],
        "invalid_count": plan.tally.invalid,
        "warnings": [warning.as_json() for warning in plan.warnings],
        "warning_counts": dict(plan.warning_counts),
        "duplicates": plan.tally.duplicates,
        "skipped_count": plan.tally.skippable,
        "cost": {"charge_minor": plan.tally.charge, "currency": plan.currency},
        "sources": dict(expected.sources),
        "credit": {
            "available_minor": available,
            "after_minor": available - plan.tally.charge,
            "currency": plan.currency,
        },
        "eta_seconds": ceil(expected.seconds),
        "blockers": [
            *({"code": no.code, "detail": no.detail, **no.extra} for no in refusals),
            *blockers(plan, options, is_stopped=is_stopped),
        ],
    }
