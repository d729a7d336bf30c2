"""An order for an item of a job: its card is given away at once, its refusal tries the next route."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.base import new_id
from models.jobs import ItemState, JobState
from pipelines.alerts.kinds import ORDER_IN_REVIEW
from pipelines.alerts.kinds import VALUE_MISMATCH as VALUE_MISMATCH_ALERT
from pipelines.alerts.raise_alert import raise_alert
from pipelines.jobs.chunks import lock_chunk, rest_chunk
from pipelines.jobs.verdicts import Verdict
from pipelines.limits import Limits
from pipelines.pricing.rules import cost_max, expected_cost, is_too_dear
from pipelines.provisioning.effects import (
    CardInHand,
    JobInHand,
    OpenItem,
    end_items,
    job_in_hand,
    open_item,
    provision,
    settle_credit,
)
from pipelines.provisioning.margin import tell_of_margin
from pipelines.provisioning.order_setting import DUPLICATE_CARD, VALUE_MISMATCH, OrderFacts
from pipelines.provisioning.orders import OrderInHand, create_orders, lock_order, routes_tried
from pipelines.provisioning.sources import ways_of_item
from pipelines.provisioning.stops import stop_verdict
from pipelines.provisioning.waterfall import next_route, refusal_without_route

_FACTS = text("""
SELECT j.state, o.vendor, l.suspended_at IS NOT NULL AS suspended, c.state = 'closed' AS closed,
    v.disabled_at IS NOT NULL AS is_disabled,
    coalesce(v.breaker_refuses_keys, false) AS refuses_keys,
    o.face_value_minor, i.charge_minor, b.min_margin_minor, r.cost_bp, r.cost_flat_minor
FROM provider_orders o JOIN jobs j ON j.id = o.job_id
JOIN items i ON i.job_id = o.job_id AND i.position = o.position
JOIN brands b ON b.id = o.brand_id
LEFT JOIN route_costs r
  ON r.brand_id = o.brand_id AND r.vendor = o.vendor AND r.product = o.product
LEFT JOIN vendor_accounts v ON v.vendor = o.vendor
JOIN campaigns c ON c.id = j.campaign_id JOIN clients l ON l.id = j.client_id
WHERE o.id = :order
""")
_CHUNK = text("SELECT chunk_number FROM items WHERE job_id = :job AND position = :position")
_ITEM = text("""
SELECT position, state, brand_id, denomination_minor, charge_minor, person_key, round FROM items
WHERE job_id = :job AND position = :position FOR NO KEY UPDATE
""")
_KEEP = text("""
SELECT keep_vendor_card(:id, :order, :state, :number, :pin, :url, :index, :last4,
    CAST(:expires_on AS date), :denomination, :currency, :cost, :cost_currency, :brand, :client)
