"""What each of Tremendous' answers proves: the table the waterfall's safety rests on."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.providers.ports import (
    Absent,
    Accepted,
    AuthFailed,
    Balance,
    Conflicting,
    OrderRequest,
    Refused,
    Throttled,
    Unknown,
)
from pipelines.providers.transport import Answer
from pipelines.providers.tremendous import _order
from pipelines.providers.tremendous_answers import (
    Bought,
    read_balance,
    read_balance_source,
    read_found,
    read_link,
    read_order,
)

REF = "0123456789abcdef0123456789abcdef"
REQUEST = OrderRequest(REF, "OKMHM2X2OHYV", 2510, "USD")
LINK = "https://reward.example/payouts/abc"
HTML = b"<html><body>502 Bad Gateway</body></html>"


def order(**changes):
    reward = {
        "id": "4SBVBQGUZOGR",
        "expires_at": "2031-01-10T21:44:06.441Z",
        "value": {"denomination": 25.1, "currency_code": "USD"},
        "delivery": {"method": "LINK", "status": "SUCCEEDED", "link": LINK},
    } | changes.pop("reward", {})
    told = {
        "id": "SFZCMH4NMC5X",
        "external_id": REF,
        "status": "EXECUTED",
        "payment": {"subtotal": 25.1, "total": 25.853, "fees": 0.753},
        "rewards": [reward],
    }
    return {"order": told | changes}


def answer(status, body, **headers):
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, encoded, {name.replace("_", "-"): v for name, v in headers.items()})


def bought(**changes):
    facts = {
        "vendor_order_id": "SFZCMH4NMC5X",
        "reward_id": "4SBVBQGUZOGR",
        "link": LINK,
        "face_value_minor": 2510,
        "currency": "USD",
        "cost_minor": 2585,
        "cost_currency": "USD",
        "expires_on": date(2031, 1, 10),
    }
    return Bought(**facts | changes)


def refusal(status, message="No.", **payload):
    return answer(status, {"errors": {"message": message, "payload": payload}})


OTHER_VALUE = {"value": {"denomination": 50, "currency_code": "EUR"}}
NO_LINK = {"delivery": {"method": "LINK", "status": "SUCCEEDED"}}
SETTLED = [
    (answer(200, order()), bought()),
    (answer(200, order(status="Executed")), bought()),
    (answer(200, order(reward={"products": ["OKMHM2X2OHYV"]})), bought()),
    (answer(200, order(reward=NO_LINK)), bought(link=None)),
    (answer(200, order(reward={"delivery": {"link": "PENDING"}})), bought(link=None)),
    (answer(200, order(reward={"delivery": {"link": ""}})), bought(link=None)),
    (answer(200, order(reward={"delivery": None})), bought(link=None)),
    (answer(200, order(reward={"expires_at": None})), bought(expires_on=None)),
    (answer(200, order(reward={"expires_at": "soon"})), bought(expires_on=None)),
    (answer(200, order(payment=None)), bought(cost_minor=None, cost_currency=None)),
    (
        answer(200, order(payment={"total": 25.855})),
        bought(cost_minor=2586),
    ),
    (answer(200, order(reward=OTHER_VALUE)), bought(face_value_minor=5000, currency="EUR")),
    (answer(200, order(status="OPEN")), Accepted("SFZCMH4NMC5X")),
    (answer(200, order(status="CART")), Accepted("SFZCMH4NMC5X")),
    (answer(200, order(status="PENDING APPROVAL")), Accepted("SFZCMH4NMC5X")),
    (answer(200, order(status="PENDING_APPROVAL")), Accepted("SFZCMH4NMC5X")),
    (answer(200, order(status="PENDING INTERNAL PAYMENT APPROVAL")), Accepted("SFZCMH4NMC5X")),
    (answer(200, order(status="FAILED")), Refused("refunded", "FAILED")),
    (answer(200, order(status="CANCELED")), Refused("refunded", "CANCELED")),
    (answer(200, order(status="UNDER REVIEW")), Unknown("unknown_status")),
    (answer(200, order(status=None)), Unknown("unreadable_answer")),
    (answer(200, order(id=None)), Unknown("unreadable_answer")),
    (answer(200, order(rewards=[])), Unknown("unreadable_answer")),
    (answer(200, order(reward={"id": None})), Unknown("unreadable_answer")),
    (answer(200, order(reward={"value": {"denomination": 25.105, "currency_code": "USD"}})),
     Unknown("unreadable_answer")),
    (answer(200, order(reward={"value": {"denomination": "25", "currency_code": "USD"}})),
     Unknown("unreadable_answer")),
    (answer(200, {"order": None}), Unknown("unreadable_answer")),
    (answer(200, b'{"order": {"id": "SFZ'), Unknown("unreadable_answer")),
    (answer(200, HTML), Unknown("unreadable_answer")),
]  # fmt: skip
ORDERED = [
    (answer(201, order(reward=NO_LINK)), bought(link=None)),
    (answer(200, order(external_id=None)), bought()),
    (answer(200, order(external_id="f" * 32)), Unknown("other_reference")),
    (answer(200, order(reward={"products": ["OTHER"]})), Unknown("other_product")),
    (answer(200, order(rewards=[{}, {}])), Unknown("other_quantity")),
    (answer(204, b""), Unknown("unreadable_answer")),
    (answer(302, b""), Unknown("http_302")),
    (
        refusal(400, reward={"value": {"denomination": "is too large"}}),
        Refused("invalid_amount", "reward.value.denomination"),
    ),
    (
        refusal(400, reward={"products": "are not available"}),
        Refused("product_unavailable", "reward.products"),
    ),
    (
        refusal(422, reward={"value": {"currency_code": "is not available"}}),
        Refused("product_unavailable", "reward.value.currency_code"),
    ),
    (
        refusal(422, "A product is out of stock", reward={"products": "no"}),
        Refused("out_of_stock", "reward.products"),
    ),
    (refusal(400, "Insufficient balance"), Refused("vendor_insufficient_balance", None)),
    (refusal(402), Refused("vendor_insufficient_balance", None)),
    (answer(402, {"error": "Not enough funds"}), Refused("vendor_insufficient_balance", None)),
    (answer(400, {"error": {"message": "No."}}), Refused("vendor_rejected", None)),
    (refusal(404), Refused("vendor_rejected", None)),
    (refusal(400, **{"K\u00e4se <b>": "x"}), Refused("vendor_rejected", None)),
    (answer(401, HTML), AuthFailed("key_refused")),
    (refusal(403), AuthFailed("not_permitted")),
    (answer(403, HTML), Unknown("http_403_unstructured")),
    (refusal(409), Unknown("reference_used")),
    (answer(409, HTML), Unknown("http_409_unstructured")),
    (refusal(408), Unknown("http_408")),
    (answer(429, {"error": "Slow down"}), Throttled(1.0)),
    (answer(429, HTML, retry_after="30"), Throttled(30.0)),
    (answer(400, HTML), Unknown("http_400_unstructured")),
    (answer(402, {"message": "gateway"}), Unknown("http_402_unstructured")),
    (refusal(500), Unknown("http_500")),
    (answer(502, HTML), Unknown("http_502")),
    (refusal(503), Unknown("http_503")),
]
FOUND = [
    (answer(200, order(external_id="f" * 32)), Conflicting("other_reference")),
    (answer(200, order(external_id=None)), Unknown("no_reference")),
    (answer(200, order(reward={"products": ["OTHER"]})), Conflicting("other_product")),
    (answer(200, order(rewards=[{}, {}])), Conflicting("other_quantity")),
    (refusal(404), Absent()),
    (answer(404, HTML), Unknown("http_404_unstructured")),
    (answer(404, {"status": 404, "path": "/orders"}), Unknown("http_404_unstructured")),
    (answer(401, HTML), Unknown("question_not_authorised")),
    (refusal(403), Unknown("question_not_authorised")),
    (refusal(429), Unknown("question_throttled", 1.0)),
    (refusal(400), Unknown("http_400")),
    (answer(500, HTML), Unknown("http_500")),
]


@pytest.mark.parametrize(("told", "outcome"), SETTLED + ORDERED)
def test_an_order_s_answer_proves_what_it_proves(told, outcome):
    assert read_order(told, REQUEST) == outcome


@pytest.mark.parametrize(("told", "outcome"), SETTLED + FOUND)
def test_a_look_up_s_answer_proves_what_it_proves(told, outcome):
    assert read_found(told, REQUEST) == outcome


@given(st.integers(200, 599), st.binary(max_size=40))
def test_no_bytes_prove_that_an_order_did_not_run(status, body):
    """Only a status that is proof by itself, or the vendor's own words, is proof."""
    outcome = read_order(Answer(status, body, {}), REQUEST)

    assert isinstance(outcome, Unknown) or status in {401, 429}
    assert isinstance(read_found(Answer(status, body, {}), REQUEST), Unknown)


