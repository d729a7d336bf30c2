"""What each of Reloadly's answers proves: the table the waterfall's safety rests on."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.providers.ports import (
    Absent,
    Accepted,
    AuthFailed,
    Conflicting,
    IssuedCard,
    NotSent,
    OrderRequest,
    Refused,
    Throttled,
    Unknown,
)
from pipelines.providers.reloadly import _report_query
from pipelines.providers.reloadly_answers import (
    Bought,
    Page,
    judge_rows,
    read_cards,
    read_order,
    read_page,
    read_poll,
)
from pipelines.providers.reloadly_token import read_token
from pipelines.providers.transport import Answer

REF = "0123456789abcdef0123456789abcdef"
REQUEST = OrderRequest(REF, "13", 2510, "USD")
BOUGHT = Bought("7", 2510, "USD", 2475, "EUR")


def record(**changes):
    """An order's record as Reloadly sends it; a change to None leaves the null in."""
    product = {"productId": 13, "quantity": 1, "unitPrice": 25.1, "currencyCode": "USD"}
    return {
        "transactionId": 7,
        "amount": 24.745,
        "currencyCode": "EUR",
        "status": "SUCCESSFUL",
        "customIdentifier": REF,
        "product": product | changes.pop("product", {}),
    } | changes


def answer(status, body, **headers):
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, encoded, {name.replace("_", "-"): v for name, v in headers.items()})


def refusal(status, code, message="No.", **headers):
    return answer(status, {"timeStamp": "x", "message": message, "errorCode": code}, **headers)


HTML = b"<html><body>502 Bad Gateway</body></html>"
GATEWAY_404 = {"timestamp": "x", "status": 404, "error": "Not Found", "path": "/orders"}

