"""Tango's items: what may be ordered, at which values, and which credentials come."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

ACCOUNT_CURRENCY = "USD"
#: Account currency for one unit of the card's currency.
RATES = {"USD": Decimal(1), "EUR": Decimal("1.08515"), "JPY": Decimal("0.006712")}


@dataclass(frozen=True, slots=True)
class Item:
    """`fixed` says the one face value, or `least` and `most` the range of them."""

    utid: str
    name: str
    currency: str
    country: str
    #: Label, type and credentialType of each credential, in the order in which they come.
    credentials: tuple[tuple[str, str, str], ...]
    fixed: Decimal | None = None
    least: Decimal = Decimal(0)
    most: Decimal = Decimal(0)
    is_whole: bool = False
    #: Flat, in the account's currency.
    fee: Decimal = Decimal(0)
    #: Refused for now with 503.002, which says nothing about other items.
    is_unavailable: bool = False

    @property
    def rate(self) -> Decimal:
        return RATES[self.currency]

    def neighbour(self, amount: Decimal) -> Decimal:
        """Another face value, for an order that goes wrong."""
        return amount + 1 if self.fixed is not None or amount + 1 <= self.most else amount - 1


_NUMBER_PIN_LINK = (
    ("Gift Card Number", "text", "cardNumber"),
    ("PIN", "text", "PIN"),
    ("Redemption URL", "url", "redemptionUrl"),
)
_CLAIM = (("Claim Code", "text", "claimCode"), ("Expires", "date", "expirationDate"))
_LINK = (("Redeem here", "url", "redemptionUrl"),)

ITEMS = {
    item.utid: item
    for item in (
        Item("U120000", "Delta Market US", "USD", "US", _NUMBER_PIN_LINK, least=Decimal(1), most=Decimal(500)),
        Item("U120025", "Delta Games US", "USD", "US", _CLAIM, fixed=Decimal(25)),
        Item("U130000", "Delta Market DE", "EUR", "DE", _LINK, least=Decimal(1), most=Decimal(250), fee=Decimal("0.15")),
        Item("U140000", "Delta Market JP", "JPY", "JP", _CLAIM, least=Decimal(100), most=Decimal(50_000), is_whole=True),
        Item("U150300", "Delta Rare US", "USD", "US", _CLAIM, least=Decimal(1), most=Decimal(500), is_unavailable=True),
    )
}  # fmt: skip


def catalogue() -> dict[str, Any]:
    """`GET /catalogs`: brands with their items."""
    brands: dict[str, dict[str, Any]] = {}
    for item in ITEMS.values():
        name = item.name.rsplit(" ", 1)[0]
        entry = brands.setdefault(name, _brand(name))
        entry["items"].append(_item_record(item))
    return {"catalogName": "Largesse Sandbox", "brands": list(brands.values())}


def _brand(name: str) -> dict[str, Any]:
    return {
        "brandKey": f"B{sum(map(ord, name)):06d}",
        "brandName": name,
        "disclaimer": "",
        "terms": "",
        "imageUrls": {},
        "status": "active",
        "items": [],
    }


def _item_record(item: Item) -> dict[str, Any]:
    record: dict[str, Any] = {
        "utid": item.utid,
        "rewardName": item.name,
        "currencyCode": item.currency,
        "status": "active",
        "valueType": "VARIABLE_VALUE" if item.fixed is None else "FIXED_VALUE",
        "rewardType": "gift card",
        "isWholeAmountValueRequired": item.is_whole,
        "credentialTypes": [kind for _label, _type, kind in item.credentials],
        "countries": [item.country],
        "fee": {"type": "FLAT", "value": item.fee},
        "redemptionInstructions": "Enter the code at the checkout.",
    }
    if item.fixed is None:
        return record | {"minValue": item.least, "maxValue": item.most}
    return record | {"faceValue": item.fixed}
