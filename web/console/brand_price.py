"""Set and end a brand's prices by forms; the same verbs as the API."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from pipelines.access.permissions import Permission
from pipelines.errors import NotFound
from pipelines.jobs.cells import CellProblem, read_decimal
from pipelines.pricing.read import price_in_place, price_row
from pipelines.pricing.rules import CHARGE_BP_MAX
from pipelines.pricing.set_price import PriceMoved, ShownPrice, end_price, set_price
from pipelines.tenants import brands, clients
from web.console.amounts import amount_of, typed_amount
from web.console.brand_words import charge_words, value_words, whose_words
from web.console.brands import home_of, place_of
from web.console.changes import Change, Line, agree, form_page, shown_again
from web.console.person_form import offered_clients, typed_client
from web.console.typed import id_in
from web.console.visit import looking
from web.guards import permitted, principal

TITLE = "Set a price"
#: The hidden field that names the price which was shown; empty for none.
REPLACES = "replaces"
BY = {"share": "A share of the face value", "amount": "An amount"}
FIELDS = ("client_id", "other_client_id", "value", "by", "share", "amount")


def add_pages(console: Blueprint) -> None:
    home = "/brands/<uuid:brand_id>"
    end = f"{home}/prices/<uuid:price_id>/end"
    console.add_url_rule(f"{home}/price", "brand_price", ask, methods=["GET"])
    console.add_url_rule(f"{home}/price", "brand_price_now", take, methods=["POST"])
    console.add_url_rule(end, "brand_price_end", end_shown, methods=["GET"])
    console.add_url_rule(end, "brand_price_end_now", end_now, methods=["POST"])


@permitted(Permission.BRANDS_MANAGE)
def ask(brand_id: UUID) -> Response:
    return _form(_brand(brand_id), {"by": "share"}, {})


@permitted(Permission.BRANDS_MANAGE)
def take(brand_id: UUID) -> Response:
    """Show the price beside the one it takes the place of; set it when that was agreed to."""
    brand, errors = _brand(brand_id), dict[str, str]()
    typed = {name: typed_amount(name) for name in FIELDS}
    client_id = _client(*typed_client(typed), errors)
    value = amount_of("value", brand.currency, errors, may_be_empty=True)
    if value == 0:
        errors["value"] = "Leave it empty for all values, or give one above zero."
    amount, share = _charge(typed, value, brand.currency, errors)
    if errors:
        return _form(brand, typed, errors)
    act = partial(
        _set,
        brand_id=brand_id,
        client_id=client_id,
        denomination_minor=value,
        charge_minor=amount,
        charge_bp=share,
    )
    setting = partial(_setting, brand, client_id, value, amount, share, act)
    try:
        return _answered(agree, brand, setting(), typed)
    except PriceMoved:
        return _answered(shown_again, brand, setting(), typed)


@permitted(Permission.BRANDS_MANAGE)
def end_shown(brand_id: UUID, price_id: UUID) -> Response:
    return _ended(brand_id, price_id)


@permitted(Permission.BRANDS_MANAGE)
def end_now(brand_id: UUID, price_id: UUID) -> Response:
    """End the price when that was agreed to."""
    return _ended(brand_id, price_id)


def _ended(brand_id: UUID, price_id: UUID) -> Response:
    brand = _brand(brand_id)
    with looking() as session:
        price = price_row(session, brand_id, price_id)
        names = clients.client_names(session, [price.client_id] if price.client_id else [])
    if price.ended_at is not None and "agreed" not in request.form:
        raise NotFound
    now = charge_words(price.charge_minor, price.charge_bp, brand.currency)
    whose = whose_words(price.client_id, names)
    which = value_words(price.denomination_minor, brand.currency)
    change = Change(
        "End a price",
        (Line(f"{whose}: {which}", now, "The next price that fits, or the face value"),),
        "What was accepted before keeps its charge.",
        "End the price",
        home_of(brand, "ended"),
        "price",
        partial(_end, brand_id=brand_id, price_id=price_id),
        is_ending=True,
    )
    return agree(place_of(brand), change, {})


def _answered(
    answer: Callable[..., Response],
    brand: Row[Any],
    setting: tuple[Change, UUID | None],
    typed: dict[str, str],
) -> Response:
    """Ask, naming the price that is shown as the one of now: no other is replaced."""
    change, replaced = setting
    fields = typed | {REPLACES: str(replaced or "")}
    return answer(place_of(brand), change, fields)


def _setting(
    brand: Row[Any],
    client_id: UUID | None,
    value: int | None,
    amount: int | None,
    share: int | None,
    act: Any,
) -> tuple[Change, UUID | None]:
    """The change as it would be now, and the id of the price it replaces."""
    with looking() as session:
        before = price_in_place(session, brand.id, client_id, value)
        names = clients.client_names(session, [client_id] if client_id else [])
    now = "No price of its own: the next that fits, or the face value"
    if before:
        now = charge_words(before.charge_minor, before.charge_bp, brand.currency)
    whose, which = whose_words(client_id, names), value_words(value, brand.currency)
    then = charge_words(amount, share, brand.currency)
    change = Change(
        TITLE,
        (Line(f"{whose}: {which}", now, then),),
        "It counts for what is accepted from now on; what was accepted before keeps its charge.",
        "Set the price",
        home_of(brand, "price"),
        "price",
        act,
    )
    return change, before.id if before else None


def _set(session: Session, reason: str, **values: Any) -> UUID:
    actor_id = principal().actor_id
    shown, now = ShownPrice(id_in(request.form.get(REPLACES, ""))), clock.now(session)
    return set_price(session, reason=reason, actor_id=actor_id, now=now, shown=shown, **values)


def _end(session: Session, reason: str, *, brand_id: UUID, price_id: UUID) -> UUID:
    actor_id, now = principal().actor_id, clock.now(session)
    end_price(session, brand_id, price_id, reason=reason, actor_id=actor_id, now=now)
    return price_id


def _charge(
    typed: dict[str, str], value: int | None, currency: str, errors: dict[str, str]
) -> tuple[int | None, int | None]:
    """The amount in minor units or the share in basis points, as was chosen."""
    if typed["by"] == "amount":
        if value is None and "value" not in errors:
            errors["value"] = "An amount is for cards of one value: say which."
        return amount_of("amount", currency, errors, may_be_empty=False), None
    if typed["by"] != "share":
        errors["by"] = "Choose how the price is said."
        return None, None
    share = read_decimal(typed["share"], exponent=2)
    if isinstance(share, CellProblem) or not 1 <= share <= CHARGE_BP_MAX:
        errors["share"] = "Give a share from 0.01 to 1000, such as 103 or 97.5."
        return None, None
    return None, share


def _client(field: str, typed: str, errors: dict[str, str]) -> UUID | None:
    if not typed:
        return None
    try:
        chosen = UUID(typed)
        with looking() as session:
            clients.client(session, chosen)
    except (ValueError, NotFound):
        errors[field] = "Choose everybody, or a client."
        return None
    return chosen


def _brand(brand_id: UUID) -> Row[Any]:
    with looking() as session:
        return brands.brand(session, brand_id)[0]


def _form(brand: Row[Any], typed: dict[str, str], errors: dict[str, str]) -> Response:
    facts: dict[str, Any] = {"brand": brand, "ways": BY.items(), **offered_clients(principal())}
    return form_page("brand_price.html", place_of(brand), TITLE, typed, errors, **facts)
