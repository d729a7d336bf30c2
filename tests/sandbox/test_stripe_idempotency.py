"""One Idempotency-Key, one effect: what is replayed, what is refused, what is forgotten (EC-034)."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.sandbox.conftest import Running
from tests.sandbox.stripes import ASKED, Shop

#: A fault of the first answer, whether a session was made, and what the same call is told then.
LOST: list[tuple[dict[str, Any], int, int]] = [
    ({"error_500_before": {"next": 1}}, 0, 200),
    ({"error_500_before": {"next": 1, "saved": True}}, 0, 500),
    ({"error_500_after": {"next": 1}}, 1, 500),
    ({"drop_before_create": {"next": 1}}, 0, 200),
    ({"drop_after_create": {"next": 1}}, 1, 200),
    ({"html_502": {"next": 1}}, 0, 200),
    ({"html_502": {"next": 1, "created": True}}, 1, 200),
    ({"garbage": {"next": 1}}, 1, 200),
    ({"throttled_429": {"next": 1}}, 0, 200),
    ({"lock_timeout": {"next": 1}}, 0, 200),
    ({"auth_401": {"next": 1}}, 0, 200),
    ({"in_use_409": {"next": 1}}, 0, 200),
]


@pytest.fixture
def shop(sandbox: Running) -> Shop:
    return Shop(sandbox)


def status_of(call: Callable[[], Any]) -> int | None:
    """The status the SDK met; None without an answer that it could read."""
    try:
        call()
    except stripe.StripeError as error:
        return None if error.http_status == 200 else error.http_status
    return 200


def sessions_made(shop: Shop) -> int:
    return sum(shop.summary()["sessions"].values())


def test_the_same_call_is_answered_alike_and_says_so(shop: Shop):
    first = shop.open(key="checkout:1")
    again = shop.open(key="checkout:1")
    other = shop.open(key="checkout:2")

    assert again.to_dict() == first.to_dict()
    assert other.id != first.id
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert first.last_response.headers["Request-Id"] != again.last_response.headers["Request-Id"]
    assert sessions_made(shop) == 2


def test_other_parameters_or_another_call_under_a_used_key_are_refused(shop: Shop):
    made = shop.open(key="checkout:1")

    with pytest.raises(stripe.IdempotencyError) as changed:
        shop.open(key="checkout:1", client_reference_id="usage-2")
    with pytest.raises(stripe.IdempotencyError):
        shop.v1.checkout.sessions.expire(made.id, options={"idempotency_key": "checkout:1"})

    assert changed.value.http_status == 400
    assert (sessions_made(shop), shop.session(made.id).status) == (1, "open")


def test_what_failed_validation_leaves_its_key_free(shop: Shop):
    assert status_of(lambda: shop.open(key="checkout:1", mode=None)) == 400

    assert shop.open(key="checkout:1").status == "open"


def test_a_refusal_of_what_had_begun_is_replayed(shop: Shop):
    made = shop.open()
    shop.move(made, "pay")
    options = {"idempotency_key": "expire:1"}

    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError, match="status of `complete`") as refused:
            shop.v1.checkout.sessions.expire(made.id, options=options)

    assert refused.value.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(("fault", "made", "then"), LOST, ids=lambda one: str(one)[:60])
def test_ec034_a_lost_answer_leaves_one_session_at_most_and_its_key_tells(
    shop: Shop, fault: dict[str, Any], made: int, then: int
):
    shop.arm(**fault)

    first = status_of(lambda: shop.open(key="checkout:1"))
    made_first = sessions_made(shop)
    repeated = status_of(lambda: shop.open(key="checkout:1"))

    assert first != 200
    assert (made_first, repeated) == (made, then)
    assert sessions_made(shop) == max(made, then == 200)


def test_ec034_the_sdk_repeats_a_cut_call_under_its_key(shop: Shop):
    shop.arm(drop_after_create={"next": 1})
    base = {"api": f"{shop.sandbox.url}/stripe"}
    client = stripe.StripeClient("sandbox", base_addresses=base, max_network_retries=2)

    made = client.v1.checkout.sessions.create(ASKED)

    assert made.status == "open"
    assert sessions_made(shop) == 1


def test_ec034_a_call_that_meets_its_twin_is_409_and_makes_nothing(shop: Shop):
    """The first is still on its way when the second comes."""
    shop.put("switches", latency_seconds=1.0)
    start, statuses = threading.Barrier(4), list[int | None]()

    def call() -> None:
        start.wait()
        statuses.append(status_of(lambda: shop.open(key="checkout:1")))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses, key=str) == [200, 409, 409, 409]
    assert sessions_made(shop) == 1


def test_a_key_is_forgotten_after_a_day(shop: Shop):
    first = shop.open(key="checkout:1")

    shop.put("switches", clock_ahead_seconds=24 * 3600 + 1)

    assert shop.open(key="checkout:1").id != first.id


def test_a_key_of_more_than_255_characters_is_refused(shop: Shop):
    assert status_of(lambda: shop.open(key="k" * 256)) == 400
    assert status_of(lambda: shop.open(key="k" * 255)) == 200
