"""What each of Tango's answers proves: the table the waterfall's safety rests on (S4-121)."""

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
    IssuedCard,
    OrderRequest,
    Refused,
    Succeeded,
    Throttled,
    Unknown,
)
from pipelines.providers.tango_answers import (
    CODES,
    read_balance,
    read_card,
    read_order,
    read_poll,
    read_rows,
)
from pipelines.providers.transport import Answer

REF = "0123456789abcdef0123456789abcdef"
REQUEST = OrderRequest(REF, "U120000", 2510, "USD")
CARD = IssuedCard("A-1", "0042", None, None)


def credential(kind: str, value: str, form: str = "text") -> dict[str, str]:
    return {"label": "x", "value": value, "type": form, "credentialType": kind}


def record(**changes):
    money = {"value": 25.1, "currencyCode": "USD", "exchangeRate": 1, "fee": 0, "total": 25.6}
    return {
        "referenceOrderID": "RA7",
        "externalRefID": REF,
        "status": "Complete",
        "utid": "U120000",
        "amountCharged": money,
        "denomination": money,
        "reward": {"credentialList": [credential("cardNumber", "A-1"), credential("PIN", "0042")]},
    } | changes


def answer(status: int, body: object, **headers: str) -> Answer:
    return Answer(status, json.dumps(body).encode(), headers)


def error(status: int, key: str, *fields: str) -> Answer:
    errors = [{"path": "utid", "i18nKey": field} for field in fields]
    return answer(status, {"httpCode": status, "message": "no", "i18nKey": key, "errors": errors})


@pytest.mark.parametrize("status", [200, 201])
def test_a_new_order_and_its_repeat_are_the_same_success(status: int):
    assert read_order(answer(status, record()), REQUEST) == Succeeded(
        "RA7", CARD, 2510, "USD", 2560, "USD"
    )


def test_the_original_of_a_repeat_is_compared_with_what_was_asked():
    """EC-066: Tango answers a used reference with its order, whatever the body says now."""
    other_amount = record(denomination={"value": 50, "currencyCode": "USD"})

    assert read_order(answer(200, record(utid="U1")), REQUEST) == Unknown("other_product")
    assert read_order(answer(200, record(externalRefID="x")), REQUEST) == Unknown("other_reference")
    assert read_order(answer(200, other_amount), REQUEST).face_value_minor == 5000
    assert read_poll(answer(200, record(utid="U1")), REQUEST, "RA7") == Conflicting("other_product")


@pytest.mark.parametrize(
    ("given_answer", "outcome"),
    [
        (error(402, "402.001"), Refused("vendor_insufficient_balance", "402.001")),
        (error(400, "400.000", "422.024"), Refused("product_unavailable", "422.024")),
        (error(422, "422.098"), Refused("invalid_amount", "422.098")),
        (error(403, "403.016"), Refused("vendor_rejected", "403.016")),
        (error(400, "400.000", "422.110"), Refused("vendor_rejected", "400.000")),
        (error(503, "503.002"), Refused("out_of_stock", "503.002")),
        (error(503, "503.042"), Refused("out_of_stock", "503.042")),
        (error(503, "503.004"), Unknown("http_503")),
        (error(503, "503.501"), Unknown("http_503")),
        (error(500, "500.003"), Unknown("http_500")),
        (error(500, "422.024"), Unknown("http_500")),
        (error(409, "409.002"), Unknown("order_in_progress")),
        (error(409, "409.024"), Unknown("reference_used")),
        (error(408, "408.001"), Unknown("http_408_unstructured")),
        (error(429, "429.008"), Throttled(1.0)),
        (answer(429, {}, **{"retry-after": "9"}), Throttled(9.0)),
        (error(401, "401.001"), AuthFailed("credentials_refused")),
        (error(404, "404.004"), AuthFailed("account_not_usable")),
        (error(400, "400.000", "422.053"), AuthFailed("account_not_usable")),
        (answer(400, {"message": "bad"}), Unknown("http_400_unstructured")),
        (Answer(404, b"<html>", {}), Unknown("http_404_unstructured")),
        (Answer(201, b'{"referenceOrderID"', {}), Unknown("unreadable_answer")),
        (answer(302, {}), Unknown("http_302_unstructured")),
    ],
)
def test_what_an_order_that_was_not_sold_proves(given_answer: Answer, outcome: object):
    assert read_order(given_answer, REQUEST) == outcome