ORDER_ANSWERS = [
    (answer(200, record()), BOUGHT),
    (answer(201, record()), BOUGHT),
    (answer(200, record(customIdentifier=None)), BOUGHT),
    (answer(200, record(transactionId="7")), BOUGHT),
    (answer(200, record(status="Successful")), BOUGHT),
    (answer(200, record(amount=None)), Bought("7", 2510, "USD", None, None)),
    (answer(200, record(product={"unitPrice": 50})), Bought("7", 5000, "USD", 2475, "EUR")),
    (
        answer(200, record(product={"currencyCode": "JPY", "unitPrice": 500})),
        Bought("7", 500, "JPY", 2475, "EUR"),
    ),
    (answer(200, record(status="PENDING")), Accepted("7")),
    (answer(200, record(status="PROCESSING")), Accepted("7")),
    (answer(200, record(status="FAILED")), Refused("refunded", "FAILED")),
    (answer(200, record(status="REFUNDED")), Refused("refunded", "REFUNDED")),
    (answer(200, record(status="ON_HOLD")), Unknown("unknown_status")),
    (answer(200, record(status=None)), Unknown("unreadable_answer")),
    (answer(200, record(transactionId=None)), Unknown("unreadable_answer")),
    (answer(200, record(transactionId=True)), Unknown("unreadable_answer")),
    (answer(200, record(customIdentifier="f" * 32)), Unknown("other_reference")),
    (answer(200, record(product={"productId": 14})), Unknown("other_product")),
    (answer(200, record(product={"quantity": 2})), Unknown("other_quantity")),
    (answer(200, record(product={"unitPrice": 25.105})), Unknown("unreadable_answer")),
    (answer(200, record(product={"unitPrice": "25.1"})), Unknown("unreadable_answer")),
    (answer(200, record(product={"currencyCode": "usd"})), Unknown("unreadable_answer")),
    (answer(200, {**record(), "product": None}), Unknown("unreadable_answer")),
    (answer(200, []), Unknown("unreadable_answer")),
    (answer(200, b""), Unknown("unreadable_answer")),
    (answer(200, b'{"transactionId": 7, "stat'), Unknown("unreadable_answer")),
    (answer(200, b"[" * 200_000), Unknown("unreadable_answer")),
    (answer(200, b'{"transactionId": NaN}'), Unknown("unreadable_answer")),
    (answer(200, b'{"transactionId": ' + b"9" * 5000 + b"}"), Unknown("unreadable_answer")),
    (answer(200, b"\xff\xfe"), Unknown("unreadable_answer")),
    (answer(204, b""), Unknown("unreadable_answer")),
    (answer(302, b""), Unknown("http_302")),
    (
        refusal(400, "CUSTOM_IDENTIFIER_ALREADY_USED"),
        Unknown("reference_used"),
    ),
    (
        refusal(400, "INSUFFICIENT_BALANCE"),
        Refused("vendor_insufficient_balance", "INSUFFICIENT_BALANCE"),
    ),
    (
        refusal(400, None, "Insufficient funds in your wallet"),
        Refused("vendor_insufficient_balance", None),
    ),
    (refusal(400, "WRONG_PRODUCT_PRICE"), Refused("invalid_amount", "WRONG_PRODUCT_PRICE")),
    (refusal(400, None, "Invalid price for this product"), Refused("invalid_amount", None)),
    (
        refusal(400, None, "You cannot order products valued more than 100 USD at a go"),
        Refused("invalid_amount", None),
    ),
    (refusal(404, "INVALID_PRODUCT"), Refused("product_unavailable", "INVALID_PRODUCT")),
    (
        refusal(400, "TRANSACTION_CANNOT_BE_PROCESSED_AT_THE_MOMENT"),
        Refused("product_unavailable", "TRANSACTION_CANNOT_BE_PROCESSED_AT_THE_MOMENT"),
    ),
    (refusal(400, "PRODUCT_OUT_OF_STOCK"), Refused("out_of_stock", "PRODUCT_OUT_OF_STOCK")),
    (refusal(400, None, "This product is out of stock"), Refused("out_of_stock", None)),
    (
        refusal(400, "INVALID_INPUT_PROVIDED"),
        Refused("vendor_rejected", "INVALID_INPUT_PROVIDED"),
    ),
    (refusal(422, "SOMETHING_NEW"), Refused("vendor_rejected", "SOMETHING_NEW")),
    (refusal(400, "j.doe@example.com"), Refused("vendor_rejected", None)),
    (refusal(403, None), Refused("vendor_rejected", None)),
    (refusal(401, "INVALID_TOKEN"), AuthFailed("token_refused")),
    (refusal(408, "TIMEOUT"), Unknown("http_408")),
    (refusal(409, "CONFLICT"), Unknown("http_409")),
    (answer(404, GATEWAY_404), Unknown("http_404_unstructured")),
    (answer(400, {"errorCode": "WRONG_PRODUCT_PRICE"}), Unknown("http_400_unstructured")),
    (answer(400, HTML), Unknown("http_400_unreadable")),
    (answer(403, b""), Unknown("http_403_unreadable")),
    (answer(429, HTML), Throttled(5.0)),
    (refusal(429, None, retry_after="17"), Throttled(17.0)),
    (refusal(429, None, retry_after="0"), Throttled(1.0)),
    (refusal(429, None, retry_after="999999"), Throttled(3600.0)),
    (refusal(429, None, retry_after="soon"), Throttled(5.0)),
    (
        refusal(
            429,
            None,
            retry_after="Wed, 21 Oct 2026 07:28:30 GMT",
            date="Wed, 21 Oct 2026 07:28:00 GMT",
        ),
        Throttled(30.0),
    ),
    (refusal(429, None, retry_after="Wed, 21 Oct 2026 07:28:30 GMT"), Throttled(5.0)),
    (refusal(500, "TRANSACTION_CANNOT_BE_PROCESSED_AT_THE_MOMENT"), Unknown("http_500")),
    (answer(502, HTML), Unknown("http_502")),
    (answer(503, b""), Unknown("http_503")),
    (answer(504, HTML), Unknown("http_504")),
]


