"""Time-based one-time codes (RFC 6238): 30 seconds, one step of tolerance, each code once (SEC-04)."""

import hmac
import secrets
from datetime import datetime

import pyotp

STEP_SECONDS = 30
#: Clocks may be a step apart.
STEPS_APART = 1
CODE_DIGITS = 6
#: Base32 characters: 160 bits.
SECRET_CHARACTERS = 32
ISSUER = "Largesse"
#: No look-alikes; 18 of these have 89 bits.
RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
RECOVERY_CHARACTERS = 18
RECOVERY_CODES = 10


def new_secret() -> str:
    """A secret that an authenticator app takes."""
    return pyotp.random_base32(SECRET_CHARACTERS)


def enrolment_uri(secret: str, email: str) -> str:
    """What the QR code says to the authenticator app."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def matching_step(secret: str, code: str, *, now: datetime, after: int) -> int | None:
    """The time step whose code this is, later than `after`; None if there is none."""
    digits = "".join(code.split())
    if not (digits.isascii() and digits.isdigit() and len(digits) == CODE_DIGITS):
        return None
    totp, step = pyotp.TOTP(secret), int(now.timestamp()) // STEP_SECONDS
    found: int | None = None
    for candidate in range(step - STEPS_APART, step + STEPS_APART + 1):
        # Every step is compared: the time tells nothing.
        if hmac.compare_digest(totp.generate_otp(candidate), digits) and candidate > after:
            found = candidate
    return found


def new_recovery_codes() -> list[str]:
    """Codes to print and keep; each stands in for the authenticator once."""
    return [_grouped(_drawn()) for _ in range(RECOVERY_CODES)]


def recovery_digits(code: str) -> str:
    """A recovery code as it is compared: without spaces, hyphens and case."""
    return "".join(c for c in code.casefold() if c.isalnum())


def _drawn() -> str:
    return "".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(RECOVERY_CHARACTERS))


def _grouped(code: str) -> str:
    return "-".join(code[at : at + 6] for at in range(0, len(code), 6))
