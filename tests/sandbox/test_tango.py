"""Tango's quirks over HTTP, as its documentation has them: what an adapter must live with."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
import requests

from tests.sandbox.conftest import Running


@pytest.fixture
def ask(sandbox: Running):
    """Speak to Tango as a platform does; the order's fields and a fault may be said."""

    def call(method: str, path: str, *, fault: str = "", **options) -> requests.Response:
        headers = {"X-Sandbox-Fault": fault} if fault else {}
        auth = options.pop("auth", ("platform", "key"))
        url = f"{sandbox.url}/tango{path}"
        return requests.request(method, url, auth=auth, headers=headers, timeout=10, **options)

    return call


def order(ask, reference: str | None = "ref-1", *, fault: str = "", **fields) -> requests.Response:
    body = {"customerIdentifier": "c", "accountIdentifier": "a", "utid": "U120000", "amount": 25}
    body |= {"sendEmail": False, "externalRefID": reference} | fields
    return ask("POST", "/orders", json=body, fault=fault)


def key(answer: requests.Response) -> tuple[int, str]:
    told = answer.json()
    return answer.status_code, (told["errors"] or [told])[0]["i18nKey"]


def steer(sandbox: Running, what: str, body: dict) -> None:
    assert sandbox.call("PUT", f"/control/tango/{what}", json=body).status_code == 200


def count(sandbox: Running) -> int:
    return sandbox.call("GET", "/control/tango/summary").json()["orders_total"]


def test_a_repeat_is_answered_with_the_original_whatever_its_body_says(sandbox: Running, ask):
    first, again = order(ask), order(ask, utid="U130000", amount=3)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert count(sandbox) == 1


def test_the_same_reference_while_the_first_runs_is_409_002(sandbox: Running, ask):
    steer(sandbox, "switches", {"latency_seconds": 0.4})
    together = Barrier(2)

    def place() -> requests.Response:
        together.wait()
        return order(ask)

    with ThreadPoolExecutor(2) as pool:
        answers = [one.result() for one in [pool.submit(place), pool.submit(place)]]

    assert sorted(one.status_code for one in answers) == [201, 409]
    assert (409, "409.002") in [key(one) for one in answers if one.status_code == 409]
    assert count(sandbox) == 1


def test_two_calls_within_a_second_are_too_many(sandbox: Running, ask):
    steer(sandbox, "switches", {"calls_per_second": 0.01})

    answers = [order(ask, f"ref-{number}") for number in range(2)]

    assert answers[0].status_code == 201
    assert key(answers[1]) == (429, "429.008")
    assert count(sandbox) == 1


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"utid": "U1"}, (400, "422.024")),
        ({"amount": 501}, (400, "422.025")),
        ({"amount": 25.001}, (400, "422.025")),
        ({"utid": "U120025", "amount": 26}, (400, "422.027")),
        ({"utid": "U140000", "amount": 100.5}, (400, "422.026")),
        ({"utid": "U150300"}, (503, "503.002")),
        ({"accountIdentifier": ""}, (400, "422.053")),
        ({"externalRefID": "r" * 101}, (400, "422.110")),
    ],
)
def test_a_refused_order_uses_no_reference(sandbox: Running, ask, fields: dict, refusal: tuple):
    assert key(order(ask, **fields)) == refusal
    assert count(sandbox) == 0
    assert order(ask).status_code == 201


def test_codes_stand_in_the_list_of_credentials_under_several_labels(ask):
    def kinds(**fields) -> list[tuple[str, str]]:
        listed = order(ask, fields["utid"], **fields).json()["reward"]["credentialList"]
        return [(one["label"], one["credentialType"]) for one in listed]

    assert kinds(utid="U120000") == [
        ("Gift Card Number", "cardNumber"),
        ("PIN", "PIN"),
        ("Redemption URL", "redemptionUrl"),
    ]
    assert kinds(utid="U120025") == [("Claim Code", "claimCode"), ("Expires", "expirationDate")]
    assert kinds(utid="U130000") == [("Redeem here", "redemptionUrl")]


def test_a_list_has_no_rewards_and_a_single_order_has(sandbox: Running, ask):
    made = order(ask).json()

    listed = ask("GET", "/orders", params={"externalRefID": "REF-1"}).json()
    shown = ask("GET", f"/orders/{made['referenceOrderID']}").json()

    assert listed["page"] == {
        "number": 0,
        "elementsPerBlock": 100,
        "resultCount": 1,
        "totalCount": 1,
    }
    assert listed["orders"] == [{name: made[name] for name in made if name != "reward"}]
    assert shown == made
    assert ask("GET", "/orders/RA1").status_code == 404
    too_long = {"startDate": "2026-01-01", "endDate": "2026-06-01"}
    assert key(ask("GET", "/orders", params=too_long)) == (400, "422.043")
    assert key(ask("GET", "/orders", params={"elementsPerBlock": 101})) == (400, "422.042")


def test_an_order_under_review_has_no_codes_for_a_day(ask):
    made = order(ask, fault="processing").json()

    assert (made["status"], made["reward"]["credentialList"]) == ("PENDING", [])


def test_a_refused_review_gives_the_money_back(sandbox: Running, ask):
    steer(sandbox, "balance", {"balance": 100})

    made = order(ask, fault="processing; seconds=0; then=FAILED").json()

    shown = ask("GET", f"/orders/{made['referenceOrderID']}").json()
    balance = ask("GET", "/accounts/a").json()
    assert (shown["status"], balance["currentBalance"]) == ("FAILED", 100)


def test_an_empty_account_is_402_001(sandbox: Running, ask):
    steer(sandbox, "balance", {"balance": "24.99"})

    assert key(order(ask)) == (402, "402.001")


def test_a_card_in_another_currency_is_charged_at_the_rate_and_with_its_fee(ask):
    charged = order(ask, utid="U130000", amount=20).json()["amountCharged"]

    assert [Decimal(str(charged[name])) for name in ("value", "fee", "total")] == [
        Decimal("21.70"),
        Decimal("0.15"),
        Decimal("21.85"),
    ]
    assert charged["currencyCode"] == "USD"


def test_a_second_token_is_refused_for_most_of_a_day(sandbox: Running, ask):
    sandbox.call("DELETE", "/control/tango/tokens")
    asked = {"grant_type": "client_credentials", "client_id": "id", "client_secret": "s"}

    first, second = (ask("POST", "/oauth/token", data=asked, auth=None) for _ in range(2))
    headers = {"Authorization": f"Bearer {first.json()['access_token']}"}
    known = requests.get(f"{sandbox.url}/tango/catalogs", headers=headers, timeout=10)

    assert (first.status_code, first.json()["expires_in"]) == (200, 86_400)
    assert second.status_code == 400
    assert "daily rate limit" in second.json()["error_description"]
    assert [brand["brandName"] for brand in known.json()["brands"]] == [
        "Delta Market",
        "Delta Games",
        "Delta Rare",
    ]


@pytest.mark.parametrize("auth", [None, ("platform", ""), ("platform", "wrong")])
def test_a_call_without_good_credentials_is_refused(sandbox: Running, ask, auth):
    assert key(ask("GET", "/accounts/a", auth=auth)) == (401, "401.001")
