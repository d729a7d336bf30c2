"""What a bulk request would do: rows, duplicates, cost, sources, time; the preview shows it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.credit.hold import Payer, payer_of
from pipelines.credit.refusals import NoCreditAccount
from pipelines.errors import FieldError
from pipelines.jobs.kinds import OnError
from pipelines.limits import Limits
from pipelines.provisioning import staging
from pipelines.provisioning.staging import Tally

#: Cards that expire sooner than this are not given to anybody (EC-068).
CARD_VALIDITY_DAYS_MIN = 30
#: What a pool chunk achieves at least, for the preview's estimate.
POOL_ITEMS_PER_SECOND = 2_000


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
    force: bool = False
    scheduled_for: datetime | None = None
    plan_hash: str | None = None


@dataclass(frozen=True, slots=True)
class IntakePlan:
    """The plan as staged; `sources` are estimates, since other jobs draw on the same pools."""

    tally: Tally
    currency: str
    payer: Payer | None
    sources: Mapping[str, int]
    vendor_rate_per_second: float
    errors: tuple[FieldError, ...]
    plan_hash: str

    @property
    def refused_rows(self) -> int:
        return self.tally.rows - self.tally.valid


_STOCK = text(
    "SELECT source, cards FROM count_available_cards(:client, :brand, :denomination, :currency, "
    "CAST(:usable_from AS date))"
)
_ROUTES = text("""
SELECT count(*) AS routes, coalesce(min(v.rate_per_minute), 0) / 60.0 AS rate
FROM brand_routes r JOIN vendor_accounts v ON v.vendor = r.vendor
WHERE r.brand_id = :brand AND coalesce(r.min_minor, 0) <= :denomination
  AND :denomination <= coalesce(r.max_minor, 9223372036854775807)
""")
_DIGEST = text("""
SELECT md5(coalesce(string_agg(position || ':' || coalesce(code, '+') || ':' ||
    denomination_minor, ',' ORDER BY position), '')) FROM intake
""")


def judge(
    session: Session,
    options: BulkOptions,
    *,
    client_id: UUID,
    currency: str,
    content_sha256: bytes,
    now: datetime,
    limits: Limits,
) -> IntakePlan:
    """Judge the staged rows as a set and say what they cost and where cards would come from."""
    if options.dedupe is not Dedupe.ALLOW:
        staging.mark_duplicates(session)
    if not options.allow_repeat:
        staging.mark_served(session, options.campaign_id)
    tally = staging.tally(session)
    sources, rate = _sources(session, client_id, currency, now)
    try:
        payer: Payer | None = payer_of(session, options.campaign_id, currency)
    except NoCreditAccount:
        payer = None
    return IntakePlan(
        tally=tally,
        currency=currency,
        payer=payer,
        sources=sources,
        vendor_rate_per_second=rate,
        errors=staging.first_errors(session, limits.row_errors_shown_max),
        plan_hash=_plan_hash(session, options, tally, content_sha256),
    )


def usable_from(now: datetime) -> str:
    """The first acceptable expiry day, as ISO text."""
    return (now + timedelta(days=CARD_VALIDITY_DAYS_MIN)).date().isoformat()


def _sources(
    session: Session, client_id: UUID, currency: str, now: datetime
) -> tuple[dict[str, int], float]:
    totals = {"csv": 0, "buffer": 0, "api": 0, "none": 0}
    slowest = 0.0
    for brand_id, denomination, wanted in staging.groups(session):
        values = {"client": client_id, "brand": brand_id, "denomination": denomination}
        stock = session.execute(
            _STOCK, values | {"currency": currency, "usable_from": usable_from(now)}
        )
        left = wanted
        by_source = {row.source: row.cards for row in stock}
        for source in ("csv", "buffer"):
            taken = min(left, by_source.get(source, 0))
            totals[source] += taken
            left -= taken
        routes = session.execute(_ROUTES, values).one()
        totals["api" if routes.routes else "none"] += left
        if left and routes.routes:
            slowest = routes.rate if slowest == 0 else min(slowest, routes.rate)
    return totals, float(slowest)


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
    return hashlib.sha256(json.dumps(agreed, sort_keys=True).encode()).hexdigest()[:32]


def blockers(plan: IntakePlan, options: BulkOptions) -> list[dict[str, object]]:
    """Why a submit would be refused as things stand."""
    found: list[dict[str, object]] = []
    available = plan.payer.available if plan.payer else 0
    is_unlimited = plan.payer is not None and plan.payer.unlimited
    if plan.tally.charge > available and not is_unlimited:
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


def preview_view(plan: IntakePlan, options: BulkOptions) -> dict[str, Any]:
    """The preview of api.md, ready for JSON."""
    available = plan.payer.available if plan.payer else 0
    pool_items = plan.sources["csv"] + plan.sources["buffer"]
    rate = plan.vendor_rate_per_second
    eta = pool_items / POOL_ITEMS_PER_SECOND + (plan.sources["api"] / rate if rate else 0)
    return {
        "plan_hash": plan.plan_hash,
        "rows": plan.tally.rows,
        "valid": plan.tally.valid,
        "invalid": [error.as_json() for error in plan.errors],
        "invalid_count": plan.tally.invalid,
        "duplicates": plan.tally.duplicates,
        "skipped_count": plan.tally.skippable,
        "cost": {"charge_minor": plan.tally.charge, "currency": plan.currency},
        "sources": dict(plan.sources),
        "credit": {
            "available_minor": available,
            "after_minor": available - plan.tally.charge,
            "currency": plan.currency,
        },
        "eta_seconds": int(eta) + 1,
        "blockers": blockers(plan, options),
    }
