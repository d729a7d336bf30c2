"""How likely a use of a code is a deception: each reason, the threshold, and who is never flagged."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from pipelines.fraud.leaks import is_watched
from pipelines.fraud.score import (
    STEPS,
    THRESHOLD,
    ReasonCode,
    Score,
    Signals,
    score,
    with_card,
    words,
)
from pipelines.fraud.traces import bare_mailbox, card_key, traces_of

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
DEAR = {"is_first_purchase": True, "discount_minor": 5_000, "subtotal_minor": 10_000}


@pytest.mark.parametrize(
    ("signals", "reason", "points"),
    [
        (Signals(network_customers=2), None, 0),
        (Signals(network_customers=3), ReasonCode.NETWORK, 15),
        (Signals(network_customers=8), ReasonCode.NETWORK, 25),
        (Signals(device_customers=1), ReasonCode.DEVICE, 15),
        (Signals(device_customers=3), ReasonCode.DEVICE, 30),
        (Signals(alias_uses=1), ReasonCode.ALIAS, 50),
        (Signals(codes=3), None, 0),
        (Signals(codes=4), ReasonCode.CODES, 15),
        (Signals(codes=8), ReasonCode.CODES, 30),
        (Signals(carts=5), None, 0),
        (Signals(carts=6), ReasonCode.CARTS, 10),
        (Signals(carts=12), ReasonCode.CARTS, 20),
        (Signals(reservations=4), None, 0),
        (Signals(reservations=5), ReasonCode.VELOCITY, 15),
        (Signals(reservations=10), ReasonCode.VELOCITY, 25),
        (Signals(**DEAR), ReasonCode.FIRST, 10),
        (Signals(**DEAR | {"is_first_purchase": False}), None, 0),
        (Signals(**DEAR | {"discount_minor": 4_999}), None, 0),
        (Signals(**DEAR | {"discount_minor": 0, "subtotal_minor": 0}), None, 0),
        (Signals(card_uses=1), ReasonCode.CARD, 70),
        (Signals(referrer_purchases=1), ReasonCode.REFERRER, 70),
    ],
)
def test_s2046_each_signal_has_its_reason_and_points(
    signals: Signals, reason: ReasonCode | None, points: int
) -> None:
    found = score(signals)
    assert [one.code for one in found.reasons] == ([] if reason is None else [reason])
    assert found.points == points


def test_ec014_network_and_device_alone_never_flag_not_even_together_with_a_dear_first_purchase():
    crowd = score(Signals(network_customers=50, device_customers=50, **DEAR))
    assert crowd.points < THRESHOLD
    assert not crowd.is_high


@pytest.mark.parametrize(
    ("signals", "is_high"),
    [
        (Signals(card_uses=1), True),
        (Signals(alias_uses=1), False),
        (Signals(alias_uses=1, network_customers=3), False),
        (Signals(alias_uses=1, device_customers=3), True),
        (Signals(alias_uses=1, network_customers=3, **DEAR), True),
        (Signals(codes=8, carts=12, reservations=10), True),
        (Signals(codes=8, carts=12, reservations=9), False),
        (Signals(codes=4, reservations=5, carts=6), False),
    ],
)
def test_s2109_from_70_points_on_a_person_looks(signals: Signals, is_high: bool) -> None:
    assert score(signals).is_high is is_high


def test_s2109_a_score_is_100_at_most_and_the_sum_of_its_reasons() -> None:
    most = score(
        Signals(
            network_customers=9,
            device_customers=9,
            alias_uses=9,
            codes=9,
            carts=99,
            reservations=99,
            card_uses=9,
            referrer_purchases=9,
            **DEAR,
        )
    )
    assert most.points == 100
    assert {one.code for one in most.reasons} == set(ReasonCode)
    assert score(Signals()) == Score()


def test_s2046_every_reason_is_said_in_words_and_an_unknown_one_by_its_name() -> None:
    for code in STEPS:
        told = words({"reason": code.value, "points": 1, "count": 7})
        assert told.endswith(".")
        assert code.value not in told
        least = words({"reason": code.value, "points": 1, "count": STEPS[code][0][0]})
        assert "1 " not in least
    assert words({"reason": "of_tomorrow", "points": 1, "count": 7}) == "of_tomorrow"


def test_ec014_a_card_is_added_once_to_what_was_known() -> None:
    known = score(Signals(codes=4)).as_json()
    once = with_card(known, 2)
    assert once.points == 85
    assert with_card(once.as_json(), 2) == once
    assert with_card(known, 0).points == 15


def test_ec014_what_another_release_noticed_is_kept_when_the_card_is_known() -> None:
    """After a rollback: a purchase that was paid must not stop at a word that nobody knows."""
    told = {"reason": "of_tomorrow", "points": 20, "count": 3}
    found = with_card([told, *score(Signals(codes=4)).as_json()], 1)
    assert found.points == 100
    assert found.as_json()[0] == told


def test_ec014_an_alias_is_alike_whoever_keeps_the_mailbox() -> None:
    alike = {bare_mailbox(one) for one in ("Ann.Lee@corp.example", "annlee+2@CORP.example")}
    assert alike == {"annlee@corp.example"}
    assert bare_mailbox("annlee@other.example") not in alike


def test_s2107_networks_are_digests_of_one_day_and_one_client() -> None:
    one, other, secret = uuid4(), uuid4(), b"secret"

    def networks(client_id=one, now=NOON, network="203.0.113.7"):
        found = traces_of(client_id, secret, now, network=network, device=None, email=None)
        return found.networks

    (today,) = networks()
    assert networks(other) != (today,)
    assert networks(now=NOON + timedelta(days=1)) != (today,)
    midnight = NOON.replace(hour=0, minute=30) + timedelta(days=1)
    assert networks(now=midnight)[1] == today
    assert networks(network=None) == ()
    assert b"203" not in today
    assert card_key(one, "a") != card_key(other, "a")


@pytest.mark.parametrize(
    ("max_uses", "age", "watched"),
    [
        (None, timedelta(days=1), True),
        (31, timedelta(days=1), True),
        (30, timedelta(days=1), False),
        (None, timedelta(hours=23), False),
    ],
)
def test_ec017_a_new_code_or_one_for_few_is_not_watched(
    max_uses: int | None, age: timedelta, watched: bool
) -> None:
    assert is_watched(max_uses, NOON - age, NOON, 30) is watched
