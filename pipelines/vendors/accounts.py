"""Vendor accounts as the platform sees and sets them."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from pipelines.alerts.kinds import PROVIDER_AUTH as PROVIDER_AUTH_ALERT
from pipelines.alerts.raise_alert import settle_alert
from pipelines.audit.record import changes, record
from pipelines.errors import Kind, NotFound, Refusal
from pipelines.jobs.standstill import resume_standing
from pipelines.providers import guard
from pipelines.providers.guard import PROVIDER_AUTH

#: What the bounds of an account may be: whole numbers from 1 to these.
HIGHEST_BOUNDS: Mapping[str, int] = {
    "rate_per_minute": 1_000_000,
    "burst": 10_000,
    "concurrency": 1_000,
}


class BreakerClosed(Refusal):
    """The account lets calls through as it is."""

    code = "breaker_closed"
    kind = Kind.CONFLICT
    detail = "The account's breaker is closed: calls go through. Nothing was changed."


_SEEN = text("""
SELECT a.*, a.disabled_at IS NOT NULL AS is_disabled,
    coalesce(h.answered, 0) AS hour_answered, coalesce(h.failed, 0) AS hour_failed,
    coalesce(h.unknown, 0) AS hour_unknown, coalesce(d.answered, 0) AS day_answered,
    coalesce(d.failed, 0) AS day_failed, coalesce(d.unknown, 0) AS day_unknown,
    (SELECT count(*) FROM vendor_calls c
     WHERE c.vendor = a.vendor AND c.until > :now AND c.starts_at IS NULL) AS in_flight,
    b.balance_minor, b.currency AS balance_currency, b.at AS balance_at
FROM vendor_accounts a
LEFT JOIN (SELECT vendor, sum(answered) AS answered, sum(failed) AS failed, sum(unknown) AS unknown
           FROM vendor_call_counts WHERE since > :hour_ago GROUP BY vendor) h
  ON h.vendor = a.vendor
LEFT JOIN (SELECT vendor, sum(answered) AS answered, sum(failed) AS failed, sum(unknown) AS unknown
           FROM vendor_call_counts WHERE since > :day_ago GROUP BY vendor) d
  ON d.vendor = a.vendor
LEFT JOIN LATERAL (SELECT balance_minor, currency, at FROM vendor_balances
                   WHERE vendor = a.vendor ORDER BY at DESC LIMIT 1) b ON true
WHERE CAST(:vendor AS text) IS NULL OR a.vendor = :vendor
ORDER BY a.vendor
""")
_OPEN_ORDERS = text("""
SELECT vendor, state, count(*) AS orders, min(coalesce(sent_at, created_at)) AS oldest
FROM provider_orders WHERE state IN ('created', 'sent', 'accepted', 'unknown')
GROUP BY vendor, state ORDER BY vendor, state
""")
_LOCK = text("""
SELECT id, vendor, rate_per_minute, burst, concurrency, disabled_at IS NOT NULL AS is_disabled
FROM vendor_accounts WHERE vendor = :vendor FOR NO KEY UPDATE
""")
_CHANGE = text("""
UPDATE vendor_accounts SET rate_per_minute = :rate_per_minute, burst = :burst,
    concurrency = :concurrency, taken_until = NULL,
    micro_tokens = least(micro_tokens, :burst * CAST(1000000 AS bigint)),
    disabled_at = CASE WHEN :is_disabled THEN coalesce(disabled_at, :now) END
