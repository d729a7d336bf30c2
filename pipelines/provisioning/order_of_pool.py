"""An order that fills a buffer pool ahead: its card becomes stock, its refusal frees the slot.

The pool is filled again by the refilling duty, which also chooses the route: nothing here does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.cards import Source
from models.jobs import ItemState
from pipelines.alerts.kinds import REFILL_ORDER_UNCLEAR
from pipelines.alerts.raise_alert import raise_alert
from pipelines.jobs.verdicts import Verdict
from pipelines.limits import Limits
from pipelines.pools.health import usable_from
from pipelines.pricing.read import price_rules
from pipelines.pricing.rules import charge_of, cost_max, expected_cost, is_too_dear
from pipelines.provisioning.effects import CardInHand
from pipelines.provisioning.order_setting import OrderFacts
from pipelines.provisioning.orders import OrderInHand, lock_order

PAUSED = Verdict(ItemState.CANCELLED, "refill_paused", "Filling this pool was paused.")

_FACTS = text("""
SELECT o.vendor, num_nonnulls(p.refill_paused_at, p.disabled_at) > 0 AS is_stopped,
    v.disabled_at IS NOT NULL AS is_disabled,
    coalesce(v.breaker_refuses_keys, false) AS refuses_keys,
    o.brand_id, o.face_value_minor, p.client_id, b.min_margin_minor, r.cost_bp, r.cost_flat_minor
FROM provider_orders o JOIN card_pools p ON p.id = o.pool_id
JOIN brands b ON b.id = o.brand_id
LEFT JOIN route_costs r
  ON r.brand_id = o.brand_id AND r.vendor = o.vendor AND r.product = o.product
LEFT JOIN vendor_accounts v ON v.vendor = o.vendor
WHERE o.id = :order
""")
_POOL = text("""
SELECT client_id, num_nonnulls(refill_paused_at, disabled_at) > 0 AS is_stopped
FROM card_pools WHERE id = :pool
""")
_KEEP = text("""
INSERT INTO cards (id, pool_id, client_id, brand_id, denomination_minor, currency, source, state,
    sealed_number, sealed_pin, sealed_url, blind_index, last4, expires_on, cost_minor,
    cost_currency, provider_order_id)
VALUES (:id, :pool, :client, :brand, :denomination, :currency, :source, :state, :number, :pin,
    :url, :index, :last4, coalesce(CAST(:expires_on AS date), '2099-12-31'), :cost,
    :cost_currency, :order)
ON CONFLICT DO NOTHING RETURNING 1
""")


@dataclass(frozen=True, slots=True)
class OrderOfPool:
    """An order, locked, with the pool that it fills: the platform's, or a client's own."""

    order: OrderInHand
    client_id: UUID | None
    #: Filling it is paused, or the pool is out of use.
    is_stopped: bool

    @property
    def stop(self) -> Verdict | None:
        return PAUSED if self.is_stopped else None

    @property
    def is_in_review(self) -> bool:
        return self.order.review_since is not None

    def has_other_route(self, session: Session) -> bool:
        """The slot is filled some other way at the duty's next look."""
        return True

    def takes(self, expires_on: date | None, *, now: datetime) -> bool:
        """What nobody would be given is no stock, and would be bought again without end (EC-068)."""
        return expires_on is None or expires_on.isoformat() >= usable_from(now)

    def keep(self, session: Session, card: Mapping[str, object], *, is_right: bool) -> bool:
        values = {
            **card,
            "pool": self.order.pool_id,
            "client": self.client_id,
            "source": Source.BUFFER.value,
            "state": "available" if is_right else "quarantined",
        }
        return session.execute(_KEEP, values).scalar_one_or_none() is not None

    def receive(self, session: Session, card: CardInHand, *, now: datetime, limits: Limits) -> None:
        """It is in stock since it was kept."""

    def go_on(
        self, session: Session, *, code: str, stop: Verdict | None, now: datetime, limits: Limits
    ) -> None:
        """The order's end has freed the slot."""

    def need_person(self, session: Session, why: Verdict, *, now: datetime, limits: Limits) -> None:
        """Until a person has looked its slot is not bought again, nor is anything by its route."""
        self.tell(session, why.code, now=now)

    def tell(self, session: Session, code: str, *, now: datetime) -> None:
        order = self.order
        detail = {"pool_id": str(order.pool_id), "vendor": order.vendor, "code": code}
        raise_alert(session, REFILL_ORDER_UNCLEAR, subject_id=order.id, detail=detail, now=now)

    def rest(self, session: Session, *, now: datetime, limits: Limits) -> None:
        """Nothing waits for it."""


def facts(session: Session, order_id: UUID) -> OrderFacts:
    """Whether filling stops, or the card costs too much by now: that ends what was not sent."""
    row = session.execute(_FACTS, {"order": order_id}).one()
    prices = price_rules(session, [row.brand_id]).get(row.brand_id, ())
    charge = charge_of(prices, row.face_value_minor, row.client_id)
    return OrderFacts(
        row.vendor,
        is_paused=False,
        stop=PAUSED if row.is_stopped else None,
        is_disabled=row.is_disabled,
        refuses_keys=row.refuses_keys,
        is_too_dear=is_too_dear(
            expected_cost(row.face_value_minor, row.cost_bp, row.cost_flat_minor),
            cost_max(charge, row.min_margin_minor),
        ),
    )


def setting(session: Session, order_id: UUID) -> OrderOfPool:
    """Lock the order and read its pool."""
    order = lock_order(session, order_id)
    row = session.execute(_POOL, {"pool": order.pool_id}).one()
    return OrderOfPool(order, row.client_id, row.is_stopped)
