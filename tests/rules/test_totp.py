"""One-time codes: RFC 6238's own values, a step of tolerance, each code once (SEC-04)."""

import base64
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from pipelines.access.totp import (
    RECOVERY_CODES,
    STEP_SECONDS,
    enrolment_uri,
    matching_step,
    new_recovery_codes,
    new_secret,
    recovery_digits,
)

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
STEP = int(NOW.timestamp()) // STEP_SECONDS


def code_at(secret: str, moment: datetime) -> str:
    return pyotp.TOTP(secret).at(moment)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_codes_are_those_of_rfc_6238(seconds: int, code: str):
    now = datetime.fromtimestamp(seconds, UTC)

    assert matching_step(RFC_SECRET, code, now=now, after=0) == seconds // STEP_SECONDS


@pytest.mark.parametrize(
    ("steps", "is_good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_clocks_may_be_a_step_apart(steps: int, is_good: bool):
    secret = new_secret()
    code = code_at(secret, NOW + timedelta(seconds=steps * STEP_SECONDS))

    found = matching_step(secret, code, now=NOW, after=0)

    assert found == (STEP + steps if is_good else None)


def test_a_code_counts_once_and_so_do_those_before_it():
    secret = new_secret()

    assert matching_step(secret, code_at(secret, NOW), now=NOW, after=STEP) is None
    before = code_at(secret, NOW - timedelta(seconds=STEP_SECONDS))
    assert matching_step(secret, before, now=NOW, after=STEP) is None


@pytest.mark.parametrize("code", ["", "12345", "1234567", "１２３４５６", "12345x", "-12345"])
def test_what_is_no_code_matches_nothing(code: str):
    assert matching_step(new_secret(), code, now=NOW, after=0) is None


def test_spaces_that_apps_show_are_no_matter():
    secret = new_secret()
    code = code_at(secret, NOW)

    assert matching_step(secret, f"{code[:3]} {code[3:]}", now=NOW, after=0) == STEP


def test_secrets_have_160_bits_and_recovery_codes_are_many_and_different():
    codes = new_recovery_codes()

    assert len(base64.b32decode(new_secret())) == 20
    assert len({recovery_digits(code) for code in codes}) == len(codes) == RECOVERY_CODES
    assert {len(recovery_digits(code)) for code in codes} == {18}
    assert recovery_digits(" ABC-def 123 ") == "abcdef123"


def test_the_app_is_told_whose_it_is():
    assert enrolment_uri("A" * 32, "ann@x.example").startswith(
        "otpauth://totp/Largesse:ann%40x.example?secret=" + "A" * 32
    )