@pytest.mark.parametrize("key", [key for key in CODES if not key.startswith("503")])
def test_no_key_of_tango_makes_a_500_a_proof(key: str):
    assert read_order(error(500, key), REQUEST) == Unknown("http_500")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("PENDING", Accepted("RA7")),
        ("Pending", Accepted("RA7")),
        ("FAILED", Refused("refunded", "FAILED")),
        ("PARTIAL", Unknown("unknown_status")),
        ("NEW_WORD", Unknown("unknown_status")),
    ],
)
def test_ec062_each_status_says_where_the_order_stands(status: str, outcome: object):
    """EC-062: an order under review is polled; words that Tango may add prove nothing."""
    assert read_poll(answer(200, record(status=status)), REQUEST, "RA7") == outcome


@pytest.mark.parametrize(
    ("credentials", "card"),
    [
        ([credential("claimCode", "C")], IssuedCard("C", None, None, None)),
        ([credential("PIN", "P")], IssuedCard("P", None, None, None)),
        (
            [credential("redemptionUrl", "https://r", "url")],
            IssuedCard("https://r", None, None, None),
        ),
        ([credential("barcode", "8")], IssuedCard("8", None, None, None)),
        (
            [
                credential("expirationDate", "12/31/2028", "date"),
                credential("redemptionUrl", "https://r", "url"),
                credential("securityCode", "99"),
                credential("cardNumber", "N"),
            ],
            IssuedCard("N", "99", "https://r", date(2028, 12, 31)),
        ),
        (
            [credential("claimCode", "C"), credential("expirationDate", "2028-02-30")],
            IssuedCard("C", None, None, None),
        ),
        (
            [credential("claimCode", "C"), credential("expirationDate", "2028-02-29T00:00:00Z")],
            IssuedCard("C", None, None, date(2028, 2, 29)),
        ),
        (
            [credential("somethingNew", "https://n", "url")],
            IssuedCard("https://n", None, None, None),
        ),
        ([credential("somethingNew", "?"), {"value": None}, "x"], None),
        ([], None),
    ],
)
def test_a_card_is_read_from_its_credentials_by_type(credentials: list, card: IssuedCard | None):
    assert read_card({"credentialList": credentials}) == card


def test_a_complete_order_whose_credentials_are_not_shown_is_owed():
    assert read_order(answer(201, record(reward=None)), REQUEST) == Accepted("RA7")


def test_a_card_is_not_lost_for_a_cost_that_cannot_be_read():
    found = read_order(answer(201, record(amountCharged=None)), REQUEST)

    assert (found.card, found.cost_minor, found.cost_currency) == (CARD, None, None)


def test_a_list_is_searched_for_exactly_our_reference():
    upper = record(externalRefID=REF.upper())
    twice = [record(), record(referenceOrderID="RA8")]

    def read(rows: object) -> object:
        return read_rows(answer(200, {"orders": rows}), REQUEST)

    assert read([]) == read([upper]) == Absent()
    assert read([upper, record()]).id == "RA7"
    assert read(twice) == Conflicting("several_live_orders")
    assert read([upper] * 100) == Unknown("report_too_long")
    assert read(None) == Unknown("unreadable_answer")
    assert read_rows(error(429, "429.008"), REQUEST) == Unknown("question_throttled", 1.0)


def test_a_balance_is_rounded_down():
    shown = answer(200, {"currentBalance": 12.349, "currencyCode": "USD"})

    assert read_balance(shown) == Balance(1234, "USD")
    assert read_balance(answer(200, {"currentBalance": 12})) == Unknown("unreadable_answer")


@given(
    st.integers(100, 599),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(sorted(record())), inner, max_size=6)
        ),
        max_leaves=12,
    ),
)
def test_no_strange_answer_is_taken_for_a_card_or_raises(status: int, body: object):
    outcome = read_order(answer(status, body), REQUEST)

    assert not isinstance(outcome, Succeeded | Accepted | Refused)