WHERE vendor = :vendor
""")
_ID = text("SELECT id FROM vendor_accounts WHERE vendor = :vendor")


def list_accounts(
    session: Session, *, now: datetime, configured: Collection[str], vendor: str | None = None
) -> list[dict[str, Any]]:
    """Every account with its breaker, calls, open orders by state and last balance."""
    values = {
        "now": now,
        "hour_ago": now - timedelta(hours=1),
        "day_ago": now - timedelta(days=1),
        "vendor": vendor,
    }
    orders: dict[str, list[dict[str, Any]]] = {}
    for row in session.execute(_OPEN_ORDERS):
        waits = (now - row.oldest).total_seconds()
        line = {"state": row.state, "count": row.orders, "oldest_seconds": int(max(0.0, waits))}
        orders.setdefault(row.vendor, []).append(line)
    return [
        _view(row, is_configured=row.vendor in configured, orders=orders.get(row.vendor, []))
        for row in session.execute(_SEEN, values)
    ]


def account_named(
    session: Session, vendor: str, *, now: datetime, configured: Collection[str]
) -> dict[str, Any]:
    """One account as `list_accounts` shows it, or `NotFound`."""
    found = list_accounts(session, now=now, configured=configured, vendor=vendor)
    if not found:
        raise NotFound
    return found[0]


def change_account(
    session: Session,
    vendor: str,
    *,
    rate_per_minute: int | None = None,
    burst: int | None = None,
    concurrency: int | None = None,
    is_disabled: bool | None = None,
    reason: str | None = None,
    actor_id: UUID,
    now: datetime,
) -> None:
    """Set what is given, for every worker's next call; raises `NotFound`.

    An account out of use gets no orders; those not sent yet go to their next route.
    """
    row = session.execute(_LOCK, {"vendor": vendor}).one_or_none()
    if row is None:
        raise NotFound
    before = {name: value for name, value in row._mapping.items() if name not in ("id", "vendor")}
    wanted = {
        "rate_per_minute": rate_per_minute,
        "burst": burst,
        "concurrency": concurrency,
        "is_disabled": is_disabled,
    }
    after = before | {name: value for name, value in wanted.items() if value is not None}
    told = changes(before, after)
    if not told:
        return
    session.execute(_CHANGE, after | {"vendor": vendor, "now": now})
    detail = {"vendor": vendor} | told | ({"reason": reason} if reason else {})
    _audit(session, "vendor_account.changed", row.id, actor_id, detail)


def close_breaker(
    session: Session, vendor: str, *, reason: str, actor_id: UUID, now: datetime
) -> None:
    """Let orders through at once, one at a time until one is answered; resume what waited.

    Raises `NotFound`, and `BreakerClosed` if calls go through as it is.
    """
    account: UUID | None = session.execute(_ID, {"vendor": vendor}).scalar_one_or_none()
    if account is None:
        raise NotFound
    resume_standing(session, PROVIDER_AUTH, now=now)
    settle_alert(session, PROVIDER_AUTH_ALERT, subject_id=account, now=now)
    was = guard.close(session, vendor)
    if was is None:
        raise BreakerClosed
    detail = {"vendor": vendor, "was": was.state.value, "reason": reason}
    _audit(session, "vendor_account.breaker_closed", account, actor_id, detail)


def _view(row: Row[Any], *, is_configured: bool, orders: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": row.id,
        "vendor": row.vendor,
        "configured": is_configured,
        "disabled": row.is_disabled,
        "disabled_at": row.disabled_at,
        "rate_per_minute": row.rate_per_minute,
        "burst": row.burst,
        "concurrency": row.concurrency,
        "in_flight": row.in_flight,
        "answered_at": row.answered_at,
        "breaker": {
            "state": row.breaker_state,
            "reason": _reason(row),
            "since": row.breaker_since,
            "blocked_until": row.breaker_blocked_until,
        },
        "calls": {
            period: {way: int(getattr(row, f"{period}_{way}")) for way in _WAYS}
            for period in ("hour", "day")
        },
        "open_orders": orders,
        "balance": None
        if row.balance_at is None
        else {"minor": row.balance_minor, "currency": row.balance_currency, "at": row.balance_at},
    }


_WAYS = ("answered", "failed", "unknown")


def _reason(row: Row[Any]) -> str | None:
    if row.breaker_state == "closed":
        return None
    return PROVIDER_AUTH if row.breaker_refuses_keys else "vendor_down"


def _audit(
    session: Session, action: str, identity: UUID, actor_id: UUID, detail: dict[str, Any]
) -> None:
    record(
        session,
        action,
        object_kind="vendor_account",
        object_id=identity,
        actor_id=actor_id,
        detail=detail,
    )
