"""E-mail addresses, phone numbers and the key of a person: accepted, refused, unified."""

import hashlib
import hmac

import pytest
from email_validator import validate_email
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.jobs.addresses import (
    _ORDINARY,
    ORDINARY_CHARACTERS_MAX,
    Email,
    person_key,
    read_email,
    read_phone,
)
from pipelines.jobs.cells import CellProblem

KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("given_address", "address"),
    [
        ("ann@example.com", "ann@example.com"),
        (" ann@example.com ", "ann@example.com"),
        ("Ann.Lee+gifts@Mail.Example.COM", "Ann.Lee+gifts@mail.example.com"),
        ("=1+1@evil.com", "=1+1@evil.com"),
        ("o'neil@example.com", "o'neil@example.com"),
        ("иван@example.org", "иван@example.org"),
        ("ａ@x.de", "ａ@x.de"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    ],
)
def test_an_address_is_kept_as_given_with_its_domain_as_a_label(given_address, address):
    """B45, B48: spaces around it are stripped."""
    assert read_email(given_address) == Email(address)


@pytest.mark.parametrize(
    "address",
    [
        "a@x.de\n",
        "\ta@x.de",
        "a@@x.de",
        "a@localhost",
        "<a@x.de>",
        "Ann <a@x.de>",
        "a@x.de,b@x.de",
        '"a b"@x.de',
        '"ab"@x.de',
        "a@[127.0.0.1]",
        "a@[IPv6:::1]",
        "a@127.0.0.1",
        "a@x.de\r\nBcc: z@z.de",
        "a\u200b@x.de",
        "a@x\u200b.de",
        "\u202ea@x.de",
        "a\u2066@x.de",
        "a\ufeff@x.de",
        "a\ufe0f@x.de",
        "a\u3164@x.de",
        "a＠x.de",
        "a@x..de",
        ".a@x.de",
        "a.@x.de",
        "a@-x.de",
        "a@x.test",
        "a@x.invalid",
        "a@local",
        "a@ab--cd.de",
        "a@x.de.",
        "a@x.d1",
        "a" * 65 + "@example.com",
        "a@" + "b" * 64 + ".example",
        "a@" + "b." * 2_000 + "example",
        "a",
        "@x.de",
        "a@",
        "\ud800@x.de",
        "=1+1",
        "@SUM(A1)",
    ],
    ids=ascii,
)
def test_what_cannot_be_delivered_to_is_refused(address):
    """B34, B45, B46, B47."""
    problem = read_email(address)

    assert isinstance(problem, CellProblem)
    assert problem.code == "invalid_email"


@pytest.mark.parametrize(
    "character", ["\0", "\x1a", "\v", "\f", "\x7f", "\x85", "\u2028"], ids=ascii
)
def test_control_characters_in_an_address_are_named(character):
    """B10, B12."""
    problem = read_email(f"a{character}@x.de")

    assert isinstance(problem, CellProblem)
    assert problem.code == "illegal_character"


@pytest.mark.parametrize(
    ("address", "stored"),
    [
        ("a@раypal.com", "a@xn--ypal-43d9g.com"),
        ("pаypal@x.de", "pаypal@x.de"),
        ("a@xn--80ak6aa92e.com", "a@xn--80ak6aa92e.com"),
    ],
)
def test_letters_that_look_like_others_are_accepted_and_flagged(address, stored):
    """B48."""
    assert read_email(address) == Email(stored, is_confusable=True)


ADDRESSES = st.text(
    alphabet=st.sampled_from("abzAZ059..--__++@@''!xn lhostiv\u017f\u212aü"), max_size=24
) | st.from_regex(r"[a-z+_.\-]{1,40}@([a-z0-9\-]{1,30}\.){1,4}[a-z0-9]{1,10}", fullmatch=True)


@given(ADDRESSES)
@example("a@x.local")
@example("a@ab--cd.de")
@example("a@xn--zzzzzz.de")
@example("a@x.\u017fe")
@example("a@" + "b" * 62)
def test_the_fast_path_never_accepts_what_the_validator_refuses(address):
    if len(address) <= ORDINARY_CHARACTERS_MAX and _ORDINARY.fullmatch(address):
        valid = validate_email(address, check_deliverability=False, strict=True)

        assert read_email(address).address.lower() == valid.normalized.lower()


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("+49 30 901820", "+4930901820"),
        ("+1 (415) 555-2671", "+14155552671"),
        ("+44 7911 123456", "+447911123456"),
        ("+１４１５５５５２６７１", "+14155552671"),
        ("+14155552671", "+14155552671"),
    ],
)
@pytest.mark.parametrize("must_ring", [True, False])
def test_a_phone_number_is_kept_in_e164(text, e164, must_ring):
    assert read_phone(text, must_ring=must_ring) == e164


@pytest.mark.parametrize(
    "text",
    ["0151 12345678", "555-2671", "+999123", "+1 415 555 2671 ext 5", "+1", "call me", "=1+1"],
)
@pytest.mark.parametrize("must_ring", [True, False])
def test_a_number_that_cannot_ring_is_refused(text, must_ring):
    problem = read_phone(text, must_ring=must_ring)

    assert isinstance(problem, CellProblem)
    assert problem.code == "invalid_phone"


def test_only_a_number_we_deliver_to_is_held_against_its_numbering_plan():
    assert read_phone("+49123456789012345", must_ring=False).code == "invalid_phone"
    assert read_phone("+99912345678", must_ring=False) == "+99912345678"
    assert read_phone("+99912345678", must_ring=True).code == "invalid_phone"
    assert read_phone("1" * 4_000, must_ring=True).code == "invalid_phone"
    assert read_phone("+4930\x01901820", must_ring=True).code == "illegal_character"


@pytest.mark.parametrize("other", ["A@X.DE", "ａ@x.de", " a@x.de", "Ａ@ｘ.de"])
def test_one_person_has_one_key_whatever_case_or_width(other):
    """B49."""
    same = read_email(other)

    assert person_key(same.address, KEY) == person_key("a@x.de", KEY)


def test_a_plus_tag_is_another_person():
    """B49."""
    assert person_key("a+1@x.de", KEY) != person_key("a@x.de", KEY)


def test_the_key_is_a_keyed_digest_of_the_normalised_address():
    assert person_key("Ann@x.de", KEY) == hmac.digest(KEY, b"ann@x.de", hashlib.sha256)
    assert person_key("Ann@x.de", KEY) != person_key("Ann@x.de", bytes(32))


def test_without_an_address_the_phone_and_then_the_reference_stand_for_the_person():
    by_phone = person_key(None, KEY, phone="+4930901820", reference="7")
    by_reference = person_key(None, KEY, reference="7")

    assert by_phone == hmac.digest(KEY, b"phone:+4930901820", hashlib.sha256)
    assert by_reference == hmac.digest(KEY, b"reference:7", hashlib.sha256)
    assert person_key("a@x.de", KEY, phone="+4930901820") == person_key("a@x.de", KEY)
    assert person_key(None, KEY, reference="A") != person_key(None, KEY, reference="a")
    with pytest.raises(ValueError, match="a person needs"):
        person_key(None, KEY)
