"""A sample cart beside the form of a discount code: priced by the very rule of the checkout: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pipelines.currencies import is_accepted
from pipelines.discounts.cart import QUANTITY_MAX, SKU_CHARACTERS_MAX, Cart, Line
from pipelines.discounts.pricing import Quote, QuotedLine
from pipelines.discounts.rules import DiscountRules, price, refuse_window
from pipelines.errors import Refusal
from pipelines.jobs.cells import FORBIDDEN_CONTROLS
from web.console.discount_amounts import amount_of
from web.console.formats import decimal_of, money, number

#: Lines that the form has room for.
LINES = (1, 2, 3)
FIELDS = (
    "cart_currency",
    *(f"cart_{part}_{place}" for place in LINES for part in ("sku", "quantity", "price")),
)
SAMPLE_MINOR = 10_000
SAMPLE_CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class LineWords:
    """One line of the sample cart with the code."""

    sku: str
    quantity: str
    price: str
    discount: str
    left: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What the code does to the cart in words, or why it would be refused."""

    lines: list[LineWords]
    subtotal: str
    discount: str
    total: str
    refusal: str
    #: What the checkout says at this moment, whatever the cart.
    now: str


def offered_cart(rules: DiscountRules | None = None) -> dict[str, str]:
    """A cart with one line that the code is for."""
    currency = (rules.currency if rules else None) or SAMPLE_CURRENCY
    sku = rules.products[0] if rules and rules.products else ""
    sample = dict.fromkeys(FIELDS, "")
    sample |= {"cart_currency": currency, "cart_sku_1": sku, "cart_quantity_1": "1"}
    return sample | {"cart_price_1": decimal_of(SAMPLE_MINOR, currency)}


def read_cart(
    typed: Mapping[str, str], rules: DiscountRules, errors: dict[str, str]
) -> Cart | None:
    """The cart that was typed; None for one that is wrong, with why in `errors`."""
    currency = typed["cart_currency"].upper() or rules.currency or SAMPLE_CURRENCY
    if not is_accepted(currency):
        errors["cart_currency"] = "Give a currency of ISO 4217, such as USD."
        return None
    wrong = dict[str, str]()
    lines = [_line(place, typed, currency, wrong) for place in LINES]
    found = tuple(line for line in lines if line is not None)
    if not found and not wrong:
        wrong["cart_price_1"] = "Give the price of something in the cart."
    errors.update(wrong)
    return None if wrong else Cart("sample", currency, found)


def preview(rules: DiscountRules, cart: Cart, now: datetime) -> Preview:
    """The cart with the code, as a first purchase, whatever the code's time is."""
    window = refuse_window(rules, now)
    told = window.detail if window is not None else ""
    priced = price(rules, cart, None, is_first_order=True)
    if isinstance(priced, Refusal):
        subtotal = money(cart.subtotal_minor, cart.currency)
        return Preview([], subtotal, "", subtotal, priced.detail, told)
    return Preview(
        [_words(line, priced) for line in priced.lines],
        money(priced.subtotal_minor, priced.currency),
        money(priced.discount_minor, priced.currency),
        money(priced.total_minor, priced.currency),
        "",
        told,
    )


def _line(
    place: int, typed: Mapping[str, str], currency: str, wrong: dict[str, str]
) -> Line | None:
    sku, quantity = typed[f"cart_sku_{place}"], typed[f"cart_quantity_{place}"] or "1"
    text = typed[f"cart_price_{place}"]
    if not text and not sku:
        return None
    field = f"cart_price_{place}"
    if not text:
        wrong[field] = "Give the price of one."
    unit = amount_of(field, text, currency, wrong)
    if len(sku) > SKU_CHARACTERS_MAX or FORBIDDEN_CONTROLS.search(sku):
        wrong[f"cart_sku_{place}"] = "A product is named by ordinary characters."
    is_number = quantity.isascii() and quantity.isdigit() and len(quantity) <= len("10000")
    if not is_number or not 1 <= int(quantity) <= QUANTITY_MAX:
        wrong[f"cart_quantity_{place}"] = f"Give a whole number from 1 to {QUANTITY_MAX:,}."
        return None
    return None if unit is None else Line(sku, int(quantity), unit)


def _words(line: QuotedLine, whole: Quote) -> LineWords:
    return LineWords(
        line.sku or "Any product",
        number(line.quantity),
        money(line.gross_minor, whole.currency),
        money(line.discount_minor, whole.currency),
        money(line.net_minor, whole.currency),
    )
