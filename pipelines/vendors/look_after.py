"""Look after the vendor accounts every few minutes: open them, have them checked, forget the old."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.providers.vendors import VENDORS
from pipelines.queue.work import TaskInHand
from pipelines.vendors.heard import check_later

#: Counts of calls and balances are kept this long.
COUNTS_KEPT = timedelta(days=2)
BALANCES_KEPT = timedelta(days=90)

_OPEN = text("""
INSERT INTO vendor_accounts (vendor, rate_per_minute, burst, micro_tokens)
SELECT vendor, rate, burst, 0 FROM unnest(CAST(:vendors AS text[]), CAST(:rates AS integer[]),
    CAST(:bursts AS integer[])) AS v (vendor, rate, burst)
ON CONFLICT DO NOTHING
""")
_ACCOUNTS = text("SELECT id, vendor FROM vendor_accounts WHERE vendor = ANY(:vendors)")
_FORGET_CALLS = text("DELETE FROM vendor_calls WHERE until < :before")
_FORGET_COUNTS = text("DELETE FROM vendor_call_counts WHERE since < :before")
# The newest is kept however old it is.
_FORGET_BALANCES = text("""
DELETE FROM vendor_balances b WHERE b.at < :before
  AND EXISTS (SELECT FROM vendor_balances n WHERE n.vendor = b.vendor AND n.at > b.at)
""")


def look_after_vendors(
    session: Session, _task: TaskInHand, now: datetime, *, vendors: Collection[str]
) -> None:
    """The work of LOOK_AFTER_VENDORS; `vendors` are those whose accounts are set up here."""
    names = sorted(vendors)
    rates = [VENDORS[name].rate for name in names]
    values = {"rates": [rate.per_minute for rate in rates], "bursts": [r.burst for r in rates]}
    session.execute(_OPEN, values | {"vendors": names})
    for account in session.execute(_ACCOUNTS, {"vendors": names}).all():
        check_later(session, account.id, account.vendor, now=now)
    session.execute(_FORGET_CALLS, {"before": now - timedelta(hours=1)})
    session.execute(_FORGET_COUNTS, {"before": now - COUNTS_KEPT})
    session.execute(_FORGET_BALANCES, {"before": now - BALANCES_KEPT})
