"""Check a vendor account without buying: its balance, and whether it takes our keys."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from models import clock
from models.database import Sessions, transaction
from pipelines.alerts import kinds
from pipelines.alerts.raise_alert import settle_alert
from pipelines.jobs.standstill import pause_standing, resume_standing
from pipelines.limits import Limits
from pipelines.providers.guard import PROVIDER_AUTH, Purpose
from pipelines.providers.ports import Balance, Provider, Unknown
from pipelines.providers.turn import Turn
from pipelines.queue.kinds import CHECK_VENDOR
from pipelines.queue.settling import lease_seconds, settle_by, settle_in_hand
from pipelines.queue.work import TaskInHand, finish, postpone
from pipelines.telemetry import get_logger
from pipelines.vendors.begin import ACCOUNT, begin_question
from pipelines.vendors.heard import heard

log = get_logger(__name__)

_KEEP = text("""
INSERT INTO vendor_balances (vendor, at, balance_minor, currency)
SELECT :vendor, :now, :balance, :currency WHERE NOT EXISTS (
    SELECT FROM (SELECT at, balance_minor, currency FROM vendor_balances
                 WHERE vendor = :vendor ORDER BY at DESC LIMIT 1) b
    WHERE b.balance_minor = :balance AND b.currency = :currency AND b.at > :kept_since)
ON CONFLICT DO NOTHING
""")
#: A balance that stays the same is written down again after this.
SAME_BALANCE_KEPT = timedelta(minutes=55)


def check_vendor(
    sessions: Sessions,
    task: TaskInHand,
    *,
    providers: Mapping[str, Provider],
    limits: Limits,
    draw: Callable[[], float],
) -> None:
    """The work of CHECK_VENDOR; while the keys are refused it comes back until they are good.

    A balance is an answer with our keys: it lets orders through again, and resumes what waited.
    """
    begun, turn = time.monotonic(), Turn()
    with transaction(sessions) as session:
        account = _begin(session, task, providers, limits, turn)
    if account is None:
        return
    turn.wait()
    answer = providers[account.vendor].balance()

    def write(session: Session) -> None:
        now = clock.now(session)
        if account.refuses_keys and isinstance(answer, Balance):
            resume_standing(session, PROVIDER_AUTH, now=now)
            settle_alert(session, kinds.PROVIDER_AUTH, subject_id=account.id, now=now)
        _keep(session, account.vendor, answer, now)
        heard(session, account.vendor, answer, call=task.id, now=now, purpose=Purpose.CHECK)
        found = session.execute(ACCOUNT, {"account": account.id}).one()
        if found.refuses_keys:
            postpone(session, task, until=found.blocked_until, reason=PROVIDER_AUTH)
        else:
            finish(session, task)

    until = settle_by(begun, CHECK_VENDOR, limits)
    settle_in_hand(sessions, task, write, until=until, draw=draw)
    log.info("vendor.checked", vendor=account.vendor, answer=type(answer).__name__)


def _begin(
    session: Session,
    task: TaskInHand,
    providers: Mapping[str, Provider],
    limits: Limits,
    turn: Turn,
) -> Row[Any] | None:
    """The account, if it may be asked; of one that is down an order is the probe."""

    def stand_still(account: Row[Any]) -> None:
        """Jobs that only wait for an account whose keys are refused."""
        if account.refuses_keys:
            pause_standing(session, PROVIDER_AUTH, now=clock.now(session))

    return begin_question(
        session,
        task,
        providers,
        seconds=lease_seconds(CHECK_VENDOR, limits),
        turn=turn,
        ends_for={"vendor_down"},
        found=stand_still,
    )


def _keep(session: Session, vendor: str, answer: Balance | Unknown, now: datetime) -> None:
    if isinstance(answer, Balance):
        session.execute(
            _KEEP,
            {
                "vendor": vendor,
                "now": now,
                "balance": answer.minor,
                "currency": answer.currency,
                "kept_since": now - SAME_BALANCE_KEPT,
            },
        )
