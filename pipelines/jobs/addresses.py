"""Judge one e-mail address and one phone number; make the key that stands for a person."""

import hashlib
import hmac
import re
import unicodedata
from dataclasses import dataclass

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from pipelines.jobs.cells import FORBIDDEN_IN_IDENTIFIERS, ILLEGAL_CHARACTER, CellProblem

#: Ordinary addresses that the validator accepts with certainty: it takes 20 times as long.
#: No label can be too long, because the whole is not; reserved names are left to the validator.
ORDINARY_CHARACTERS_MAX = 64
#: No address has more octets, so none has more characters.
EMAIL_CHARACTERS_MAX = 254
_ORDINARY = re.compile(
    r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
    r"@(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+"
    r"(?!(?:arpa|invalid|local|localhost|onion|test)\Z)[A-Za-z]{2,}",
    re.ASCII | re.IGNORECASE,
)
#: Characters nobody sees that the validator takes for letters or marks.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
#: Scripts with letters that look like Latin ones.
_LATIN_LOOKALIKES = frozenset({"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})
#: Fifteen digits are the most that a network carries.
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
PHONE_CHARACTERS_MAX = 40

INVALID_EMAIL = CellProblem("invalid_email", "This is not a deliverable e-mail address.")
INVALID_PHONE = CellProblem(
    "invalid_phone", "Give the phone number with its country code, such as +49 30 901820."
)


@dataclass(frozen=True, slots=True)
class Email:
    """An accepted address: the local part as given, the domain as its lower-case A-label."""

    address: str
    #: Letters of look-alike scripts are mixed: shown to people before money is spent.
    is_confusable: bool = False


def read_email(value: str) -> Email | CellProblem:
    """Judge an address by its syntax alone; nothing is looked up."""
    text = value.strip(" ")
    if len(text) <= ORDINARY_CHARACTERS_MAX and _ORDINARY.fullmatch(text):
        local, _at, domain = text.partition("@")
        return Email(f"{local}@{domain.lower()}")
    if FORBIDDEN_IN_IDENTIFIERS.search(text):
        return ILLEGAL_CHARACTER
    if len(text) > EMAIL_CHARACTERS_MAX or _INVISIBLE.search(text):
        return INVALID_EMAIL
    try:
        valid = validate_email(text, check_deliverability=False, strict=True)
    except EmailNotValidError:
        return INVALID_EMAIL
    mixed = _mixes_lookalikes(valid.local_part) or _mixes_lookalikes(valid.domain)
    return Email(f"{valid.local_part}@{valid.ascii_domain.lower()}", is_confusable=mixed)


def read_phone(value: str, *, must_ring: bool) -> str | CellProblem:
    """A phone number in E.164. `must_ring`: it is what we deliver to, so its plan is looked up."""
    if not must_ring and _E164.fullmatch(value):
        return value
    if len(value) > PHONE_CHARACTERS_MAX:
        return INVALID_PHONE
    if FORBIDDEN_IN_IDENTIFIERS.search(value):
        return ILLEGAL_CHARACTER
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        return INVALID_PHONE
    possible = phonenumbers.is_possible_number_with_reason(number)
    if number.extension or possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        return INVALID_PHONE
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return e164 if _E164.fullmatch(e164) else INVALID_PHONE


def person_key(
    email: str | None, key: bytes, *, phone: str | None = None, reference: str | None = None
) -> bytes:
    """The same person has the same key: by e-mail, else by phone, else by the client's reference.

    Takes what `read_email` and `read_phone` returned. No accepted address has a colon, so the
    three never meet.
    """
    if email:
        named = normalised_email(email)
    elif phone:
        named = f"phone:{phone}"
    elif reference:
        named = f"reference:{reference}"
    else:
        raise ValueError("a person needs an e-mail address, a phone number or a reference")
    return hmac.digest(key, named.encode(), hashlib.sha256)


def normalised_email(address: str) -> str:
    """The accepted `address` as it is compared: width, case and spelling of letters unified."""
    return address.lower() if address.isascii() else unicodedata.normalize("NFKC", address).lower()


def _mixes_lookalikes(text: str) -> bool:
    """True if Latin letters stand beside letters of a script that looks like Latin."""
    if text.isascii():
        return False
    letters = (letter for letter in text if letter.isalpha())
    scripts = {unicodedata.name(letter, "").split(" ")[0] for letter in letters}
    return "LATIN" in scripts and not scripts.isdisjoint(_LATIN_LOOKALIKES)
