"""Buy gift cards from Giftbit: order a direct link, look up by our reference, poll, balance.

Of its kinds of order this is the one whose link can be read again at any time, so that a lost
answer is recovered by asking. An order that the account cannot pay is taken all the same and
waits for money there: it is owed, never sent again and never bought elsewhere.
"""

import time
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import quote

from pipelines.limits import Limits
from pipelines.providers.asking import unanswered
from pipelines.providers.bearer import BearerDoor
from pipelines.providers.catalogue_answers import (
    giftbit_place,
    read_giftbit_brand,
    read_giftbit_list,
)
from pipelines.providers.giftbit_answers import (
    BRAND,
    CURRENCIES,
    Ordered,
    read_balance,
    read_found,
    read_links,
    read_order,
)
from pipelines.providers.ports import (
    Absent,
    Accepted,
    Balance,
    CataloguePage,
    Conflicting,
    IssuedCard,
    LookUp,
    OrderRequest,
    Outcome,
    Refused,
    Succeeded,
    Unknown,
)
from pipelines.providers.transport import Answer, VendorTransport

#: Brands named at once.
_PAGE_BRANDS = 20


class GiftbitProvider:
    """One Giftbit account in one environment; shared by all threads of a process."""

    name: ClassVar[str] = "giftbit"
    #: A repeated reference never orders twice, but how it is answered is not documented.
    resend_is_safe: ClassVar[bool] = False

    def __init__(
        self,
        transport: VendorTransport,
        *,
        base_url: str,
        api_key: str,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._door = BearerDoor(transport, base_url=base_url, key=api_key, clock=clock)
        self._limits = limits

    @property
    def order_deadline_seconds(self) -> float:
        """Bounds the order; its link is in the same answer."""
        return self._limits.vendor_order_deadline_seconds

    @property
    def lookup_deadline_seconds(self) -> float:
        return self._limits.vendor_lookup_deadline_seconds

    def place_order(self, request: OrderRequest) -> Outcome:
        """Buy one card; the caller has committed that it is being sent."""
        if not BRAND.fullmatch(request.product) or request.currency not in CURRENCIES:
            return Refused("product_unavailable", None)
        order = {
            "id": request.reference,
            "price_in_cents": request.face_value_minor,
            "brand_codes": [request.product],
            "link_count": 1,
        }
        deadline = self._door.until(self.order_deadline_seconds)
        answer = self._door.call(
            "POST", "/direct_links", deadline=deadline, json=order, send_by=request.send_by
        )
        if not isinstance(answer, Answer):
            return answer
        outcome = read_order(answer, request)
        if not isinstance(outcome, Ordered):
            return outcome
        return _with_links(outcome, outcome.links)

    def look_up(self, request: OrderRequest) -> LookUp:
        """What became of our reference."""
        return self._find(request.reference, request)

    def poll(self, request: OrderRequest, vendor_order_id: str) -> LookUp:
        """What became of an order that Giftbit has accepted, by its own id."""
        found = self._find(vendor_order_id, request)
        return Unknown("order_gone") if isinstance(found, Absent) else found

    def balance(self) -> Balance | Unknown:
        """What may still be spent in dollars; each currency has an account of its own."""
        deadline = self._door.until(self.lookup_deadline_seconds)
        answer = self._door.call("GET", "/funds", deadline=deadline)
        return read_balance(answer) if isinstance(answer, Answer) else unanswered(answer)

    def catalogue(self, page: str | None) -> CataloguePage | Unknown:
        """A page of brand codes, or the next of the brands that the last one named."""
        offset, _, codes = (page or "0|").partition("|")
        code, _, left = codes.partition(",")
        path = f"/brands/{quote(code, safe='')}"
        if not code:
            path = f"/brands?limit={_PAGE_BRANDS}&offset={int(offset)}"
        answer = self._door.call(
            "GET", path, deadline=self._door.until(self.lookup_deadline_seconds)
        )
        if not isinstance(answer, Answer):
            return unanswered(answer)
        if code:
            return read_giftbit_brand(answer, giftbit_place(offset, left.split(",")))
        return read_giftbit_list(answer, int(offset))

    def _find(self, name: str, request: OrderRequest) -> LookUp:
        deadline = self._door.until(self.lookup_deadline_seconds)
        answer = self._door.call("GET", f"/campaign/{quote(name, safe='')}", deadline=deadline)
        if not isinstance(answer, Answer):
            return unanswered(answer)
        found = read_found(answer, request)
        if not isinstance(found, Ordered):
            return found
        answer = self._door.call("GET", f"/links/{request.reference}", deadline=deadline)
        links = read_links(answer) if isinstance(answer, Answer) else ()
        settled = _with_links(found, links)
        return Conflicting(settled.reason) if isinstance(settled, Unknown) else settled


def _with_links(ordered: Ordered, links: tuple[str, ...]) -> Succeeded | Accepted | Unknown:
    """The order with its link; one that is not made yet, or cannot be read now, is owed."""
    if not links:
        return Accepted(ordered.vendor_order_id)
    if len(links) > 1:
        return Unknown("several_cards")
    return Succeeded(
        vendor_order_id=ordered.vendor_order_id,
        card=IssuedCard(links[0], None, None, ordered.expires_on),
        face_value_minor=ordered.face_value_minor,
        currency=ordered.currency,
        cost_minor=ordered.cost_minor,
        cost_currency=ordered.cost_currency,
    )
