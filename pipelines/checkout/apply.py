"""Apply a code to a cart: a slot, what it looks like, and whether its code spreads, in one transaction."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from pipelines.discounts.refusals import CartChanged
from pipelines.discounts.reserve import Ask, Reserved, reserve
from pipelines.fraud.judge import judge
from pipelines.fraud.leaks import watch_leak
from pipelines.fraud.traces import Traces
from pipelines.limits import Limits


def apply_code(
    session: Session,
    ask: Ask,
    traces: Traces,
    *,
    actor_id: UUID | None,
    now: datetime,
    limits: Limits,
) -> Reserved | CartChanged:
    """Reserve, and judge who reserves: nobody is refused by it. Raises what `reserve` does."""
    done = reserve(session, ask, actor_id=actor_id, now=now, limits=limits)
    if isinstance(done, CartChanged):
        return done
    judge(session, done.usage_id, traces, now=now)
    if done.is_new:
        watch_leak(session, done.code_id, now=now, limits=limits)
    return done