""")


@dataclass(frozen=True, slots=True)
class OrderOfItem:
    """An order with its item and job: chunk, item and order are locked."""

    order: OrderInHand
    item: OpenItem
    item_state: ItemState
    job: JobInHand
    job_state: JobState
    chunk: int

    @property
    def stop(self) -> Verdict | None:
        return stop_verdict(self.job_state, is_suspended=False, is_closed=False)

    @property
    def is_in_review(self) -> bool:
        return self.item_state is ItemState.NEEDS_REVIEW

    def has_other_route(self, session: Session) -> bool:
        order, item = self.order, self.item
        tried = routes_tried(session, self.job, item) | {(order.vendor, order.product)}
        ways = ways_of_item(session, item)
        at_most = ways.cost_max(item.charge_minor)
        denomination = item.denomination_minor
        return next_route(ways.routes, denomination, tried=tried, cost_max=at_most) is not None

    def takes(self, expires_on: date | None, *, now: datetime) -> bool:
        """Its recipient has it at once, and is told until when it is valid."""
        return True

    def keep(self, session: Session, card: Mapping[str, object], *, is_right: bool) -> bool:
        state = "issued" if is_right else "quarantined"
        values = {**card, "state": state, "client": self.job.client_id}
        return bool(session.execute(_KEEP, values).scalar_one())

    def receive(self, session: Session, card: CardInHand, *, now: datetime, limits: Limits) -> None:
        """Give it to the item and capture the charge."""
        transfer_id = new_id()
        provision(session, self.job, [(self.item, card)], transfer_id=transfer_id, now=now)
        self.rest(session, now=now, limits=limits)
        settle_credit(
            session, self.job, served=[self.item], refused=[], transfer_id=transfer_id, now=now
        )

    def go_on(
        self, session: Session, *, code: str, stop: Verdict | None, now: datetime, limits: Limits
    ) -> None:
        """Try the next route, or end the item and give its credit back."""
        if stop is not None:
            self._end(session, stop, now, limits)
            return
        item, denomination = self.item, self.item.denomination_minor
        ways = ways_of_item(session, item)
        tried = routes_tried(session, self.job, item)
        at_most = ways.cost_max(item.charge_minor)
        route = next_route(ways.routes, denomination, tried=tried, cost_max=at_most)
        if route is not None:
            create_orders(session, self.job, [(item, route)], now=now)
            return
        why = refusal_without_route(ways.routes, denomination, tried=tried, last_code=code)
        self._end(session, Verdict(*why), now, limits)

    def need_person(self, session: Session, why: Verdict, *, now: datetime, limits: Limits) -> None:
        """The item waits for one; its credit stays held."""
        end_items(session, self.job, [self.item], why)
        self.rest(session, now=now, limits=limits)
        self.tell(session, why.code, now=now)

    def tell(self, session: Session, code: str, *, now: datetime) -> None:
        """An alert of the platform's: it keeps the vendors' accounts."""
        order, is_wrong_card = self.order, code in {VALUE_MISMATCH.code, DUPLICATE_CARD.code}
        kind = VALUE_MISMATCH_ALERT if is_wrong_card else ORDER_IN_REVIEW
        detail = {"vendor": order.vendor, "code": code, "order_id": str(order.id)}
        raise_alert(session, kind, subject_id=order.id, detail=detail, now=now)

    def rest(self, session: Session, *, now: datetime, limits: Limits) -> None:
        """The chunk's state after its order moved; it may give its slot to the next one now."""
        rest_chunk(
            session,
            job_id=self.job.id,
            number=self.chunk,
            tenant_id=self.job.client_id,
            now=now,
            open_orders_max=limits.open_orders_per_job_max,
        )

    def _end(self, session: Session, verdict: Verdict, now: datetime, limits: Limits) -> None:
        end_items(session, self.job, [self.item], verdict)
        self.rest(session, now=now, limits=limits)
        if not verdict.is_final:
            tell_of_margin(session, self.job, [self.item], now=now)
            return
        settle_credit(
            session, self.job, served=[], refused=[self.item], transfer_id=new_id(), now=now
        )


def facts(session: Session, order_id: UUID) -> OrderFacts:
    """Whether the order's job, client or campaign stops it."""
    row = session.execute(_FACTS, {"order": order_id}).one()
    stop = stop_verdict(JobState(row.state), is_suspended=row.suspended, is_closed=row.closed)
    return OrderFacts(
        row.vendor,
        is_paused=row.state == JobState.PAUSED,
        stop=stop,
        is_disabled=row.is_disabled,
        refuses_keys=row.refuses_keys,
        is_too_dear=is_too_dear(
            expected_cost(row.face_value_minor, row.cost_bp, row.cost_flat_minor),
            cost_max(row.charge_minor, row.min_margin_minor),
        ),
    )


def setting(session: Session, order_id: UUID, job_id: UUID, position: int) -> OrderOfItem:
    """Lock chunk, item and order (in this order) and read their job."""
    where = {"job": job_id, "position": position}
    job, job_state = job_in_hand(session, job_id)
    chunk = session.execute(_CHUNK, where).scalar_one()
    lock_chunk(session, job_id, chunk)
    row = session.execute(_ITEM, where).one()
    order = lock_order(session, order_id)
    return OrderOfItem(order, open_item(row), ItemState(row.state), job, JobState(job_state), chunk)
