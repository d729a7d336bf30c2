"""Buy gift cards from Reloadly: order, look up by our reference, poll, balance.

A used reference is refused, never answered with its order, and two overlapping orders with one
reference both run. So an order is sent once, an unclear one is looked up, and it may be sent
again only when the look-up says absent and the first can no longer be running.
"""

import time
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import ClassVar
from urllib.parse import quote

from pipelines.limits import Limits
from pipelines.providers.asking import NoAnswer, ask, not_told, unanswered
from pipelines.providers.catalogue_answers import read_reloadly
from pipelines.providers.exact import Unreadable, decode_json, to_amount, to_minor_floor
from pipelines.providers.ports import (
    Accepted,
    AuthFailed,
    Balance,
    CataloguePage,
    Conflicting,
    LookUp,
    OrderRequest,
    Outcome,
    Refused,
    Succeeded,
    Unknown,
)
from pipelines.providers.reloadly_answers import (
    PAGE_ROWS,
    Bought,
    Transaction,
    judge_rows,
    read_cards,
    read_order,
    read_page,
    read_poll,
)
from pipelines.providers.reloadly_token import TokenKeeper
from pipelines.providers.token_store import TokenStore
from pipelines.providers.transport import Answer, VendorTransport

_V1 = "application/com.reloadly.giftcards-v1+json"
#: The second version adds the redemption link to a card.
_V2 = "application/com.reloadly.giftcards-v2+json"
#: The report reads dates as UTC-4 wall clock and writes UTC; this covers both readings.
_REPORT_MARGIN = timedelta(days=1, hours=12)
_REPORT_PAGES_MAX = 5
#: Products asked for at once; more are not given.
_PAGE_PRODUCTS = 200