@pytest.mark.parametrize(("given_answer", "outcome"), ORDER_ANSWERS)
def test_each_answer_to_an_order_has_one_outcome(given_answer, outcome):
    assert read_order(given_answer, REQUEST) == outcome


@given(st.integers(100, 599), st.binary(max_size=200))
def test_bytes_that_are_no_known_answer_prove_nothing(status, body):
    outcome = read_order(Answer(status, body, {}), REQUEST)

    if status not in {401, 429}:
        assert isinstance(outcome, Unknown)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["transactionId", "status", "product", "message", "errorCode"]),
            inner | st.sampled_from(["SUCCESSFUL", "REFUNDED", "PENDING"]),
        )
    ),
    max_leaves=12,
)


@given(st.integers(200, 599), json_values)
def test_any_json_has_an_outcome_and_only_a_4xx_or_a_dead_order_is_a_refusal(status, value):
    outcome = read_order(answer(status, value), REQUEST)

    if isinstance(outcome, Refused) and outcome.code != "refunded":
        assert 400 <= status < 500
        assert isinstance(value["message"], str)
    if status >= 500:
        assert outcome == Unknown(f"http_{status}")


@given(json_values)
def test_any_json_can_be_read_as_report_cards_and_token(value):
    whole = answer(200, value)

    assert isinstance(read_page(whole), Page | Unknown)
    assert isinstance(read_cards(whole), tuple)
    assert read_token(whole) == (NotSent("token_unreadable"), 0.0)


def rows(*records):
    return read_page(answer(200, {"content": list(records), "last": True})).rows


REPORTS = [
    (rows(), Absent()),
    (rows(record(customIdentifier=REF.upper())), Absent()),
    (rows(record(customIdentifier=None)), Absent()),
    (rows(record()), BOUGHT),
    (rows(record(transactionId=8, customIdentifier=REF.upper()), record()), BOUGHT),
    (rows(record(), record()), BOUGHT),
    (rows(record(transactionId=6, status="FAILED"), record()), BOUGHT),
    (rows(record(), record(transactionId=8, status="REFUNDED")), BOUGHT),
    (rows(record(status="PROCESSING")), Accepted("7")),
    (rows(record(transactionId=6, status="FAILED"), record(status="PENDING")), Accepted("7")),
    (rows(record(status="REFUNDED")), Refused("refunded", "REFUNDED")),
    (
        rows(record(status="FAILED"), record(transactionId=8, status="REFUNDED")),
        Refused("refunded", "FAILED"),
    ),
    (rows(record(), record(transactionId=8)), Conflicting("several_live_orders")),
    (
        rows(record(), record(transactionId=8, status="PENDING")),
        Conflicting("several_live_orders"),
    ),
    (
        rows(record(status="PENDING"), record(transactionId=8, status="PENDING")),
        Conflicting("several_live_orders"),
    ),
    (rows(record(), record(transactionId=8, status="ODD")), Conflicting("several_live_orders")),
    (rows(record(status="ODD")), Unknown("unknown_status")),
    (rows(record(product={"productId": 14})), Conflicting("other_product")),
    (rows(record(product={"quantity": 3})), Conflicting("other_quantity")),
    (rows(record(product={"unitPrice": None})), Unknown("unreadable_answer")),
]


@pytest.mark.parametrize(("report", "verdict"), REPORTS)
def test_the_report_is_judged_by_our_own_reference(report, verdict):
    assert judge_rows(report, REQUEST) == verdict


