"""Check a token at the console: told exactly, not spent, and kept nowhere (S0, SEC-06)."""

import logging
from typing import Any

import pytest
from flask import Flask

from pipelines.wiring import House
from tests.driving import rows
from tests.partnering import Partner, make_partner, present, sign
from tests.seeding import Seeded
from tests.web.console.conftest import Visitor
from tests.web.console.partner_visits import NEW, SECRET, home_of, only


@pytest.fixture
def partner(house: House, seeded: Seeded) -> Partner:
    return make_partner(house, seeded)


def checked(bob: Visitor, partner: Partner, token: str) -> str:
    answer = bob.send(f"{home_of(partner)}/check-token", token=token)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_sec006_a_good_token_is_told_so_and_opens_a_session_afterwards(
    app: Flask, bob: Visitor, partner: Partner
) -> None:
    """SEC-06"""
    token = partner.token("user-7")

    page = checked(bob, partner, f"  {token}\n")

    assert "The token is good" in page
    assert '<dd class="mono">user-7</dd>' in page
    assert "Expires" in page
    assert present(app, token).status_code == 201
    again = checked(bob, partner, token)
    assert "has opened a session already" in again
    assert "token_replayed" in again


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"aud": "other"}, "aud is not the text"),
        ({"iss": "shop"}, "iss is not this partner"),
        ({"jti": None}, "These members are missing: jti"),
        ({"exp": 2_000_000_000}, "exp is at most iat + 180"),
        ({"sub": ""}, "1 to 255 characters"),
    ],
)
def test_sec006_what_is_wrong_is_said_with_what_to_do(
    bob: Visitor, partner: Partner, members: dict[str, Any], words: str
) -> None:
    """SEC-06"""
    page = checked(bob, partner, partner.token(**members))

    assert "The token is not taken" in page
    assert words in page.replace("&#34;", '"')


def test_sec006_a_secret_that_was_not_decoded_is_told_apart_from_a_text_that_is_no_token(
    bob: Visitor, partner: Partner
) -> None:
    """SEC-06"""
    other = "A" * 43 + "="

    told = checked(bob, partner, sign(partner.claims(), other))
    assert "Decode the secret" in told
    assert f"use the one that ends with {partner.secret[-4:]}. A secret that has ended" in told
    assert "This is no JWT" in checked(bob, partner, "nothing")
    assert "longer than 4 KiB" in checked(bob, partner, "a.b." + "c" * 10_000)


def test_sec006_while_two_secrets_are_good_both_are_named_by_their_ends(
    house: House, bob: Visitor, partner: Partner
) -> None:
    """SEC-06"""
    path = f"{home_of(partner)}/secret"
    shown = SECRET.search(bob.send(path, overlap="hour").text)
    assert shown is not None

    told = checked(bob, partner, sign(partner.claims(), "A" * 43 + "="))

    ends = f"ends with {shown[1][-4:]} (or, still good, {partner.secret[-4:]})."
    assert ends in told
    assert (shown[1] in told, partner.secret in told) == (False, False)


def test_sec17_the_text_of_a_token_is_kept_by_no_page_log_or_audit(
    house: House, bob: Visitor, partner: Partner, caplog: pytest.LogCaptureFixture
) -> None:
    """SEC-17"""
    good, bad = partner.token(), partner.token(aud="other")
    with caplog.at_level(logging.DEBUG):
        pages = [checked(bob, partner, token) for token in (good, bad)]

    for token in (good, bad):
        for part in token.split("."):
            assert part not in "".join(pages)
            assert part not in caplog.text
    assert '<textarea id="token"' in pages[0]
    assert rows(house, "SELECT 1 FROM spent_tokens") == []
    assert rows(house, "SELECT 1 FROM partner_refusals") == []
    entries = rows(house, "SELECT action FROM audit_entries WHERE object_id = :id", id=partner.id)
    assert {row.action for row in entries} == {"partner.created", "partner.secret_drawn"}


def test_without_a_secret_or_a_token_the_page_says_what_to_do(
    house: House, bob: Visitor, seeded: Seeded
) -> None:
    bob.send(NEW, name="Shop", time_zone="UTC")
    made = Partner(only(house).id, "", house)

    empty = bob.send(f"{home_of(made)}/check-token", token="  ")

    assert (empty.status_code, '<a href="#token">' in empty.text) == (422, True)
    assert "no secret yet" in checked(bob, made, "a.b.c")


def test_refusals_stand_on_the_partners_page_in_words(
    app: Flask, bob: Visitor, partner: Partner
) -> None:
    token = partner.token()
    assert [present(app, token).status_code for _ in range(3)] == [201, 401, 401]
    present(app, partner.token(), Origin="https://elsewhere.example")

    page = bob.get(home_of(partner)).text.partition('id="refusals"')[2]

    assert page.index("Replayed") < page.index("Site not allowed")
    assert '<td data-label="Times" class="number">2</td>' in page
    assert "whose origin is not on the list" in page
    assert "never reaches us, and is not counted" in page
