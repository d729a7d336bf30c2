"""The fields of a partner: read and checked as they were typed, and shown as they are.

Its offers are rows of a form, and one text where the form is compared with what is there now.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any
from uuid import UUID

from flask import request
from marshmallow import ValidationError
from sqlalchemy import Row

from pipelines.errors import FieldError
from pipelines.partners.origins import ORIGIN_CHARACTERS_MAX, ORIGINS_MAX
from pipelines.partners.rules import (
    DESCRIPTION_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    OFFERS_MAX,
    TITLE_CHARACTERS_MAX,
    OfferWanted,
    PartnerWanted,
)
from web.console.typed import id_in, typed_fields
from web.fields import Text

#: What the form says of a partner, in one text each.
FIELDS = ("name", "time_zone", "origins", "offers")
OFFERED = {"name": "", "time_zone": "UTC", "origins": "", "offers": ""}
#: Rows for offers that are not there yet, as long as there may be more.
BLANK_ROWS = 3
ORIGINS_CHARACTERS_MAX = 2 * ORIGINS_MAX * ORIGIN_CHARACTERS_MAX
NO_BOOK = "Choose the book whose coupons are offered, or leave the whole line empty."
_SPACES = re.compile(r"[\t\n\v\f\r]")


@dataclass(frozen=True, slots=True)
class OfferRow:
    """An offer as its row of the form holds it."""

    book: str = ""
    title: str = ""
    description: str = ""


def typed_partner(*names: str) -> dict[str, str]:
    """What stands in the form that was sent; offers in the order that their places say."""
    typed = typed_fields("name", "time_zone", *names)
    typed["origins"] = request.form.get("origins", "").strip()[:ORIGINS_CHARACTERS_MAX]
    typed["offers"] = _as_text(_typed_rows())
    return typed


def offer_rows(offers: str, *, blank: int = BLANK_ROWS) -> list[OfferRow]:
    """The rows of the form: an offer each, and some for more."""
    rows = [OfferRow(*line.split("\t")) for line in offers.split("\n") if line]
    return [*rows, *[OfferRow()] * blank][: max(OFFERS_MAX, len(rows))]


def read_partner(typed: Mapping[str, str], errors: dict[str, str]) -> PartnerWanted:
    """The partner that was typed; what is wrong is put into `errors`, by field."""
    _check_line("name", typed["name"], NAME_CHARACTERS_MAX, errors)
    offers = []
    for place, row in enumerate(offer_rows(typed["offers"], blank=0), 1):
        book_id = id_in(row.book)
        if book_id is None:
            errors[f"offer_{place}_book"] = NO_BOOK
        _check_line(f"offer_{place}_title", row.title, TITLE_CHARACTERS_MAX, errors)
        described = f"offer_{place}_description"
        _check_line(described, row.description, DESCRIPTION_CHARACTERS_MAX, errors, least=0)
        offers.append(OfferWanted(book_id or UUID(int=0), row.title, row.description))
    origins = typed["origins"].split()
    if len(origins) > ORIGINS_MAX:
        errors["origins"] = f"At most {ORIGINS_MAX} sites."
    return PartnerWanted(typed["name"], typed["time_zone"], origins, offers)


def shown_partner(row: Row[Any], offers: Sequence[Row[Any]]) -> dict[str, str]:
    """What the fields hold of a partner as it is."""
    rows = [OfferRow(str(one.book_id), one.title, one.description) for one in offers]
    return {
        "name": row.name,
        "time_zone": row.time_zone,
        "origins": "\n".join(row.origins),
        "offers": _as_text(rows),
    }


def partner_errors(errors: Sequence[FieldError]) -> dict[str, str]:
    """The errors of a partner at the fields of the form; of several sites with their lines."""
    found: dict[str, str] = {}
    for one in errors:
        field, _, rest = (one.pointer or "").lstrip("/").partition("/")
        place = int(rest.partition("/")[0]) + 1 if rest else 0
        if field == "origins":
            told = f"Site {place}: {one.detail}"
            found[field] = f"{found[field]} {told}" if field in found else told
        elif field == "offers":
            found[f"offer_{place}_book"] = one.detail
        else:
            found[field] = one.detail
    return found


def _check_line(
    field: str, text: str, longest: int, errors: dict[str, str], *, least: int = 1
) -> None:
    """As the API takes it."""
    try:
        Text(longest=longest, least=least).deserialize(text)
    except ValidationError as error:
        errors[field] = str(error.messages[0]).partition("|")[2]


def _typed_rows() -> list[OfferRow]:
    """The rows that say something, by their places: who moves one goes before who stays there."""
    rows = []
    for number in range(1, OFFERS_MAX + 1):
        given = typed_fields(*(f"offer_{number}_{part}" for part in ("book", "place", "off")))
        row = OfferRow(given[f"offer_{number}_book"], _line(number, "title"), _said(number))
        if any(astuple(row)) and not given[f"offer_{number}_off"]:
            rows.append((_order(given[f"offer_{number}_place"], number), row))
    return [row for _order_of, row in sorted(rows, key=lambda one: one[0])]


def _order(place: str, number: int) -> tuple[int, int, int]:
    """Where the row goes: to the place that was typed, before or after who has been there."""
    is_place = place.isascii() and place.isdigit() and len(place) <= 2
    wanted = int(place) if is_place else number
    moved = (wanted > number) - (wanted < number)
    return wanted, moved, number


def _said(number: int) -> str:
    return _line(number, "description", DESCRIPTION_CHARACTERS_MAX)


def _line(number: int, part: str, longest: int = TITLE_CHARACTERS_MAX) -> str:
    """One line; a character more than may be, so that what is too long is refused and not cut."""
    text = request.form.get(f"offer_{number}_{part}", "")
    return _SPACES.sub(" ", text).strip()[: longest + 1]


def _as_text(rows: Sequence[OfferRow]) -> str:
    return "\n".join("\t".join(astuple(row)) for row in rows)