class ReloadlyProvider:
    """One Reloadly account in one environment; shared by all threads of a process."""

    name: ClassVar[str] = "reloadly"
    resend_is_safe: ClassVar[bool] = False

    def __init__(
        self,
        transport: VendorTransport,
        *,
        auth_url: str,
        base_url: str,
        client_id: str,
        client_secret: str,
        limits: Limits,
        sender_name: str = "Largesse",
        audience: str | None = None,
        tokens: TokenStore | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        self._sender_name = sender_name
        self._limits = limits
        self._clock = clock
        self._tokens = TokenKeeper(
            transport,
            auth_url=auth_url,
            audience=audience or self._base_url,
            client_id=client_id,
            client_secret=client_secret,
            store=tokens,
            clock=clock,
        )

    @property
    def order_deadline_seconds(self) -> float:
        """Bounds the order itself; fetching its card adds `lookup_deadline_seconds` at most."""
        return self._limits.reloadly_order_deadline_seconds

    @property
    def lookup_deadline_seconds(self) -> float:
        return self._limits.vendor_lookup_deadline_seconds

    def place_order(self, request: OrderRequest) -> Outcome:
        """Buy one card; the caller has committed that it is being sent."""
        if not (request.product.isascii() and request.product.isdigit()):
            return Refused("product_unavailable", None)
        order = {
            "productId": int(request.product),
            "quantity": 1,
            "unitPrice": to_amount(request.face_value_minor, request.currency),
            "customIdentifier": request.reference,
            "senderName": self._sender_name,
        }
        deadline = self._clock() + self.order_deadline_seconds
        answer = self._call(
            "POST", "/orders", deadline=deadline, json=order, send_by=request.send_by
        )
        if not isinstance(answer, Answer):
            return answer
        outcome = read_order(answer, request)
        if not isinstance(outcome, Bought):
            return outcome
        return self._with_card(outcome, deadline=self._clock() + self.lookup_deadline_seconds)

    def look_up(self, request: OrderRequest) -> LookUp:
        """What became of our reference. `Absent` means: not in the report as of now."""
        deadline = self._clock() + self.lookup_deadline_seconds
        rows: list[Transaction] = []
        for number in range(1, _REPORT_PAGES_MAX + 1):
            query = _report_query(request, number)
            answer = self._call("GET", "/reports/transactions", deadline=deadline, params=query)
            if not isinstance(answer, Answer):
                return unanswered(answer)
            page = read_page(answer)
            if isinstance(page, Unknown):
                return page
            rows += page.rows
            if page.is_last:
                return self._found(judge_rows(rows, request), deadline=deadline)
        return Unknown("report_too_long")

    def poll(self, request: OrderRequest, vendor_order_id: str) -> LookUp:
        """What became of an order that Reloadly has accepted, by its own id."""
        deadline = self._clock() + self.lookup_deadline_seconds
        path = f"/reports/transactions/{quote(vendor_order_id, safe='')}"
        answer = self._call("GET", path, deadline=deadline)
        if not isinstance(answer, Answer):
            return unanswered(answer)
        return self._found(read_poll(answer, request, vendor_order_id), deadline=deadline)

    def balance(self) -> Balance | Unknown:
        """What the account may still spend."""
        deadline = self._clock() + self.lookup_deadline_seconds
        answer = self._call("GET", "/accounts/balance", deadline=deadline)
        if not isinstance(answer, Answer):
            return unanswered(answer)
        return _read_balance(answer)

    def catalogue(self, page: str | None) -> CataloguePage | Unknown:
        """One page of its products."""
        answer = self._call(
            "GET",
            "/products",
            deadline=self._clock() + self.lookup_deadline_seconds,
            params={"page": page or "1", "size": str(_PAGE_PRODUCTS)},
        )
        return read_reloadly(answer) if isinstance(answer, Answer) else unanswered(answer)

    def _found(self, verdict: LookUp | Bought, *, deadline: float) -> LookUp:
        if not isinstance(verdict, Bought):
            return verdict
        found = self._with_card(verdict, deadline=deadline)
        return Conflicting(found.reason) if isinstance(found, Unknown) else found

    def _with_card(self, bought: Bought, *, deadline: float) -> Succeeded | Accepted | Unknown:
        """The order with its card; a card that cannot be fetched now is owed, not lost."""
        path = f"/orders/transactions/{quote(bought.vendor_order_id, safe='')}/cards"
        answer = self._call("GET", path, deadline=deadline, accept=_V2)
        if isinstance(answer, Answer) and answer.status == 406:
            answer = self._call("GET", path, deadline=deadline)
        cards = read_cards(answer) if isinstance(answer, Answer) else ()
        if not cards:
            return Accepted(bought.vendor_order_id)
        if len(cards) > 1:
            return Unknown("several_cards")
        return Succeeded(
            vendor_order_id=bought.vendor_order_id,
            card=cards[0],
            face_value_minor=bought.face_value_minor,
            currency=bought.currency,
            cost_minor=bought.cost_minor,
            cost_currency=bought.cost_currency,
        )

    def _call(
        self,
        method: str,
        path: str,
        *,
        deadline: float,
        accept: str = _V1,
        json: object = None,
        params: dict[str, str] | None = None,
        send_by: float | None = None,
    ) -> Answer | NoAnswer:
        """One authorised call. A 401 proves that nothing ran, so it is repeated once."""
        for _ in range(2):
            token = self._tokens.token(deadline_seconds=self._token_seconds(deadline))
            if not isinstance(token, str):
                return token
            answer = ask(
                self._transport,
                method,
                self._base_url + path,
                headers={"Accept": accept, "Authorization": f"Bearer {token}"},
                json=json,
                params=params,
                seconds=deadline - self._clock(),
                send_by=send_by,
            )
            if not isinstance(answer, Answer) or answer.status != 401:
                return answer
            self._tokens.discard(token)
        return AuthFailed("token_refused")

    def _token_seconds(self, deadline: float) -> float:
        return min(self.lookup_deadline_seconds, max(0.0, deadline - self._clock()))


def _report_query(request: OrderRequest, page: int) -> dict[str, str]:
    query = {"customIdentifier": request.reference, "page": str(page), "size": str(PAGE_ROWS)}
    if request.sent_at is not None:
        sent_at = request.sent_at.astimezone(UTC)
        query["startDate"] = f"{sent_at - _REPORT_MARGIN:%Y-%m-%d %H:%M:%S}"
        query["endDate"] = f"{sent_at + _REPORT_MARGIN:%Y-%m-%d %H:%M:%S}"
    return query


def _read_balance(answer: Answer) -> Balance | Unknown:
    if answer.status != 200:
        return not_told(answer)
    try:
        body = decode_json(answer.body)
        if isinstance(body, dict) and isinstance(currency := body.get("currencyCode"), str):
            return Balance(to_minor_floor(body.get("balance"), currency), currency)
    except Unreadable:
        pass
    return Unknown("unreadable_answer")
