"""Tremendous over HTTP, as its documentation tells: statuses, the link told once, its errors."""

from decimal import Decimal
from typing import Any

import pytest

from tests.sandbox.conftest import Running


def place(sandbox: Running, reference: str, **reward: Any):
    told = {
        "value": {"denomination": 25, "currency_code": "USD"},
        "products": ["NILEVISAUS01"],
        "recipient": {"name": "A"},
        "delivery": {"method": "LINK"},
    }
    body = {
        "external_id": reference,
        "payment": {"funding_source_id": "balance"},
        "reward": told | reward,
    }
    return sandbox.call("POST", "/tremendous/orders", json=body)


def reward_of(answer: Any) -> dict[str, Any]:
    return answer.json()["order"]["rewards"][0]


def test_a_new_order_is_200_and_alone_tells_its_link(sandbox: Running):
    first = place(sandbox, "ref-1")
    again = place(sandbox, "ref-1")
    shown = sandbox.call("GET", "/tremendous/orders/ref-1")
    by_id = sandbox.call("GET", f"/tremendous/orders/{first.json()['order']['id']}")

    assert (first.status_code, again.status_code) == (200, 201)
    assert "link" in reward_of(first)["delivery"]
    assert all("link" not in reward_of(one)["delivery"] for one in (again, shown, by_id))
    payment = first.json(parse_float=Decimal)["order"]["payment"]
    assert (payment["total"], payment["fees"]) == (Decimal("25.75"), Decimal("0.75"))


def test_another_body_under_a_used_reference_is_409(sandbox: Running):
    place(sandbox, "ref-1")

    answer = place(sandbox, "ref-1", value={"denomination": 30, "currency_code": "USD"})

    assert answer.status_code == 409
    assert set(answer.json()["errors"]) == {"message", "payload"}


def test_a_link_is_made_anew_for_the_same_card(sandbox: Running):
    first = reward_of(place(sandbox, "ref-1"))
    path = f"/tremendous/rewards/{first['id']}/generate_link"

    links = {sandbox.call("POST", path).json()["reward"]["link"] for _ in range(2)}
    by_mail = reward_of(
        place(sandbox, "ref-2", delivery={"method": "EMAIL"}, recipient={"email": "a@b.example"})
    )
    refused = sandbox.call("POST", f"/tremendous/rewards/{by_mail['id']}/generate_link")

    assert len(links - {first["delivery"]["link"]}) == 2
    assert refused.status_code == 403
    assert sandbox.call("GET", "/control/tremendous/summary").json()["cards_total"] == 2


@pytest.mark.parametrize(
    ("reward", "path"),
    [
        ({"products": ["NOTHING"]}, ("reward", "products")),
        ({"value": {"denomination": 1}}, ("reward", "value", "denomination")),
        ({"value": {"denomination": 25, "currency_code": "EUR"}}, ("reward", "value")),
        ({"delivery": {"method": "EMAIL"}}, ("reward", "recipient", "email")),
    ],
)
def test_a_refusal_mirrors_what_it_minds(sandbox: Running, reward: dict, path: tuple):
    answer = place(sandbox, "ref-1", **reward)

    payload = answer.json()["errors"]["payload"]
    for part in path:
        payload = payload[part]
    assert answer.status_code == 400
    assert sandbox.call("GET", "/tremendous/orders/ref-1").status_code == 404


def test_orders_and_products_are_listed(sandbox: Running):
    place(sandbox, "ref-1")
    place(sandbox, "ref-2")

    both = sandbox.call("GET", "/tremendous/orders").json()
    one = sandbox.call("GET", "/tremendous/orders", params={"external_id": "ref-1"}).json()
    german = sandbox.call("GET", "/tremendous/products", params={"country": "DE"}).json()

    assert (both["total_count"], one["total_count"]) == (2, 1)
    assert [order["external_id"] for order in both["orders"]] == ["ref-2", "ref-1"]
    assert [product["id"] for product in german["products"]] == ["NILEBOOKSDE1"]
