"""S1-134: `largesse openapi --postman` prints a collection of every operation that can be sent."""

import json
import re
from typing import Any

import pytest
from flask import Flask

from ops.postman import METHODS, SCHEMA, collection, example
from tests.web.conftest import Caller
from tests.web.shells import a_shell
from web.api.registry import described

BASE_URL = "https://gifts.example.com"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return collection(described(), base_url=f"{BASE_URL}/")


def requests_of(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item["request"] for folder in made["item"] for item in folder["item"]}


def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    return {
        operation["operationId"]: (method, path, operation)
        for path, members in described()["paths"].items()
        for method, operation in members.items()
        if method in METHODS
    }


def test_s1_134_every_operation_is_a_request_in_its_resource_s_folder(
    made: dict[str, Any],
) -> None:
    folders = {item["name"]: folder["name"] for folder in made["item"] for item in folder["item"]}

    assert folders == {name: op["tags"][0] for name, (_m, _p, op) in operations().items()}
    for name, request in requests_of(made).items():
        method, path, _operation = operations()[name]
        address = re.sub(r":(\w+)", r"{\1}", request["url"]["raw"].removeprefix("{{base_url}}"))
        assert (request["method"].lower(), address) == (method, path)
        places = {variable["key"] for variable in request["url"]["variable"]}
        assert places == set(re.findall(r"\{(\w+)\}", path))


def test_s1_134_address_and_token_are_variables_and_a_key_is_new_each_time(
    made: dict[str, Any],
) -> None:
    headers = {h["key"]: h for h in requests_of(made)["provision_gift_card"]["header"]}

    assert made["info"]["schema"] == SCHEMA
    assert {v["key"]: v["value"] for v in made["variable"]} == {"base_url": BASE_URL, "token": ""}
    assert made["auth"]["bearer"][0]["value"] == "{{token}}"
    assert headers["Idempotency-Key"]["value"] == "{{$guid}}"
    assert (headers["Idempotency-Key"]["disabled"], headers["Prefer"]["disabled"]) == (False, True)


def test_s1_134_bodies_have_every_member_that_must_be_there(made: dict[str, Any]) -> None:
    asked = requests_of(made)
    schemas = described()["components"]["schemas"]
    looked_at = 0
    for name, (_method, _path, operation) in operations().items():
        content = operation.get("requestBody", {}).get("content", {})
        assert ("body" in asked[name]) == bool(content)
        if reference := content.get("application/json", {}).get("schema", {}).get("$ref"):
            body = json.loads(asked[name]["body"]["raw"])
            assert set(schemas[reference.rpartition("/")[2]].get("required", ())) <= set(body)
            looked_at += 1
    assert looked_at > 50


def test_s1_134_a_schema_that_holds_itself_comes_to_an_end() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/node"}}, "required": ["next"]}

    assert example({"node": node}, {"$ref": "#/node"})["next"]["next"] is not None


def test_s1_134_the_command_prints_what_can_be_sent(app: Flask, manager: Caller) -> None:
    with a_shell(app, manager) as shell:
        document = json.loads(shell.run("openapi").stdout)
        made = json.loads(shell.run("openapi", "--postman").stdout)

    listed = requests_of(made)["list_brands"]["url"]["raw"].removeprefix("{{base_url}}/api/v1")
    assert document["openapi"] == "3.1.0"
    assert manager.get(listed).status_code == 200
    assert manager.headers["Authorization"][7:] not in json.dumps(made)
