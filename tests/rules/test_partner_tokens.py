"""Partner tokens, judged as plain values: the table of SEC-06 and EC-104, EC-105."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.partners.tokens import (
    Fault,
    TokenFault,
    named_partner,
    new_secret,
    read_token,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
T = int(NOW.timestamp())
PARTNER = UUID("01a22430-97e2-703a-a853-89c44054b285")
SECRET = new_secret()
KEY = base64.b64decode(SECRET)
GOOD: dict[str, Any] = {
    "iss": str(PARTNER),
    "aud": "largesse",
    "sub": "user-1",
    "iat": T,
    "exp": T + 180,
    "jti": "j" * 16,
}
#: No certificate; only what begins like one.
PEM = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL\n-----END PUBLIC KEY-----"


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(header: Any, claims: Any, key: bytes = KEY, digest: Any = hashlib.sha256) -> str:
    """A token that no library would make, signed all the same."""
    head = f"{part(header)}.{part(claims)}"
    return f"{head}.{part(hmac.new(key, head.encode(), digest).digest())}"


def signed(**members: Any) -> str:
    return by_hand({"alg": "HS256", "typ": "JWT"}, {**GOOD, **members})


def without(name: str) -> str:
    claims = {key: value for key, value in GOOD.items() if key != name}
    return by_hand({"alg": "HS256"}, claims)


def fault_of(token: str, *keys: str, partner: UUID | None = PARTNER) -> Fault | None:
    try:
        read_token(token, keys or (SECRET,), partner_id=partner, now=NOW)
    except TokenFault as fault:
        return fault.fault
    return None


def test_s037_a_good_token_says_who_the_user_is() -> None:
    said = read_token(signed(sub="Ä user"), (SECRET,), partner_id=PARTNER, now=NOW)

    assert (said.external_id, said.jti, said.secret) == ("Ä user", "j" * 16, 0)
    assert said.expires_at == T + 180


def test_a_token_of_the_library_that_partners_use_is_good() -> None:
    assert fault_of(jwt.encode(GOOD, KEY, algorithm="HS256")) is None


FORGED = {
    "alg none": by_hand({"alg": "none"}, GOOD),
    "alg none, no signature": f"{part({'alg': 'none'})}.{part(GOOD)}.",
    "HS512": by_hand({"alg": "HS512"}, GOOD, digest=hashlib.sha512),
    "RS256 named, the secret as its key": by_hand({"alg": "RS256"}, GOOD),
    "HS256 with a PEM as the secret": by_hand({"alg": "HS256"}, GOOD, PEM.encode()),
    "the secret not decoded": by_hand({"alg": "HS256"}, GOOD, SECRET.encode()),
    "stripped signature": signed().rpartition(".")[0] + ".",
    "no signature at all": signed().rpartition(".")[0],
    "another's signature": by_hand({"alg": "HS256"}, GOOD, b"k" * 32),
    "kid": by_hand({"alg": "HS256", "kid": "1"}, GOOD),
    "jku": by_hand({"alg": "HS256", "jku": "https://evil.example/keys"}, GOOD),
    "jwk": by_hand({"alg": "HS256", "jwk": {"k": "a"}}, GOOD),
    "unknown crit": by_hand({"alg": "HS256", "crit": ["x"], "x": 1}, GOOD),
    "b64 false": by_hand({"alg": "HS256", "b64": False, "crit": ["b64"]}, GOOD),
    "alg as a list": by_hand({"alg": ["HS256"]}, GOOD),
    "header no object": by_hand(["HS256"], GOOD),
    "claims no object": by_hand({"alg": "HS256"}, [GOOD]),
    "claims no JSON": by_hand({"alg": "HS256"}, b"{"),
    "claims deeper than any": by_hand({"alg": "HS256"}, b'{"a":' * 900 + b"1" + b"}" * 900),
    "four parts": signed() + ".x",
    "no token": "abc",
    "nothing": "",
    "letters of no alphabet": "ä.ö.ü",
    "longer than 4 KiB": signed(sub="x", more="y" * 4096),
    "iss of another": signed(iss=str(uuid4())),
    "iss in capitals": signed(iss=str(PARTNER).upper()),
    "iss no text": signed(iss=7),
    "aud of another": signed(aud="somebody"),
    "aud as a list": signed(aud=["largesse"]),
    "exp as text": signed(exp=str(T + 100)),
    "exp with decimals": signed(exp=T + 100.5),
    "exp a truth": signed(exp=True),
    "exp NaN": by_hand({"alg": "HS256"}, json.dumps({**GOOD, "exp": float("nan")}).encode()),
    "exp endless": by_hand({"alg": "HS256"}, json.dumps({**GOOD, "exp": float("inf")}).encode()),
    "exp a list": signed(exp=[T]),
    "iat as text": signed(iat=str(T)),
    "nbf as text": signed(nbf=str(T)),
    "jti empty": signed(jti=""),
    "jti of 15": signed(jti="j" * 15),
    "jti of 129": signed(jti="j" * 129),
    "jti with a space": signed(jti="j" * 15 + " "),
    "jti a number": signed(jti=1234567890123456),
    "jti null": signed(jti=None),
    "sub empty": signed(sub=""),
    "sub of 256": signed(sub="s" * 256),
    "sub a number": signed(sub=7),
    "sub with NUL": signed(sub="a\0b"),
    "sub half a character": signed(sub="\ud800"),
    **{f"without {name}": without(name) for name in GOOD},
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_ec105_a_token_that_is_not_as_agreed_is_refused_without_a_public_reason(token: str) -> None:
    fault = fault_of(token)

    assert fault is not None
    assert fault not in {Fault.LIFETIME, Fault.EXPIRED, Fault.NOT_YET_VALID}


TIMES = {
    "ten years": (T, T + 315_360_000, Fault.LIFETIME),
    "181 seconds": (T, T + 181, Fault.LIFETIME),
    "no time at all": (T, T, Fault.LIFETIME),
    "backwards": (T, T - 1, Fault.LIFETIME),
    "a day old, and long": (T - 86_400, T + 60, Fault.LIFETIME),
    "a day old": (T - 86_400, T - 86_300, Fault.EXPIRED),
    "expired beyond the leeway": (T - 100, T - 5, Fault.EXPIRED),
    "expired within the leeway": (T - 100, T - 4, None),
    "of the future": (T + 6, T + 100, Fault.NOT_YET_VALID),
    "of a future within the leeway": (T + 5, T + 100, None),
    "one second": (T, T + 1, None),
    "three minutes": (T, T + 180, None),
}


@pytest.mark.parametrize(("issued", "expires", "fault"), TIMES.values(), ids=TIMES.keys())
def test_ec104_a_token_lives_three_minutes_at_most(
    issued: int, expires: int, fault: Fault | None
) -> None:
    assert fault_of(signed(iat=issued, exp=expires)) is fault


def test_ec104_a_token_that_is_not_to_be_taken_yet_waits() -> None:
    assert fault_of(signed(nbf=T + 60)) is Fault.NOT_YET_VALID


def test_ec106_any_of_the_partners_keys_is_good_and_is_named() -> None:
    old = new_secret()
    token = by_hand({"alg": "HS256"}, GOOD, base64.b64decode(old))

    said = read_token(token, (SECRET, old), partner_id=PARTNER, now=NOW)

    assert said.secret == 1


def test_ec115_without_a_partner_or_a_key_no_token_is_good() -> None:
    assert fault_of(signed(), partner=None) is Fault.PARTNER
    with pytest.raises(TokenFault):
        read_token(signed(), (), partner_id=PARTNER, now=NOW)


def test_s004_a_secret_is_32_random_bytes_in_base64() -> None:
    secrets = {new_secret() for _ in range(100)}

    assert len(secrets) == 100
    assert {len(base64.b64decode(secret, validate=True)) for secret in secrets} == {32}


def test_whose_a_token_says_that_it_is_is_read_without_belief() -> None:
    assert named_partner(signed()) == PARTNER
    assert named_partner(signed(iss=str(PARTNER).upper())) is None
    assert named_partner(signed(iss=7)) is None
    assert named_partner("a.b.c") is None


@given(st.text(max_size=400))
def test_no_text_whatever_is_anything_but_refused(text: str) -> None:
    assert fault_of(text) is not None
    named_partner(text)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_parts_whatever_are_anything_but_refused(header: bytes, claims: bytes) -> None:
    token = by_hand(header, claims)

    assert fault_of(token) is not None
    named_partner(token)
