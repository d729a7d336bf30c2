"""Buy gift cards from Tango (RaaS v2): order, repeat, look up by our reference, poll, balance.

A used `externalRefID` is answered with its original order, also while the first call still runs
(then with 409.002: wait two seconds). So an unclear order may simply be sent again.
"""

import re
import time
from base64 import b64encode
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import quote

from pipelines.limits import Limits
from pipelines.providers.asking import ask, unanswered
from pipelines.providers.catalogue_answers import read_tango
from pipelines.providers.exact import to_amount
from pipelines.providers.ports import (
    Absent,
    Balance,
    CataloguePage,
    Conflicting,
    LookUp,
    NotSent,
    OrderRequest,
    Outcome,
    Refused,
    Unknown,
)
from pipelines.providers.tango_answers import (
    PAGE_ROWS,
    read_balance,
    read_order,
    read_poll,
    read_rows,
)
from pipelines.providers.transport import Answer, VendorTransport

_UTID = re.compile(r"U[0-9]{1,9}")
#: Tango takes at most six digits before the point.
_AMOUNT_MAX = 999_999


class TangoProvider:
    """One Tango account of one customer on our platform; shared by all threads of a process."""

    name: ClassVar[str] = "tango"
    resend_is_safe: ClassVar[bool] = True

    def __init__(
        self,
        transport: VendorTransport,
        *,
        base_url: str,
        platform_name: str,
        platform_key: str,
        customer: str,
        account: str,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        signed = b64encode(f"{platform_name}:{platform_key}".encode()).decode()
        self._headers = {"Accept": "application/json", "Authorization": f"Basic {signed}"}
        self._wallet = {"customerIdentifier": customer, "accountIdentifier": account}
        self._limits = limits
        self._clock = clock

    @property
    def order_deadline_seconds(self) -> float:
        """Bounds the order; its card comes in the same answer."""
        return self._limits.vendor_order_deadline_seconds

    @property
    def lookup_deadline_seconds(self) -> float:
        return self._limits.vendor_lookup_deadline_seconds

    def place_order(self, request: OrderRequest) -> Outcome:
        """Buy one card, or be told again of the one that was bought under this reference."""
        if not _UTID.fullmatch(request.product):
            return Refused("product_unavailable", None)
        amount = to_amount(request.face_value_minor, request.currency)
        if amount > _AMOUNT_MAX:
            return Refused("invalid_amount", None)
        order = self._wallet | {
            "utid": request.product,
            "amount": amount,
            "sendEmail": False,
            "externalRefID": request.reference,
        }
        answer = self._call(
            "POST",
            "/orders",
            seconds=self.order_deadline_seconds,
            json=order,
            send_by=request.send_by,
        )
        return read_order(answer, request) if isinstance(answer, Answer) else answer

    def look_up(self, request: OrderRequest) -> LookUp:
        """What became of our reference. `Absent` means: Tango lists no order under it now."""
        deadline = self._clock() + self.lookup_deadline_seconds
        query = self._wallet | {
            "externalRefID": request.reference,
            "elementsPerBlock": str(PAGE_ROWS),
            "page": "0",
        }
        answer = self._call("GET", "/orders", seconds=self.lookup_deadline_seconds, params=query)
        if not isinstance(answer, Answer):
            return unanswered(answer)
        found = read_rows(answer, request)
        if isinstance(found, Absent | Conflicting | Unknown):
            return found
        return self._shown(request, found.id, seconds=deadline - self._clock())

    def poll(self, request: OrderRequest, vendor_order_id: str) -> LookUp:
        """What became of an order that Tango has accepted, by its own id."""
        return self._shown(request, vendor_order_id, seconds=self.lookup_deadline_seconds)

    def balance(self) -> Balance | Unknown:
        """What the account may still spend."""
        path = f"/accounts/{quote(self._wallet['accountIdentifier'], safe='')}"
        answer = self._call("GET", path, seconds=self.lookup_deadline_seconds)
        return read_balance(answer) if isinstance(answer, Answer) else unanswered(answer)

    def catalogue(self, _page: str | None) -> CataloguePage | Unknown:
        """All its items; there are no pages."""
        seconds, query = self.lookup_deadline_seconds, {"verbose": "true"}
        answer = self._call("GET", "/catalogs", seconds=seconds, params=query)
        return read_tango(answer) if isinstance(answer, Answer) else unanswered(answer)

    def _shown(self, request: OrderRequest, vendor_order_id: str, *, seconds: float) -> LookUp:
        path = f"/orders/{quote(vendor_order_id, safe='')}"
        answer = self._call("GET", path, seconds=seconds)
        if not isinstance(answer, Answer):
            return unanswered(answer)
        return read_poll(answer, request, vendor_order_id)

    def _call(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        json: object = None,
        params: dict[str, str] | None = None,
        send_by: float | None = None,
    ) -> Answer | NotSent | Unknown:
        return ask(
            self._transport,
            method,
            self._base_url + path,
            headers=self._headers,
            seconds=seconds,
            json=json,
            params=params,
            send_by=send_by,
        )
