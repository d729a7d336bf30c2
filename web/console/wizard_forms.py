"""Read the wizard's first form, and keep what was typed when something in it is wrong: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.currencies import exponent
from pipelines.jobs.cells import CellProblem, read_decimal
from pipelines.provisioning.choices import Offer
from pipelines.provisioning.drafts import Choices
from web.console.delivery_ways import DeliveryWay, chosen_way
from web.console.formats import decimal_of
from web.console.typed import id_in


@dataclass(frozen=True, slots=True)
class WhatForm:
    """The first step as typed: texts, and what is wrong by field."""

    campaign_id: str = ""
    brand_id: str = ""
    amount: str = ""
    delivery_method: str = ""
    errors: dict[str, str] = field(default_factory=dict)


def typed(form: Mapping[str, str]) -> WhatForm:
    """What stands in the fields, cut to sane lengths."""
    return WhatForm(
        campaign_id=form.get("campaign_id", "")[:36],
        brand_id=form.get("brand_id", "")[:36],
        amount=form.get("amount", "").strip()[:32],
        delivery_method=form.get("delivery_method", "")[:16],
    )


def read_what(
    what: WhatForm, offered: Offer, ways: Sequence[DeliveryWay]
) -> Choices | dict[str, str]:
    """The choices, or a sentence for each field that is wrong."""
    errors: dict[str, str] = {}
    campaign = offered.campaign(id_in(what.campaign_id))
    brand = offered.brand(id_in(what.brand_id))
    if campaign is None:
        errors["campaign_id"] = "Choose the campaign that pays for the cards."
    if brand is None:
        errors["brand_id"] = "Choose the brand of the cards."
    amount = None
    if what.amount and brand is not None:
        amount = _amount(what.amount, brand.currency, errors)
    method = chosen_way(what.delivery_method, ways, errors)
    if errors or campaign is None or brand is None or method is None:
        return errors
    return Choices(campaign.id, brand.id, amount, method)


def what_of(choices: Choices, offered: Offer) -> WhatForm:
    """The form filled in with earlier choices, so that going back loses nothing."""
    brand = offered.brand(choices.brand_id)
    amount = ""
    if choices.denomination_minor is not None and brand is not None:
        amount = decimal_of(choices.denomination_minor, brand.currency)
    return WhatForm(
        campaign_id=str(choices.campaign_id),
        brand_id=str(choices.brand_id),
        amount=amount,
        delivery_method=choices.delivery_method.value,
    )


def _amount(text: str, currency: str, errors: dict[str, str]) -> int | None:
    value = read_decimal(text, exponent=exponent(currency))
    if isinstance(value, CellProblem):
        errors["amount"] = value.detail
        return None
    if value == 0:
        errors["amount"] = "The amount must be more than zero."
        return None
    return value
