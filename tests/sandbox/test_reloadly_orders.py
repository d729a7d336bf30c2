"""Reloadly's orders over HTTP: duplicates, look-up, prices, codes and the account."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier

from tests.sandbox.conftest import V2, Running


def test_an_order_answers_with_its_record_and_its_code(sandbox: Running):
    answer = sandbox.order("ref-1")
    order = answer.json(parse_float=Decimal)
    cards = sandbox.cards(order["transactionId"])

    assert answer.status_code == 200
    assert order["status"] == "SUCCESSFUL"
    assert order["customIdentifier"] == "ref-1"
    assert order["recipientEmail"] is None
    assert Decimal(order["product"]["unitPrice"]) == 25
    assert Decimal(order["amount"]) == Decimal("23.625")
    assert order["balanceInfo"]["oldBalance"] == 1_000_000_000
    assert order["balanceInfo"]["newBalance"] == Decimal("999999976.375")
    assert [sorted(card) for card in cards.json()] == [["cardNumber", "pinCode"]]
    assert cards.json()[0]["cardNumber"][:3] == "SBX"
    assert len(cards.json()[0]["cardNumber"]) == 19
    assert [sorted(card) for card in sandbox.cards(order["transactionId"], V2).json()] == [
        ["cardNumber", "pinCode", "redemptionUrl"]
    ]
    assert sandbox.cards(order["transactionId"], "application/json").status_code == 406


def test_a_used_reference_is_refused_without_the_order(sandbox: Running):
    sandbox.order("ref-1")

    answer = sandbox.order("ref-1", unitPrice=50)

    assert answer.status_code == 400
    assert answer.json()["errorCode"] == "CUSTOM_IDENTIFIER_ALREADY_USED"
    assert sorted(answer.json()) == [
        "details",
        "errorCode",
        "infoLink",
        "message",
        "path",
        "timeStamp",
    ]
    assert sandbox.summary()["orders_total"] == 1


def test_two_overlapping_orders_with_one_reference_both_execute(sandbox: Running):
    sandbox.steer("switches", {"latency_seconds": 0.5})
    together = Barrier(2)

    def order() -> int:
        together.wait()
        return sandbox.order("ref-1").status_code

    with ThreadPoolExecutor(2) as pool:
        statuses = [pool.submit(order), pool.submit(order)]

    assert [status.result() for status in statuses] == [200, 200]
    assert sandbox.summary()["duplicates"] == ["ref-1"]
    assert sandbox.look_up("ref-1")["totalElements"] == 2


def test_a_refused_order_does_not_use_its_reference(sandbox: Running):
    too_small = sandbox.order("ref-1", unitPrice=0.5)
    not_sold = sandbox.order("ref-1", productId=121, unitPrice=24)
    unknown = sandbox.order("ref-1", productId=999)
    malformed = sandbox.order("ref-1", quantity="1")

    assert (too_small.status_code, too_small.json()["errorCode"]) == (400, "WRONG_PRODUCT_PRICE")
    assert (not_sold.status_code, not_sold.json()["errorCode"]) == (400, None)
    assert (unknown.status_code, unknown.json()["errorCode"]) == (404, "INVALID_PRODUCT")
    assert malformed.json()["errorCode"] == "INVALID_INPUT_PROVIDED"
    assert sandbox.summary()["orders_total"] == 0
    assert sandbox.order("ref-1").status_code == 200


def test_a_look_up_ignores_case_and_page_0_is_page_1(sandbox: Running):
    sandbox.order("Ref-A")
    sandbox.order("ref-a")
    sandbox.order("ref-b")

    found = sandbox.look_up("REF-A", page=0, size=500)

    assert [row["customIdentifier"] for row in found["content"]] == ["ref-a", "Ref-A"]
    assert (found["number"], found["size"], found["totalPages"]) == (0, 50, 1)
    assert found == sandbox.look_up("REF-A", page=1)
    assert sandbox.look_up("REF-A", page=2)["content"] == []
    assert sandbox.look_up("ref-c")["empty"] is True


def test_report_dates_are_read_four_hours_behind_utc(sandbox: Running):
    sandbox.order("ref-1")
    now = datetime.now(UTC)
    minutes = [now - timedelta(minutes=5), now + timedelta(minutes=5)]
    as_utc = [moment.strftime("%Y-%m-%d %H:%M:%S") for moment in minutes]
    as_read = [(m - timedelta(hours=4)).strftime("%Y-%m-%d %H:%M:%S") for m in minutes]

    found_as_utc = sandbox.look_up("ref-1", startDate=as_utc[0], endDate=as_utc[1])
    found_as_read = sandbox.look_up("ref-1", startDate=as_read[0], endDate=as_read[1])

    assert found_as_utc["totalElements"] == 0
    assert found_as_read["totalElements"] == 1


def test_an_order_is_found_by_its_transaction_id(sandbox: Running):
    order = sandbox.order("ref-1").json()

    path = f"/reloadly/reports/transactions/{order['transactionId']}"
    found = sandbox.call("GET", path)
    unknown = sandbox.call("GET", "/reloadly/reports/transactions/1")

    assert found.json() == order
    assert unknown.status_code == 404
    assert unknown.json()["message"] == "Gift Card transaction not found."


def test_an_empty_account_refuses_and_keeps_its_balance(sandbox: Running):
    sandbox.steer("balance", {"balance": "40.00"})

    first = sandbox.order("ref-1")
    second = sandbox.order("ref-2")
    balance = sandbox.call("GET", "/reloadly/accounts/balance").json(parse_float=Decimal)

    assert first.status_code == 200
    assert (second.status_code, second.json()["errorCode"]) == (400, "INSUFFICIENT_BALANCE")
    assert balance["balance"] == Decimal("16.375")
    assert sandbox.summary()["orders_total"] == 1


def test_the_cap_of_100_usd_is_a_switch(sandbox: Running):
    free = sandbox.order("ref-1", unitPrice=60, quantity=2)
    sandbox.steer("switches", {"cap_100_usd": True})
    capped = sandbox.order("ref-2", unitPrice=60, quantity=2)

    assert free.status_code == 200
    assert len(sandbox.cards(free.json()["transactionId"]).json()) == 2
    assert (capped.status_code, capped.json()["errorCode"]) == (400, None)


def test_cards_come_as_integers_and_as_a_bare_object_on_request(sandbox: Running):
    sandbox.steer("switches", {"integer_cards": True, "object_cards": True})

    order = sandbox.order("ref-1").json()
    card = sandbox.cards(order["transactionId"]).json()

    assert [type(value) for value in card.values()] == [int, int]


def test_a_call_without_a_good_token_is_refused(sandbox: Running):
    missing = sandbox.call("GET", "/reloadly/accounts/balance", headers={"Authorization": ""})
    sandbox.call("DELETE", "/control/reloadly/tokens")
    revoked = sandbox.order("ref-1")
    sandbox.steer("switches", {"token_seconds": 0})
    sandbox.sign_in()
    expired = sandbox.order("ref-1")

    assert [answer.status_code for answer in (missing, revoked, expired)] == [401, 401, 401]
    codes = [answer.json()["errorCode"] for answer in (missing, revoked, expired)]
    assert codes == ["MISSING_TOKEN", "INVALID_TOKEN", "TOKEN_EXPIRED"]
    assert sandbox.summary()["orders_total"] == 0


def test_the_catalogue_lists_the_products_and_their_cost(sandbox: Running):
    listed = sandbox.call("GET", "/reloadly/products").json(parse_float=Decimal)
    fixed = sandbox.call("GET", "/reloadly/products/121").json(parse_float=Decimal)
    german = sandbox.call("GET", "/reloadly/countries/DE/products").json()
    euro = sandbox.order("ref-1", productId=130, unitPrice=20).json(parse_float=Decimal)

    assert [product["productId"] for product in listed["content"]] == [120, 121, 130, 140, 150]
    assert fixed["fixedRecipientDenominations"] == [10, 25, 50, 100]
    assert fixed["fixedRecipientToSenderDenominationsMap"]["25.0"] == 25
    assert [product["productId"] for product in german] == [130]
    assert Decimal(euro["amount"]) == Decimal("20.88062")


def test_control_lists_orders_and_counts_calls(sandbox: Running):
    orders = [sandbox.order(f"ref-{number}").json() for number in range(3)]
    sandbox.cards(orders[0]["transactionId"])
    sandbox.look_up("ref-1")

    page = sandbox.call("GET", "/control/reloadly/orders?limit=2&offset=1").json()

    assert page["total"] == 3
    assert [
        (row["transaction_id"], row["reference"], row["status"], row["unit_price"])
        for row in page["orders"]
    ] == [
        (orders[1]["transactionId"], "ref-1", "SUCCESSFUL", "25"),
        (orders[2]["transactionId"], "ref-2", "SUCCESSFUL", "25"),
    ]
    assert sandbox.summary() == {
        "orders_total": 3,
        "orders_successful": 3,
        "distinct_references": 3,
        "duplicates": [],
        "cards_total": 3,
        "calls": {
            "GET /orders/transactions/{transaction_id}/cards": 1,
            "GET /reports/transactions": 1,
            "POST /auth/oauth/token": 1,
            "POST /orders": 3,
        },
        "faults_fired": {},
    }
