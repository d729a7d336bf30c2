"""Judge one recipient, from a CSV row or a JSON body: the same words, rules and codes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipelines.currencies import exponent
from pipelines.errors import FieldError
from pipelines.jobs.addresses import Email, read_email, read_phone
from pipelines.jobs.cells import (
    FORBIDDEN_CONTROLS,
    FORBIDDEN_IN_IDENTIFIERS,
    ILLEGAL_CHARACTER,
    NOT_AN_AMOUNT,
    NOT_POSITIVE,
    CellProblem,
    read_decimal,
    read_minor,
)
from pipelines.jobs.csv_reader import ColumnRules

COLUMNS = ColumnRules(
    required=(),
    optional=("reference", "email", "name", "phone", "denomination_minor", "amount", "brand"),
)
#: Columns of our own results file: a results file can be uploaded again as it is.
OUTCOME_COLUMNS = (
    *("row", "state", "error_code", "error_detail", "source", "result_reference"),
    *("delivery_state", "undone_at"),
)
NAME_CHARACTERS_MAX = 200
REFERENCE_CHARACTERS_MAX = 255
BRAND_CHARACTERS_MAX = 200
#: A line break that begins a mail header is an attack, not a name.
_MAIL_HEADER = re.compile(r"[\r\n]\s*[!-9;-~]+\s*:")

REQUIRED = CellProblem("required", "This value is required.")
NAMELESS = CellProblem("required", "Give an e-mail address, a phone number or a reference.")
TOO_LONG = CellProblem("too_long", f"At most {NAME_CHARACTERS_MAX} characters.")
REFERENCE_TOO_LONG = CellProblem(
    "external_id_length", f"A reference has at most {REFERENCE_CHARACTERS_MAX} characters."
)
TWO_AMOUNTS = CellProblem("invalid_amount", "Give `amount` or `denomination_minor`, not both.")


class DeliveryMethod(StrEnum):
    """How the recipient gets the card."""

    EMAIL = "email"
    SMS = "sms"
    NONE = "none"


class Warn(StrEnum):
    """What a person should look at before submitting; the row itself is accepted."""

    CONFUSABLE_ADDRESS = "confusable_address"
    PLUS_ADDRESS = "plus_address"


#: Each warning as a sentence; none shows the address.
WARNINGS = {
    Warn.CONFUSABLE_ADDRESS: "The address mixes letters of scripts that look alike; check it.",
    Warn.PLUS_ADDRESS: "The address has a tag after its plus; the person may be listed twice.",
}


@dataclass(frozen=True, slots=True)
class RecipientRules:
    """What the request as a whole says; a row may name its own denomination and brand."""

    delivery_method: DeliveryMethod
    currency: str
    default_denomination_minor: int | None = None
    default_brand: str | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """One accepted recipient; empty cells are None, text is as given."""

    reference: str | None
    email: str | None
    name: str | None
    phone: str | None
    denomination_minor: int
    brand: str
    warnings: tuple[Warn, ...] = ()


def file_columns(rules: RecipientRules) -> ColumnRules:
    """The columns of a recipient file under these rules; those of our own results may stand in it."""
    by_method = {DeliveryMethod.EMAIL: ("email",), DeliveryMethod.SMS: ("phone",)}
    required = by_method.get(rules.delivery_method, ())
    known = (*COLUMNS.optional, *OUTCOME_COLUMNS)
    return ColumnRules(required, tuple(name for name in known if name not in required))


def check_recipient(
    cells: Mapping[str, str | int | None],
    *,
    rules: RecipientRules,
    row: int | None = None,
    pointer: str = "",
) -> Recipient | tuple[FieldError, ...]:
    """The recipient, or everything wrong with it, placed by CSV `row` or JSON `pointer`."""
    problems: dict[str, CellProblem] = {}
    reference = _reference(_text(cells, "reference"), problems)
    email = _email(_text(cells, "email"), rules, problems)
    name = _name(_text(cells, "name"), problems)
    phone = _phone(_text(cells, "phone"), rules, problems)
    denomination_minor = _denomination(cells, rules, problems)
    brand = _brand(_text(cells, "brand"), rules, problems)
    if not (problems or email or phone or reference):
        problems["reference"] = NAMELESS
    if problems:
        return tuple(
            FieldError(p.code, p.detail, pointer=f"{pointer}/{field}", row=row, field=field)
            for field, p in problems.items()
        )
    warnings = _warnings(email) if email else ()
    address = email.address if email else None
    return Recipient(reference, address, name, phone, denomination_minor, brand, warnings)


def what_was_asked(cells: Mapping[str, str | int | None], rules: RecipientRules) -> tuple[int, str]:
    """Denomination (minor units, zero if refused) and brand of a row, whatever else is wrong with it."""
    ignored: dict[str, CellProblem] = {}
    brand = _brand(_text(cells, "brand"), rules, ignored)
    return _denomination(cells, rules, ignored), brand


def _text(cells: Mapping[str, str | int | None], field: str) -> str:
    value = cells.get(field)
    return value if isinstance(value, str) else "" if value is None else str(value)


def _reference(text: str, problems: dict[str, CellProblem]) -> str | None:
    if len(text) > REFERENCE_CHARACTERS_MAX:
        problems["reference"] = REFERENCE_TOO_LONG
    elif not text.isprintable() and _breaks_identifier(text):
        problems["reference"] = ILLEGAL_CHARACTER
    return text or None


def _breaks_identifier(text: str) -> bool:
    return bool(FORBIDDEN_IN_IDENTIFIERS.search(text)) or not {"\t", "\r", "\n"}.isdisjoint(text)


def _email(text: str, rules: RecipientRules, problems: dict[str, CellProblem]) -> Email | None:
    if not text.strip(" "):
        if rules.delivery_method is DeliveryMethod.EMAIL:
            problems["email"] = REQUIRED
        return None
    email = read_email(text)
    if isinstance(email, CellProblem):
        problems["email"] = email
        return None
    return email


def _name(text: str, problems: dict[str, CellProblem]) -> str | None:
    """Free text is kept verbatim, line separators included; only what is never text is refused."""
    if len(text) > NAME_CHARACTERS_MAX:
        problems["name"] = TOO_LONG
    elif not text.isprintable() and (FORBIDDEN_CONTROLS.search(text) or _MAIL_HEADER.search(text)):
        problems["name"] = ILLEGAL_CHARACTER
    return text or None


def _phone(text: str, rules: RecipientRules, problems: dict[str, CellProblem]) -> str | None:
    must_ring = rules.delivery_method is DeliveryMethod.SMS
    text = text.strip(" ")
    if not text:
        if must_ring:
            problems["phone"] = REQUIRED
        return None
    phone = read_phone(text, must_ring=must_ring)
    if isinstance(phone, CellProblem):
        problems["phone"] = phone
        return None
    return phone


def _denomination(
    cells: Mapping[str, str | int | None], rules: RecipientRules, problems: dict[str, CellProblem]
) -> int:
    """The row's own denomination, else the request's; zero stands for a refused one."""
    minor, amount = cells.get("denomination_minor"), cells.get("amount")
    field = "amount" if amount not in {None, ""} else "denomination_minor"
    if field == "amount":
        value = _amount(amount, rules) if minor in {None, ""} else TWO_AMOUNTS
    elif minor is not None and minor != "":
        value = read_minor(minor)
    elif rules.default_denomination_minor is not None:
        return rules.default_denomination_minor
    else:
        value = REQUIRED
    if value == 0:
        value = NOT_POSITIVE
    if isinstance(value, CellProblem):
        problems[field] = value
        return 0
    return value


def _amount(amount: str | int | None, rules: RecipientRules) -> int | CellProblem:
    """Decimals are text; a JSON number under this name has no stated unit and is refused."""
    if not isinstance(amount, str):
        return NOT_AN_AMOUNT
    return read_decimal(amount, exponent=exponent(rules.currency))


def _brand(text: str, rules: RecipientRules, problems: dict[str, CellProblem]) -> str:
    brand = text.strip(" ") or rules.default_brand
    if brand is None:
        problems["brand"] = REQUIRED
        return ""
    if len(brand) > BRAND_CHARACTERS_MAX:
        problems["brand"] = TOO_LONG
    elif not brand.isprintable():
        problems["brand"] = ILLEGAL_CHARACTER
    return brand


def _warnings(email: Email) -> tuple[Warn, ...]:
    tagged = "+" in email.address.partition("@")[0]
    return (Warn.CONFUSABLE_ADDRESS,) * email.is_confusable + (Warn.PLUS_ADDRESS,) * tagged
