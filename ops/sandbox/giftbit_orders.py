"""Judge Giftbit order requests, and write orders and gifts the way Giftbit does."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

from ops.sandbox.giftbit_catalogue import BRANDS, Brand, fees
from ops.sandbox.giftbit_door import Refused, malformed
from ops.sandbox.giftbit_faults import CREATING
from ops.sandbox.marks import MARK
from ops.sandbox.orderbook import AWAITING_FUNDS, SUCCESSFUL, Card, Order
from ops.sandbox.wire import read_json

LINKS_MAX = 100
#: Every date in its answers and filters is on this wall clock.
PACIFIC = timezone(timedelta(hours=-8))
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
_HIDDEN_WHEN_BARE = ("price_in_cents", "link_count", "fees")


@dataclass(frozen=True, slots=True)
class Wanted:
    brand: Brand
    price_in_cents: int
    reference: str
    links: int
    expiry: str | None


def judge_order(body: bytes) -> Wanted:
    """Read an order of direct links, or refuse it before anything is executed."""
    fields = _fields(body)
    reference, cents = fields.get("id"), fields.get("price_in_cents")
    if not isinstance(reference, str) or not reference:
        raise malformed("id is required")
    if type(cents) is not int:
        raise malformed("price_in_cents is required")
    links = fields.get("link_count", 1)
    if type(links) is not int or not 1 <= links <= LINKS_MAX:
        raise malformed("link_count must be from 1 to 100")
    return Wanted(_brand(fields, cents), cents, reference, links, _expiry(fields))


def order_facts(wanted: Wanted, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What stays the same on an order's record for good, and what was asked for."""
    return {
        "asked": asked,
        "price_in_cents": wanted.price_in_cents,
        "brand_codes": [wanted.brand.code],
        "expiry": wanted.expiry,
        "link_count": wanted.links,
        "fees": fees(wanted.brand, wanted.price_in_cents),
    }


def order_record(order: Order, *, is_new: bool = False, is_bare: bool = False) -> dict[str, Any]:
    """The campaign, as Giftbit calls an order; one just begun is being made whatever comes."""
    facts = {name: value for name, value in order.facts.items() if name != "asked"}
    if is_bare:
        facts = {name: value for name, value in facts.items() if name not in _HIDDEN_WHEN_BARE}
    is_made = order.status == SUCCESSFUL
    status = ("CAMPAIGN_CREATED" if not is_new else CREATING) if is_made else order.status
    return {
        "company_name": "Largesse",
        "message": "Here is your reward!",
        "subject": None,
        "contacts": None,
        **facts,
        "status": status,
        "uuid": uuid_of(order),
        "suppress_default_greeting": False,
        "delivery_type": "DIRECT_LINK",
        "id": order.reference,
    }


def info_of_new(order: Order) -> tuple[str, str, str]:
    """What the answer to an order says of it: taken, and whether money is missing."""
    if order.status == AWAITING_FUNDS:
        told = "The order will be sent when funds are added"
        return "INFO_CAMPAIGN_CREATED_FUNDS_REQUIRED", "Funds Required", told
    return "INFO_CAMPAIGN_CREATED", "Campaign Created", "Campaign creation has begun."


def gift_record(order: Order) -> dict[str, Any]:
    """The one gift of an order, its dates on the Pacific's clock."""
    moment = datetime.fromtimestamp(order.created_at, PACIFIC).strftime(TIME_FORMAT)
    return {
        "uuid": f"{order.transaction_id:031x}f",
        "campaign_uuid": uuid_of(order),
        "delivery_status": "LINKCREATED",
        "status": "SENT_AND_REDEEMABLE",
        "redelivery_count": 0,
        "campaign_id": order.reference,
        "price_in_cents": order.facts["price_in_cents"],
        "brand_code": order.facts["brand_codes"][0],
        "created_date": moment,
        "delivery_date": moment,
    }


def uuid_of(order: Order) -> str:
    """Tells itself from a client's id, which may be 32 hex characters too, by its beginning."""
    return f"{order.transaction_id:032x}"


def number_of(uuid: str) -> int | None:
    """The order's number, if this is one of Giftbit's own ids."""
    try:
        return int(uuid, 16) if len(uuid) == 32 and uuid.startswith("0" * 16) else None
    except ValueError:
        return None


def new_link() -> Card:
    """A link nobody had before; whoever has it can claim the gift."""
    return Card(f"dl-{MARK}{base64.b32encode(secrets.token_bytes(20)).decode()}", "")


def link_of(card: Card) -> str:
    return f"https://reward.example/getReward/{card.number}"


def pacific_time(text: str | None) -> float | None:
    """A filter's moment; None if there is none."""
    if text is None:
        return None
    try:
        return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=PACIFIC).timestamp()
    except ValueError as error:
        raise malformed("Dates are written yyyy-MM-dd HH:mm:ss") from error


def _fields(body: bytes) -> Mapping[str, Any]:
    try:
        fields = read_json(body)
    except ValueError as error:
        raise malformed("The body is not JSON") from error
    if not isinstance(fields, dict):
        raise malformed("The body is not an object")
    return fields


def _brand(fields: Mapping[str, Any], cents: int) -> Brand:
    codes = fields.get("brand_codes")
    if not isinstance(codes, list) or len(codes) != 1:
        raise malformed("The sandbox sells one brand at a time: brand_codes needs one")
    brand = BRANDS.get(codes[0])
    if brand is None or not brand.sells(cents):
        told = "not valid or not available for the given price"
        message = f"brand_code: {codes[0]} - price_in_cents: {cents} - The brand_code is {told}"
        raise Refused(422, "ERROR_CAMPAIGN_INVALID_BRAND", message)
    return brand


def _expiry(fields: Mapping[str, Any]) -> str | None:
    expiry = fields.get("expiry")
    if expiry is None:
        return None
    try:
        return date.fromisoformat(expiry).isoformat()
    except (TypeError, ValueError) as error:
        raise Refused(422, "ERROR_CAMPAIGN_INVALID_EXPIRY", "expiry is no date") from error
