"""S4-035, S4-036: the API's document names a type for all that credit, gift cards and books ask and answer.

Whoever generates types from it (README) gets one with a name for every body and every answer, with
every word of an enumeration, and no object of unknown members.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from models.approvals import ApprovalState
from models.books import CouponState
from models.cards import CardState, PoolKind, Source
from models.deliveries import Channel, DeliveryState
from models.jobs import ItemState, JobState
from models.ledger import Tier, TransferKind
from models.tenants import BudgetMode, CampaignState
from pipelines.books.read import BookState
from pipelines.jobs.kinds import OnError
from pipelines.pools.health import Health
from pipelines.provisioning.plan import Dedupe
from pipelines.provisioning.recipients import DeliveryMethod
from web.api.registry import RESOURCES
from web.api.routes import document

#: The resources of credit and gift cards, by their tags.
TAGS = {
    *("credit", "credit-statements", "credit-projection", "credit-corrections", "claw-backs"),
    *("balance-sheets", "campaigns", "gift-cards", "gift-card-jobs", "gift-card-pools"),
    *("books", "book-codes"),
    *("card-batches", "redemption-codes", "redeem", "deliveries", "jobs", "profit", "prices"),
}
#: What an approval is about differs by its kind: its members are told on the console.
OPEN = {"Approval.detail"}
WORDS = {
    "Account.tier": Tier,
    "Transaction.kind": TransferKind,
    "MovementShown.kind": TransferKind,
    "SheetTotal.tier": Tier,
    "Campaign.state": CampaignState,
    "Campaign.budget_mode": BudgetMode,
    "BudgetBody.mode": BudgetMode,
    "Approval.state": [*ApprovalState, "expired"],
    "Book.state": BookState,
    "BookCoupon.state": CouponState,
    "CodesBody.on_error": OnError,
    "Pool.kind": PoolKind,
    "Pool.health": Health,
    "StockLine.health": Health,
    "Batch.state": JobState,
    "BatchCard.state": CardState,
    "Job.state": JobState,
    "JobResult.source": Source,
    "JobItem.state": ItemState,
    "JobItem.source": [*Source, None],
    "JobItem.delivery_state": ["none", *DeliveryState, None],
    "CardDelivery.channel": [*Channel, None],
    "CardDelivery.state": ["none", *DeliveryState],
    "ProfitLine.source": Source,
    "ProvisionBody.delivery_method": DeliveryMethod,
    "BulkBody.delivery_method": DeliveryMethod,
    "BulkBody.on_error": OnError,
    "BulkBody.dedupe": Dedupe,
    "BulkFile.dedupe": Dedupe,
}


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return document(RESOURCES)


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in spec["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict) and TAGS & set(operation.get("tags", ())):
                yield operation["operationId"], operation


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """`(where, schema)` of each body and each answer of its own; 204 has none."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"body {kind}", content["schema"]
    for status, answer in operation["responses"].items():
        if status != "204" and "$ref" not in answer:
            assert answer.get("content"), f"{operation['operationId']} {status}: no content"
            for kind, content in answer["content"].items():
                yield f"{status} {kind}", content["schema"]


def names_in(schema: Any) -> Iterator[str]:
    """The components that a schema refers to."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for inner in schema.values():
            yield from names_in(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from names_in(inner)


def reached(spec: dict[str, Any]) -> set[str]:
    """Every component that these operations ask for or answer with, at any depth."""
    ahead = [n for _, op in operations(spec) for _, s in contents(op) for n in names_in(s)]
    found: set[str] = set()
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += names_in(spec["components"]["schemas"][name])
    return found


def is_nameless(schema: dict[str, Any]) -> bool:
    """An object whose members nobody can know: neither named, nor a map to something known."""
    if "items" in schema:
        return is_nameless(schema["items"])
    kind = schema.get("type")
    is_object = kind == "object" or (isinstance(kind, list) and "object" in kind)
    return is_object and not schema.get("additionalProperties") and "properties" not in schema


def test_s4_035_every_body_and_answer_of_credit_and_gift_cards_has_a_named_type(
    spec: dict[str, Any],
) -> None:
    asked = [(f"{name}: {at}", s) for name, op in operations(spec) for at, s in contents(op)]
    loose = [
        at
        for at, schema in asked
        if "$ref" not in schema.get("items", schema) and schema != {"type": "string"}
    ]

    assert len(asked) > 60
    assert loose == []


def test_s4_036_no_object_of_theirs_has_members_that_nobody_names(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    loose = {
        f"{name}.{member}"
        for name in reached(spec)
        for member, schema in schemas[name].get("properties", {}).items()
        if is_nameless(schema)
    }

    assert loose == OPEN


def test_s4_035_every_enumeration_lists_its_words(spec: dict[str, Any]) -> None:
    schemas = spec["components"]["schemas"]
    for place, words in WORDS.items():
        name, _, member = place.partition(".")
        assert name in reached(spec), place
        listed = schemas[name]["properties"][member].get("enum", [])
        assert listed == [None if word is None else str(word) for word in words], place
