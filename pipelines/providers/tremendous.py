"""Buy gift cards from Tremendous: order a link, look up by our reference, poll, balance.

What Tremendous sells is a link to the card. It is told once, in the answer to the order, and kept
there as a hash: a link whose answer was lost is made anew, for the order that was paid for.
A used reference is answered with its order; what happens while the first one still runs is not
documented, so an unclear order is looked up and sent again only when it is absent.
"""

import time
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import quote

from pipelines.limits import Limits
from pipelines.providers.asking import unanswered
from pipelines.providers.bearer import BearerDoor
from pipelines.providers.catalogue_answers import read_tremendous
from pipelines.providers.exact import to_amount
from pipelines.providers.ports import (
    Absent,
    Accepted,
    Balance,
    CataloguePage,
    IssuedCard,
    LookUp,
    OrderRequest,
    Outcome,
    Refused,
    Succeeded,
    Unknown,
)
from pipelines.providers.transport import Answer, VendorTransport
from pipelines.providers.tremendous_answers import (
    PRODUCT,
    Bought,
    read_balance,
    read_balance_source,
    read_found,
    read_link,
    read_order,
)

#: Paid from what the account holds, which is what `balance` tells.
_FUNDING_SOURCE = "BALANCE"
#: Nobody's name: the link's bearer is the recipient, and who that is stays with us.
_RECIPIENT = "Gift recipient"


class TremendousProvider:
    """One Tremendous account in one environment; shared by all threads of a process."""

    name: ClassVar[str] = "tremendous"
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
        """Bounds the order itself; a link made anew adds `lookup_deadline_seconds` at most."""
        return self._limits.vendor_order_deadline_seconds

    @property
    def lookup_deadline_seconds(self) -> float:
        return self._limits.vendor_lookup_deadline_seconds

    def place_order(self, request: OrderRequest) -> Outcome:
        """Buy one card; the caller has committed that it is being sent."""
        if not PRODUCT.fullmatch(request.product):
            return Refused("product_unavailable", None)
        deadline = self._door.until(self.order_deadline_seconds)
        answer = self._door.call(
            "POST", "/orders", deadline=deadline, json=_order(request), send_by=request.send_by
        )
        if not isinstance(answer, Answer):
            return answer
        outcome = read_order(answer, request)
        if not isinstance(outcome, Bought):
            return outcome
        return self._with_link(outcome, deadline=self._door.until(self.lookup_deadline_seconds))

    def look_up(self, request: OrderRequest) -> LookUp:
        """What became of our reference."""
        return self._find(request.reference, request)

    def poll(self, request: OrderRequest, vendor_order_id: str) -> LookUp:
        """What became of an order that Tremendous has accepted, by its own id."""
        found = self._find(vendor_order_id, request)
        return Unknown("order_gone") if isinstance(found, Absent) else found

    def balance(self) -> Balance | Unknown:
        """What the account may still spend. The list of sources is cached there, one is not."""
        deadline = self._door.until(self.lookup_deadline_seconds)
        answer = self._door.call("GET", "/funding_sources", deadline=deadline)
        source = read_balance_source(answer) if isinstance(answer, Answer) else unanswered(answer)
        if isinstance(source, Unknown):
            return source
        path = f"/funding_sources/{quote(source, safe='')}"
        answer = self._door.call("GET", path, deadline=deadline)
        return read_balance(answer) if isinstance(answer, Answer) else unanswered(answer)

    def catalogue(self, _page: str | None) -> CataloguePage | Unknown:
        """All its products; there are no pages."""
        deadline = self._door.until(self.lookup_deadline_seconds)
        answer = self._door.call("GET", "/products", deadline=deadline)
        return read_tremendous(answer) if isinstance(answer, Answer) else unanswered(answer)

    def _find(self, name: str, request: OrderRequest) -> LookUp:
        deadline = self._door.until(self.lookup_deadline_seconds)
        answer = self._door.call("GET", f"/orders/{quote(name, safe='')}", deadline=deadline)
        if not isinstance(answer, Answer):
            return unanswered(answer)
        found = read_found(answer, request)
        return self._with_link(found, deadline=deadline) if isinstance(found, Bought) else found

    def _with_link(self, bought: Bought, *, deadline: float) -> Succeeded | Accepted:
        """The order with its link; one that cannot be made now is owed, not lost."""
        link = bought.link
        if link is None:
            path = f"/rewards/{quote(bought.reward_id, safe='')}/generate_link"
            answer = self._door.call("POST", path, deadline=deadline)
            link = read_link(answer, bought.reward_id) if isinstance(answer, Answer) else None
        if link is None:
            return Accepted(bought.vendor_order_id)
        return Succeeded(
            vendor_order_id=bought.vendor_order_id,
            card=IssuedCard(link, None, None, bought.expires_on),
            face_value_minor=bought.face_value_minor,
            currency=bought.currency,
            cost_minor=bought.cost_minor,
            cost_currency=bought.cost_currency,
            made_anew=bought.link is None,
        )


def _order(request: OrderRequest) -> dict[str, object]:
    """The order, the same for every send of one reference: another body would be refused."""
    return {
        "external_id": request.reference,
        "payment": {"funding_source_id": _FUNDING_SOURCE},
        "reward": {
            "value": {
                "denomination": to_amount(request.face_value_minor, request.currency),
                "currency_code": request.currency,
            },
            "products": [request.product],
            "recipient": {"name": _RECIPIENT},
            "delivery": {"method": "LINK"},
        },
    }
