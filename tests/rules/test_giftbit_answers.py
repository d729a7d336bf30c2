"""What each of Giftbit's answers proves: the table the waterfall's safety rests on."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.providers.giftbit_answers import (
    Ordered,
    read_balance,
    read_found,
    read_links,
    read_order,
)
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

REF = "0123456789abcdef0123456789abcdef"
UUID = "aa10bbe7bfa64b4a81d61d3ade419653"
REQUEST = OrderRequest(REF, "itunesus", 2500, "USD")
LINK = "https://reward.example/getReward/dl-59ec"
HTML = b"<html><body>502 Bad Gateway</body></html>"
FEES = {
    "cost_entries": [
        {"amount_in_cents": 2500, "currency": "USD"},
        {"amount_in_cents": 15, "currency": "USD"},
    ],
    "total_in_cents": 2515,
}


def body(*, code="INFO_CAMPAIGN_CREATED", links=(LINK,), **changes):
    campaign = {
        "id": REF,
        "uuid": UUID,
        "status": "API_CREATING",
        "price_in_cents": 2500,
        "brand_codes": ["itunesus"],
        "link_count": 1,
        "expiry": "2031-01-01",
        "fees": FEES,
    }
    told = {name: value for name, value in (campaign | changes).items() if value is not ...}
    return {"info": {"code": code}, "status": 200, "campaign": told, "direct_links": list(links)}


def answer(status, told, **headers):
    encoded = told if isinstance(told, bytes) else json.dumps(told).encode()
    return Answer(status, encoded, {name.replace("_", "-"): v for name, v in headers.items()})


def ordered(**changes):
    facts = {
        "vendor_order_id": UUID,
        "face_value_minor": 2500,
        "currency": "USD",
        "cost_minor": 2515,
        "cost_currency": "USD",
        "expires_on": date(2031, 1, 1),
        "links": (LINK,),
    }
    return Ordered(**facts | changes)


def refusal(status, code="ERROR_SOMETHING", message="No."):
    return answer(status, {"error": {"code": code, "message": message}, "status": status})


def fees(*currencies, total=2515):
    return {"cost_entries": [{"currency": c} for c in currencies], "total_in_cents": total}


UNPRICED = {"cost_minor": None, "cost_currency": None}
WAITING = Accepted(UUID, "awaiting_funds")
SETTLED = [
    (body(), ordered()),
    (body(status="CAMPAIGN_CREATED", code="INFO_CAMPAIGN_RETRIEVED"), ordered()),
    (body(links=()), ordered(links=())),
    (body(links=("pending",)), ordered(links=())),
    (body(links=(LINK, LINK + "2")), ordered(links=(LINK, LINK + "2"))),
    (body() | {"direct_links": None}, ordered(links=())),
    (body(expiry=...), ordered(expires_on=None)),
    (body(expiry="soon"), ordered(expires_on=None)),
    (body(price_in_cents=..., fees=..., link_count=...), ordered(**UNPRICED)),
    (body(price_in_cents=2000), ordered(face_value_minor=2000)),
    (body(fees=fees("CAD")), ordered(currency="CAD", cost_currency="CAD")),
    (body(fees=fees("USD", "CAD")), ordered(**UNPRICED)),
    (body(fees=fees("PRO")), ordered(**UNPRICED)),
    (body(fees=fees("USD", total=25.15)), ordered(**UNPRICED)),
    (body(code="INFO_CAMPAIGN_CREATED_FUNDS_REQUIRED"), WAITING),
    (body(code="INFO_CAMPAIGN_FUNDS_PENDING", links=()), WAITING),
    (body(status="AWAITING_FUNDS", links=()), WAITING),
    (body(status="CANCELLED"), Unknown("unknown_status")),
    (body(status=None), Unknown("unknown_status")),
    (body(uuid=...), Unknown("unreadable_answer")),
    ({"campaign": None}, Unknown("unreadable_answer")),
    ([], Unknown("unreadable_answer")),
    (b'{"campaign": {"id', Unknown("unreadable_answer")),
    (HTML, Unknown("unreadable_answer")),
]
ORDERED = [
    (answer(200, body(id=...)), ordered()),
    (answer(200, body(id="f" * 32)), Unknown("other_reference")),
    (answer(200, body(brand_codes=["other"])), Unknown("other_product")),
    (answer(200, body(link_count=2)), Unknown("other_quantity")),
    (answer(201, body()), ordered()),
    (answer(302, b""), Unknown("http_302")),
    (
        refusal(422, "ERROR_CAMPAIGN_INVALID_BRAND"),
        Refused("product_unavailable", "ERROR_CAMPAIGN_INVALID_BRAND"),
    ),
    (
        refusal(422, "ERROR_BRANDS_NO_SUCH_BRAND"),
        Refused("product_unavailable", "ERROR_BRANDS_NO_SUCH_BRAND"),
    ),
    (
        refusal(422, "ERROR_CAMPAIGN_INVALID_BRAND", "The brand is out of stock"),
        Refused("out_of_stock", "ERROR_CAMPAIGN_INVALID_BRAND"),
    ),
    (
        refusal(422, "ERROR_CAMPAIGN_INVALID_PRICE"),
        Refused("invalid_amount", "ERROR_CAMPAIGN_INVALID_PRICE"),
    ),
    (
        refusal(402, "ERROR_FUNDS_CARD_ERROR"),
        Refused("vendor_insufficient_balance", "ERROR_FUNDS_CARD_ERROR"),
    ),
    (refusal(400, "ERROR_BAD_REQUEST"), Refused("vendor_rejected", "ERROR_BAD_REQUEST")),
    (refusal(409, "ERROR_CONFLICT"), Unknown("reference_used")),
    (refusal(422, "ERROR_CAMPAIGN_ID_USED"), Unknown("reference_used")),
    (refusal(422, message="The id has already been used"), Unknown("reference_used")),
    (refusal(422, message="id must be unique"), Unknown("reference_used")),
    (answer(401, HTML), AuthFailed("key_refused")),
    (refusal(403, "ERROR_UNAUTHORIZED"), AuthFailed("not_permitted")),
    (answer(403, HTML), Unknown("http_403_unstructured")),
    (refusal(408), Unknown("http_408")),
    (refusal(429), Throttled(5.0)),
    (answer(429, HTML, retry_after="2"), Throttled(2.0)),
    (answer(422, HTML), Unknown("http_422_unstructured")),
    (answer(422, {"error": {"code": "lower case"}}), Unknown("http_422_unstructured")),
    (answer(500, {"message": "anything"}), Unknown("http_500")),
    (refusal(503), Unknown("http_503")),
]
FOUND = [
    (answer(200, body(id="f" * 32)), Conflicting("other_reference")),
    (answer(200, body(id=...)), Unknown("no_reference")),
    (answer(200, body(brand_codes=["other"])), Conflicting("other_product")),
    (answer(200, body(link_count=2)), Conflicting("other_quantity")),
    (refusal(404, "ERROR_ANYTHING"), Absent()),
    (refusal(422, "ERROR_CAMPAIGN_NO_SUCH_CAMPAIGN"), Absent()),
    (refusal(422, "ERROR_CAMPAIGN_NOT_FOUND"), Absent()),
    (refusal(422, "ERROR_INVALID"), Unknown("http_422")),
    (answer(404, HTML), Unknown("http_404_unstructured")),
    (answer(404, {"status": 404, "error": "Not Found"}), Unknown("http_404_unstructured")),
    (refusal(401), Unknown("question_not_authorised")),
    (refusal(429), Unknown("question_throttled", 5.0)),
    (answer(500, HTML), Unknown("http_500")),
]


@pytest.mark.parametrize(
    ("told", "outcome"), [(answer(200, told), outcome) for told, outcome in SETTLED] + ORDERED
)
def test_an_order_s_answer_proves_what_it_proves(told, outcome):
    assert read_order(told, REQUEST) == outcome


@pytest.mark.parametrize(
    ("told", "outcome"), [(answer(200, told), outcome) for told, outcome in SETTLED] + FOUND
)
def test_a_look_up_s_answer_proves_what_it_proves(told, outcome):
    assert read_found(told, REQUEST) == outcome


@given(st.integers(200, 599), st.binary(max_size=40))
def test_no_bytes_prove_that_an_order_did_not_run(status, told):
    """Only a status that is proof by itself, or the vendor's own words, is proof."""
    outcome = read_order(Answer(status, told, {}), REQUEST)

    assert isinstance(outcome, Unknown) or status in {401, 429}
    assert isinstance(read_found(Answer(status, told, {}), REQUEST), Unknown)


@pytest.mark.parametrize(
    ("told", "links"),
    [
        (answer(200, {"directlinks": [{"link": LINK, "number": 1}]}), (LINK,)),
        (answer(200, {"info": {"code": "INFO_LINKS_GENERATION_IN_PROGRESS"}}), ()),
        (answer(200, {"directlinks": [{"link": None}]}), ()),
        (answer(200, {"directlinks": [LINK]}), ()),
        (answer(200, HTML), ()),
        (refusal(422, "ERROR_LINKS_NO_SUCH_CAMPAIGN"), ()),
    ],
)
def test_links_are_read_or_are_not_there(told, links):
    assert read_links(told) == links


def test_the_balance_is_what_may_be_spent_in_dollars():
    funds = {"USD": {"available_in_cents": 196525, "reserved_in_cents": 41500}}

    assert read_balance(answer(200, {"fundsbycurrency": funds})) == Balance(196525, "USD")
    assert read_balance(answer(200, {"fundsbycurrency": {}})) == Unknown("unreadable_answer")
    assert read_balance(refusal(403)) == Unknown("question_not_authorised")


def test_no_link_stands_in_a_repr():
    assert LINK not in repr(read_order(answer(200, body()), REQUEST))