@pytest.mark.parametrize(
    ("told", "link"),
    [
        (answer(200, {"reward": {"id": "4SBV", "link": LINK}}), LINK),
        (answer(200, {"reward": {"id": "OTHER", "link": LINK}}), None),
        (answer(200, {"reward": {"id": "4SBV", "link": "javascript:alert(1)"}}), None),
        (answer(200, {"reward": {"id": "4SBV", "link": f"{LINK} x"}}), None),
        (answer(200, HTML), None),
        (refusal(403), None),
    ],
)
def test_a_link_made_anew_is_read_or_is_not_there(told, link):
    assert read_link(told, "4SBV") == link


def test_the_balance_is_that_of_the_balance():
    sources = [{"id": "CARD", "method": "credit_card"}, {"id": "CASH", "method": "balance"}]
    listed = answer(200, {"funding_sources": sources})
    one = answer(200, {"funding_source": {"id": "CASH", "meta": {"available_cents": 12345}}})

    assert read_balance_source(listed) == "CASH"
    assert read_balance_source(answer(200, {"funding_sources": []})) == Unknown("no_balance_source")
    assert read_balance(one) == Balance(12345, "USD")
    assert read_balance(answer(200, {"funding_source": {}})) == Unknown("unreadable_answer")


def test_no_link_stands_in_a_repr():
    assert LINK not in repr(read_order(answer(200, order()), REQUEST))


@given(st.integers(1, 10**9))
def test_an_order_says_its_amount_exactly_and_the_same_each_time(minor):
    request = OrderRequest(REF, "OKMHM2X2OHYV", minor, "USD")
    said = _order(request)["reward"]["value"]["denomination"]

    assert said * 100 == minor
    assert _order(request) == _order(request)
