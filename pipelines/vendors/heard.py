"""Tell a vendor's guard what was heard, and see to it when the vendor refuses our keys."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.alerts.kinds import PROVIDER_AUTH
from pipelines.alerts.raise_alert import raise_alert
from pipelines.providers import guard
from pipelines.providers.guard import Purpose
from pipelines.providers.ports import Balance, CataloguePage, LookUp
from pipelines.queue.defer import defer
from pipelines.queue.kinds import CHECK_VENDOR
from pipelines.telemetry import get_logger

log = get_logger(__name__)

#: From the refusal until jobs that wait for nothing else are paused: their orders have been put
#: back by then.
LOOK_SECONDS = 5.0

_ACCOUNT = text("SELECT id FROM vendor_accounts WHERE vendor = :vendor")


def heard(
    session: Session,
    vendor: str,
    answer: LookUp | Balance | CataloguePage,
    *,
    call: UUID,
    now: datetime,
    purpose: Purpose = Purpose.ORDER,
) -> None:
    """Note how the call went; the last thing that its transaction does.

    Refused keys block the account for everybody until a check finds them good (EC-060).
    """
    if not guard.note(session, vendor, answer, call=call, now=now, purpose=purpose):
        return
    account: UUID = session.execute(_ACCOUNT, {"vendor": vendor}).scalar_one()
    raise_alert(session, PROVIDER_AUTH, subject_id=account, detail={"vendor": vendor}, now=now)
    check_later(session, account, vendor, now=now, seconds=LOOK_SECONDS)
    log.error("vendor.keys_refused", vendor=vendor)


def check_later(
    session: Session, account: UUID, vendor: str, *, now: datetime, seconds: float = 0.0
) -> None:
    """Have the account checked: its balance read, and whether it takes our keys."""
    defer(
        session,
        CHECK_VENDOR,
        args={"account_id": str(account)},
        now=now,
        lane=vendor,
        run_after=now + timedelta(seconds=seconds),
        dedupe_key=str(account),
    )
