"""Partner tokens at the door: each opens one visit, for its user, at its partner (EC-102..107, EC-115)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import text

from models import clock
from models.database import scoped_transaction
from models.scope import client
from pipelines.partners.secrets import rotate_secret
from pipelines.wiring import House
from tests.conftest import Ground
from tests.driving import rows
from tests.later import later
from tests.partnering import Partner, make_partner, present, sign, told, visit
from tests.racing import race
from tests.seeding import ACTOR, Seeded
from tests.statements import statements
from tests.web.conftest import Caller
from web.app import create_app


@pytest.fixture
def partner(house: House, seeded: Seeded) -> Partner:
    return make_partner(house, seeded)


def rotated(house: House, seeded: Seeded, partner: Partner, overlap_seconds: int) -> Partner:
    """The partner with another secret."""
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        drawn = rotate_secret(
            session,
            partner.id,
            overlap_seconds=overlap_seconds,
            actor_id=ACTOR,
            keyring=house.settings.keyring,
            now=clock.now(session),
        )
    return replace(partner, secret=drawn.text)


def shown(answer: Any) -> dict[str, Any]:
    """A refusal without what differs in every answer."""
    return {name: value for name, value in answer.json.items() if name != "request_id"}


def test_s018_a_token_becomes_a_session_of_seven_days_in_one_call(
    app: Flask, house: House, partner: Partner
) -> None:
    answer = present(app, partner.token())

    assert answer.status_code == 201
    assert set(answer.json) == {"session_token", "expires_at", "user_id", "vendor_id"}
    assert answer.json["vendor_id"] == str(partner.id)
    assert answer.headers["Cache-Control"] == "no-store"
    (kept,) = rows(house, "SELECT expires_at - created_at AS life, origin FROM widget_sessions")
    assert (kept.life.days, kept.origin) == (7, None)


def test_sec007_of_a_session_only_a_digest_is_kept(
    app: Flask, house: House, partner: Partner
) -> None:
    token = present(app, partner.token()).json["session_token"]

    (kept,) = rows(house, "SELECT CAST(s.* AS text) AS row FROM widget_sessions s")

    assert token not in kept.row
    assert token[4:] not in kept.row


def test_s012_the_same_user_is_the_same_person_from_every_device(
    app: Flask, partner: Partner
) -> None:
    answers = [present(app, partner.token("user-1")) for _ in range(2)]

    assert len({answer.json["user_id"] for answer in answers}) == 1
    assert len({answer.json["session_token"] for answer in answers}) == 2


@pytest.mark.parametrize("other", ["User-1", "user-1 ", " user-1", "user\u20111", "u" * 255])
def test_ec107_an_external_id_is_its_exact_characters(
    app: Flask, partner: Partner, other: str
) -> None:
    first, second = present(app, partner.token("user-1")), present(app, partner.token(other))

    assert first.json["user_id"] != second.json["user_id"]


def test_ec107_the_same_id_at_two_partners_is_two_people(
    app: Flask, house: House, seeded: Seeded, partner: Partner
) -> None:
    another = make_partner(house, seeded, name="Other")

    assert (
        present(app, partner.token()).json["user_id"]
        != (present(app, another.token()).json["user_id"])
    )


def test_ec107_twenty_first_visits_at_once_make_one_person(
    app: Flask, house: House, partner: Partner
) -> None:
    tokens = iter([partner.token("new") for _ in range(20)])

    assert race(20, lambda: present(app, next(tokens)).status_code == 201) == 20

    assert rows(house, "SELECT count(*) AS n FROM partner_users")[0].n == 1
    assert rows(house, "SELECT count(DISTINCT user_id) AS n FROM widget_sessions")[0].n == 1
    assert rows(house, "SELECT count(*) AS n FROM users WHERE email IS NULL")[0].n == 1


def test_ec102_a_token_opens_one_session_and_the_first_goes_on(
    app: Flask, partner: Partner
) -> None:
    token = partner.token()
    first = present(app, token).json["session_token"]

    again = present(app, token)

    assert told(again) == (401, "token_replayed")
    bearer = {"Authorization": f"Bearer {first}"}
    assert Caller(app.test_client(), bearer).get("/available-coupons").status_code == 200


def test_ec102_a_replay_is_known_after_redis_was_emptied(
    app: Flask, ground: Ground, partner: Partner
) -> None:
    token = partner.token()
    assert present(app, token).status_code == 201
    with Redis.from_url(ground.servers.redis_url) as redis:
        kept = list(redis.scan_iter("largesse:jti:*"))
        assert kept
        assert all(0 < redis.ttl(key) <= 185 for key in kept)
        redis.delete(*kept)

    assert told(present(app, token)) == (401, "token_replayed")


@pytest.mark.parametrize("has_redis", [True, False])
def test_ec103_twenty_at_once_with_one_token_open_one_session(
    house: House, partner: Partner, *, has_redis: bool
) -> None:
    edge = house.settings.edge
    nowhere = replace(edge, rates_url="redis://127.0.0.1:1/0")
    settings = house.settings if has_redis else replace(house.settings, edge=nowhere)
    app = create_app(replace(house, settings=settings))
    # Without Redis each process counts by itself, at half.
    tries = 20 if has_redis else 14
    token = partner.token()

    assert race(tries, lambda: present(app, token).status_code == 201) == 1

    assert rows(house, "SELECT count(*) AS n FROM widget_sessions")[0].n == 1
    (refused,) = rows(house, "SELECT reason, times FROM partner_refusals")
    assert (refused.reason, refused.times) == ("token_replayed", tries - 1)


@pytest.mark.parametrize(
    ("ahead", "code"),
    [
        ({"exp": 10**10}, "token_lifetime"),
        ({"iat": 1, "exp": 100}, "token_expired"),
        ({"nbf": 2 * 10**9}, "token_not_yet_valid"),
    ],
)
def test_ec104_a_genuine_token_says_what_is_the_matter_with_its_time(
    app: Flask, partner: Partner, ahead: dict[str, int], code: str
) -> None:
    assert told(present(app, partner.token(**ahead))) == (401, code)


def _unbelieved(house: House, seeded: Seeded, partner: Partner) -> Iterator[str]:
    claims = partner.claims()
    yield sign(claims, "a" * 43 + "=")
    yield sign(claims, partner.secret, headers={"kid": "1"})
    yield sign(claims, partner.secret).rpartition(".")[0] + "."
    yield sign(claims | {"iss": str(seeded.client_id)}, partner.secret)
    yield sign(claims | {"iss": str(seeded.client_id), "exp": 10**10}, partner.secret)
    yield sign(claims | {"jti": ""}, partner.secret)
    yield sign(claims | {"aud": ["largesse"]}, partner.secret)
    yield sign(claims | {"sub": None}, partner.secret)
    yield "x" * 1_000_000
    yield "no token"
    disabled = make_partner(house, seeded, name="Off")
    with scoped_transaction(house.sessions, client(seeded.client_id)) as session:
        session.execute(
            text("UPDATE partners SET disabled_at = now() WHERE id = :id"), {"id": disabled.id}
        )
    yield disabled.token()
    yield disabled.token(exp=10**10)


def test_ec105_ec115_whatever_is_not_believed_has_the_same_answer(
    app: Flask, house: House, seeded: Seeded, partner: Partner
) -> None:
    answers = [present(app, token) for token in _unbelieved(house, seeded, partner)]

    assert {answer.status_code for answer in answers} == {401}
    assert len({str(shown(answer)) for answer in answers}) == 1
    assert answers[0].json["code"] == "invalid_token"
    assert rows(house, "SELECT count(*) AS n FROM widget_sessions")[0].n == 0


def test_ec115_an_unknown_partner_and_a_bad_signature_ask_the_same_of_the_database(
    app: Flask, house: House, seeded: Seeded, partner: Partner
) -> None:
    strange = partner.token(iss=str(seeded.client_id))
    with statements(house) as of_strange:
        present(app, strange)
    forged = sign(partner.claims(), "a" * 43 + "=")
    with statements(house) as of_forged:
        present(app, forged)

    # What is refused is counted for a partner that is known, after all was decided.
    assert of_forged[: len(of_strange)] == of_strange


def test_ec106_the_old_secret_goes_on_through_its_overlap_and_no_longer(
    app: Flask, house: House, seeded: Seeded, partner: Partner
) -> None:
    after = rotated(house, seeded, partner, 24 * 3600)

    assert present(app, partner.token()).status_code == 201
    assert present(app, after.token()).status_code == 201
    with later(house, hours=23) as then:
        front = create_app(then)
        assert present(front, replace(partner, house=then).token()).status_code == 201
    with later(house, hours=25) as then:
        front = create_app(then)
        answer = present(front, replace(partner, house=then).token())
        assert told(answer) == (401, "invalid_token")
        assert present(front, replace(after, house=then).token()).status_code == 201


def test_ec106_a_secret_known_to_a_stranger_ends_at_once_with_every_session(
    app: Flask, house: House, seeded: Seeded, partner: Partner
) -> None:
    me = visit(app, partner)

    after = rotated(house, seeded, partner, 0)

    assert told(me.get("/available-coupons")) == (401, "session_expired")
    assert told(present(app, partner.token())) == (401, "invalid_token")
    assert present(app, after.token()).status_code == 201
    texts = rows(house, "SELECT secret_sealed IS NULL AS is_gone FROM partner_secrets ORDER BY id")
    assert [row.is_gone for row in texts] == [True, False]


def test_sec018_thirty_tokens_a_minute_of_one_partner_from_one_network(
    app: Flask, house: House, seeded: Seeded, partner: Partner
) -> None:
    refused = [present(app, sign(partner.claims(), "a" * 43 + "=")) for _ in range(30)]

    assert {answer.status_code for answer in refused} == {401}
    assert told(present(app, partner.token())) == (429, "rate_limited")
    other = make_partner(house, seeded, name="Other")
    assert present(app, other.token()).status_code == 201
