"""Reloadly's faults over HTTP: what the client sees and what really happened."""

import pytest
import requests

from tests.sandbox.conftest import Running


def test_a_connection_cut_after_the_order_leaves_exactly_one_order(sandbox: Running):
    with pytest.raises(requests.ConnectionError):
        sandbox.order("ref-1", fault="drop_after_create")

    assert sandbox.summary()["orders_successful"] == 1
    assert sandbox.look_up("ref-1")["totalElements"] == 1
    assert sandbox.order("ref-1").json()["errorCode"] == "CUSTOM_IDENTIFIER_ALREADY_USED"


def test_a_connection_cut_before_the_order_leaves_none(sandbox: Running):
    with pytest.raises(requests.ConnectionError):
        sandbox.order("ref-1", fault="drop_before_create")

    assert sandbox.summary()["orders_total"] == 0
    assert sandbox.order("ref-1").status_code == 200


@pytest.mark.parametrize(
    ("fault", "status", "orders"),
    [
        ("auth_401", 401, 0),
        ("throttled_429", 429, 0),
        ("error_500_before", 500, 0),
        ("error_500_after", 500, 1),
        ("out_of_stock", 400, 0),
        ("html_502", 502, 0),
        ("html_502; created=true", 502, 1),
        ("garbage", 200, 1),
        ("slow; seconds=0.01", 200, 1),
    ],
)
def test_a_fault_answers_and_executes_as_its_name_says(
    sandbox: Running, fault: str, status: int, orders: int
):
    answer = sandbox.order("ref-1", fault=fault)

    assert answer.status_code == status
    assert sandbox.summary()["orders_total"] == orders
    assert sandbox.summary()["faults_fired"] == {fault.partition(";")[0]: 1}


def test_garbage_is_not_json_and_a_bad_gateway_is_a_page(sandbox: Running):
    garbage = sandbox.order("ref-1", fault="garbage")
    page = sandbox.order("ref-2", fault="html_502")

    with pytest.raises(requests.JSONDecodeError):
        garbage.json()
    assert page.headers["Content-Type"] == "text/html"


def test_throttling_tells_the_wait_only_when_asked_to(sandbox: Running):
    silent = sandbox.order("ref-1", fault="throttled_429")
    telling = sandbox.order("ref-1", fault="throttled_429; retry_after=7")

    assert "Retry-After" not in silent.headers
    assert telling.headers["Retry-After"] == "7"


def test_a_card_of_another_value_says_so(sandbox: Running):
    ranged = sandbox.order("ref-1", fault="wrong_value")
    fixed = sandbox.order("ref-2", fault="wrong_value", productId=121)
    chosen = sandbox.order("ref-3", fault="wrong_value; unit_price=7.5")

    values = [float(answer.json()["product"]["unitPrice"]) for answer in (ranged, fixed, chosen)]
    assert values == [26.0, 10.0, 7.5]


def test_a_processing_order_has_no_codes_until_it_succeeds(sandbox: Running):
    open_order = sandbox.order("ref-1", fault="processing; seconds=3600").json()
    closed_order = sandbox.order("ref-2", fault="processing; seconds=0").json()

    no_codes = sandbox.cards(open_order["transactionId"])
    sandbox.steer("switches", {"empty_cards_while_open": True})

    assert (open_order["status"], closed_order["status"]) == ("PROCESSING", "SUCCESSFUL")
    assert no_codes.status_code == 404
    assert sandbox.cards(open_order["transactionId"]).json() == []
    assert len(sandbox.cards(closed_order["transactionId"]).json()) == 1
    assert sandbox.summary()["cards_total"] == 1


def test_a_processing_order_succeeds_when_its_time_has_come(sandbox: Running):
    order = sandbox.order("ref-1", fault="processing; seconds=0.2").json()
    # A slow look-up is the sandbox's own clock: it answers after the order has settled.
    path = f"/reloadly/reports/transactions/{order['transactionId']}"
    later = sandbox.call("GET", path, headers={"X-Sandbox-Fault": "lookup_slow; seconds=0.3"})

    assert order["status"] == "PROCESSING"
    assert later.json()["status"] == "SUCCESSFUL"
    assert len(sandbox.cards(order["transactionId"]).json()) == 1


def test_a_refunded_order_gives_the_money_back_and_no_codes(sandbox: Running):
    sandbox.steer("balance", {"balance": 100})

    order = sandbox.order("ref-1", fault="processing; seconds=0.2; then=REFUNDED").json()
    path = f"/reloadly/reports/transactions/{order['transactionId']}"
    later = sandbox.call("GET", path, headers={"X-Sandbox-Fault": "lookup_slow; seconds=0.3"})

    assert later.json()["status"] == "REFUNDED"
    assert sandbox.call("GET", "/reloadly/accounts/balance").json()["balance"] == 100
    assert sandbox.cards(order["transactionId"]).status_code == 404
    assert sandbox.summary()["orders_successful"] == 0


def test_a_report_may_lag_behind_and_may_fail(sandbox: Running):
    sandbox.order("ref-1")
    sandbox.steer("faults", {"lookup_empty": {"next": 1, "seconds": 3600}})

    lagging = sandbox.look_up("ref-1")["totalElements"]
    caught_up = sandbox.look_up("ref-1")["totalElements"]
    sandbox.steer("faults", {"lookup_500": {"always": True}})
    failing = sandbox.call("GET", "/reloadly/reports/transactions")

    assert (lagging, caught_up, failing.status_code) == (0, 1, 500)


def test_counted_faults_end_and_permanent_ones_stay_until_cleared(sandbox: Running):
    sandbox.steer("faults", {"error_500_before": {"next": 2}, "auth_401": {"always": True}})

    statuses = [sandbox.order("ref-1").status_code for _ in range(4)]
    sandbox.call("DELETE", "/control/reloadly/faults")

    assert statuses == [500, 500, 401, 401]
    assert sandbox.order("ref-1").status_code == 200


def test_faults_by_rate_repeat_with_their_seed(sandbox: Running):
    faults = {"error_500_before": {"rate": 0.3}, "throttled_429": {"rate": 0.2}}

    def statuses(seed: int) -> list[int]:
        sandbox.steer("faults", {**faults, "seed": seed})
        return [sandbox.order("ref-1", productId=999).status_code for _ in range(40)]

    first, other, again = statuses(7), statuses(8), statuses(7)

    assert first == again
    assert first != other
    assert set(first) == {404, 429, 500}


@pytest.mark.parametrize(
    "faults",
    [
        {"unheard_of": {"next": 1}},
        {"slow": {"rate": 1.5}},
        {"slow": {"rate": 0.1, "next": 1}},
        {"slow": {"next": 1, "minutes": 1}},
        {"slow": {"next": 1, "seconds": "1"}},
        {"slow": {"rate": 0.6}, "garbage": {"rate": 0.6}},
        {"seed": "7"},
    ],
)
def test_a_wrong_fault_is_refused_and_arms_nothing(sandbox: Running, faults: dict):
    answer = sandbox.steer("faults", faults)

    assert answer.status_code == 400
    assert sandbox.call("GET", "/control/reloadly/faults").json()["armed"] == {}
