"""S4-101, S4-102: each field of the first notes is somewhere in the API, as docs/delivery.md says."""

import re
from typing import Any

import pytest

from tests.house.test_sizes import ROOT
from web.api.registry import described

PROVISION = "/api/v1/gift-cards/provision"
REVEAL = "/api/v1/gift-cards/{redemption_id}/reveal"
NAMED = re.compile(r"`([\w.]+)`")
#: What the notes list.
REQUEST = {
    *("campaignId", "brandId", "denomination", "redemptionCode"),
    *("recipientId", "deliveryMethod", "deliveryAddress"),
}
ANSWER = {
    *("success", "redemption", "card", "card.cardCode", "card.cardNumber", "card.cardValue"),
    *("source", "creditRemaining"),
}


def table(heading: str) -> dict[str, str]:
    """The rows below a heading: the notes' name, and the cell that says ours."""
    text = (ROOT / "docs/delivery.md").read_text(encoding="utf-8")
    lines = text.partition(f"| {heading} | here |\n")[2].splitlines()[1:]
    found = {}
    for line in lines:
        if not line.startswith("|"):
            break
        theirs, ours = line.strip("|").split("|")
        found[NAMED.findall(theirs)[0]] = ours
    return found


def schema_of(path: str, *, answers: bool) -> dict[str, Any]:
    operation = described()["paths"][path]["post"]
    body = operation["responses"]["200"] if answers else operation["requestBody"]
    return body["content"]["application/json"]["schema"]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The object behind a reference, which may be one of those that may be null."""
    for member in (schema, *schema.get("anyOf", ()), *schema.get("allOf", ())):
        if "$ref" in member:
            return described()["components"]["schemas"][member["$ref"].rpartition("/")[2]]
    return schema


def has(schema: dict[str, Any], name: str) -> bool:
    for part in name.split("."):
        members = resolved(schema).get("properties", {})
        if part not in members:
            return False
        schema = members[part]
    return True


def test_s4_101_102_the_tables_have_every_field_of_the_notes():
    """S4-101, S4-102"""
    assert set(table("request in the notes")) == REQUEST
    assert set(table("answer in the notes")) == ANSWER


@pytest.mark.parametrize("theirs", sorted(REQUEST))
def test_s4_101_each_field_of_the_notes_request_can_be_sent(theirs: str):
    """S4-101"""
    names = NAMED.findall(table("request in the notes")[theirs])

    assert names
    assert [name for name in names if not has(schema_of(PROVISION, answers=False), name)] == []


@pytest.mark.parametrize("theirs", sorted(ANSWER))
def test_s4_102_each_field_of_the_notes_answer_is_served(theirs: str):
    """S4-102"""
    ours = table("answer in the notes")[theirs]
    path = REVEAL if "of the reveal" in ours else PROVISION
    names = NAMED.findall(ours)

    assert names
    assert [name for name in names if not has(schema_of(path, answers=True), name)] == []