@pytest.mark.parametrize(
    ("given_answer", "page"),
    [
        (answer(200, {"content": [], "last": False}), Page((), is_last=False)),
        (answer(200, {"content": []}), Page((), is_last=True)),
        (answer(200, {"content": [record()] * 50}), Page(rows(record()) * 50, is_last=False)),
        (answer(200, {"content": [record(), {}]}), Unknown("unreadable_answer")),
        (answer(200, {"message": "No."}), Unknown("unreadable_answer")),
        (answer(200, HTML), Unknown("unreadable_answer")),
        (answer(404, GATEWAY_404), Unknown("http_404")),
        (answer(429, b""), Unknown("question_throttled", 5.0)),
        (answer(500, b""), Unknown("http_500")),
    ],
)
def test_only_a_whole_page_counts_as_a_report(given_answer, page):
    assert read_page(given_answer) == page


@pytest.mark.parametrize(
    ("given_answer", "verdict"),
    [
        (answer(200, record()), BOUGHT),
        (answer(200, record(status="PROCESSING")), Accepted("7")),
        (answer(200, record(status="REFUNDED")), Refused("refunded", "REFUNDED")),
        (answer(200, record(transactionId=8)), Unknown("other_order")),
        (answer(200, record(customIdentifier="f" * 32)), Conflicting("other_reference")),
        (answer(200, record(product={"productId": 1})), Conflicting("other_product")),
        (refusal(404, None, "Gift Card transaction not found."), Unknown("order_gone")),
        (answer(400, GATEWAY_404), Unknown("order_gone")),
        (refusal(429, None), Unknown("question_throttled", 5.0)),
        (refusal(401, "INVALID_TOKEN"), Unknown("question_not_authorised")),
        (answer(200, HTML), Unknown("unreadable_answer")),
    ],
)
def test_a_poll_never_takes_a_failed_question_for_a_failed_order(given_answer, verdict):
    assert read_poll(given_answer, REQUEST, "7") == verdict


@pytest.mark.parametrize(
    ("given_answer", "cards"),
    [
        (
            answer(200, [{"cardNumber": "0012", "pinCode": "34"}]),
            (IssuedCard("0012", "34", None, None),),
        ),
        (
            answer(200, {"cardNumber": 6012345678901234567, "pinCode": 99}),
            (IssuedCard("6012345678901234567", "99", None, None),),
        ),
        (
            answer(200, [{"cardNumber": "1", "pinCode": None, "redemptionUrl": "https://x/y"}]),
            (IssuedCard("1", None, "https://x/y", None),),
        ),
        (
            answer(200, [{"cardNumber": "", "pinCode": "34"}]),
            (IssuedCard("34", None, None, None),),
        ),
        (
            answer(200, [{"cardNumber": None, "pinCode": None, "redemptionUrl": "https://x/y"}]),
            (IssuedCard("https://x/y", None, None, None),),
        ),
        (
            answer(200, [{"cardNumber": "1"}, {"cardNumber": "2"}]),
            (IssuedCard("1", None, None, None), IssuedCard("2", None, None, None)),
        ),
        (answer(200, []), ()),
        (answer(200, {}), ()),
        (answer(200, [{"cardNumber": " "}]), ()),
        (answer(200, HTML), ()),
        (refusal(404, None), ()),
        (answer(500, [{"cardNumber": "1"}]), ()),
    ],
)
def test_cards_are_read_as_object_or_array_text_or_number(given_answer, cards):
    assert read_cards(given_answer) == cards


def test_a_card_never_shows_itself():
    card = IssuedCard("6012345678901234", "99", "https://x/y", None)

    assert f"{card!r} {card}" == "IssuedCard([removed]) IssuedCard([removed])"


def test_the_report_is_asked_a_day_and_a_half_around_the_order():
    sent_at = datetime(2026, 3, 1, 6, 0, 0, tzinfo=UTC)

    assert _report_query(OrderRequest(REF, "13", 2510, "USD", sent_at), 2) == {
        "customIdentifier": REF,
        "page": "2",
        "size": "50",
        "startDate": "2026-02-27 18:00:00",
        "endDate": "2026-03-02 18:00:00",
    }
    assert set(_report_query(REQUEST, 1)) == {"customIdentifier", "page", "size"}
