"""Requests made from the OpenAPI document: no fault, no answer it does not describe, no leak (SEC-10).

`make fuzz EXAMPLES=500` asks longer.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pipelines.wiring import House
from tests.models.two_tenants import Two
from tests.partnering import Partner, full_partner, opened
from tests.security.tenants import Known, known_of
from tests.web.conftest import Caller

EXAMPLES = int(os.environ.get("EXAMPLES", "2"))
#: Asked for elsewhere: a caller who signs out or changes their password asks nothing further.
ENDS_THE_CALLER = {"logout", "change_own_password"}
TENANTS_CALLERS = ["client_admin", "agency_admin", "storefront_key"]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
ASKED = settings(
    max_examples=EXAMPLES,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def operations(app: Flask) -> list[Any]:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    found = [result.ok() for result in schema.get_all_operations()]
    return [each for each in found if each.definition.raw["operationId"] not in ENDS_THE_CALLER]


@pytest.fixture(scope="module")
def asked(app: Flask) -> list[Any]:
    found = operations(app)
    assert len(found) > 55
    return found


@pytest.fixture(scope="module")
def ids(house: House, two: Two, known: Known, callers: dict[str, Caller]) -> list[dict[str, str]]:
    """The caller's own ids and the other tenant's: most requests that take an id get one of them."""
    found = [known_of(house, two.one).ids, known.ids]
    brand = {"brand_id": str(two.one.brand_id)}
    return [brand | {name: str(value) for name, value in each.items()} for each in found]


@pytest.fixture(scope="module")
def partner(house: House, two: Two, known: Known, callers: dict[str, Caller]) -> Partner:
    """With coupons to claim; the other tenant's marks are known before."""
    return full_partner(house, two.one)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_operation_keeps_its_contract_for_whoever_asks(
    app: Flask,
    house: House,
    asked: list[Any],
    ids: list[dict[str, str]],
    known: Known,
    callers: dict[str, Caller],
    admin: Caller,
    partner: Partner,
    mode: GenerationMode,
) -> None:
    """Making a request takes longer than answering it: each is made once, and asked by all."""
    asking = {name: Asking(callers[name].headers, known.marks) for name in TENANTS_CALLERS}
    asking |= {"platform_admin": Asking(admin.headers), "nobody": Asking({}, known.marks)}
    visit = opened(partner, partner.token()).token
    asking["visitor"] = Asking({"Authorization": f"Bearer {visit}"}, known.marks)
    wrong: list[str] = []
    for operation in asked:
        ask(operation, mode, asking, ids, wrong)

    assert wrong == []


@dataclass(frozen=True)
class Asking:
    """A caller, and what none of their answers may show."""

    headers: dict[str, str]
    secret: frozenset[str] = frozenset()


def ask(
    operation: Any,
    mode: GenerationMode,
    asking: dict[str, Asking],
    ids: list[dict[str, str]],
    wrong: list[str],
) -> None:
    """A few requests of one operation: at an own object, a foreign one, and whatever comes."""
    turn = iter(range(10**9))

    @ASKED
    @given(operation.as_strategy(generation_mode=mode))
    def each(case: Any) -> None:
        now = next(turn)
        chosen = [*ids, {}][now % 3]
        if case.path_parameters:
            case.path_parameters = {n: chosen.get(n, v) for n, v in case.path_parameters.items()}
        # A wrong Authorization is what `nobody` is for.
        given = {n: v for n, v in dict(case.headers or {}).items() if n.lower() != "authorization"}
        case.headers = given
        # What is made once is made by another caller each time.
        first = now % len(asking)
        for name in [*list(asking)[first:], *list(asking)[:first]]:
            found = faults(case, asking[name])
            wrong.extend(f"{operation.label} as {name}: {fault}" for fault in found)

    each()


def faults(case: Any, asking: Asking) -> Iterator[str]:
    """What is wrong with the answer to one request."""
    response = case.call(headers=asking.headers)
    sent = f"{case.formatted_path} {case.query} {case.body!r}"
    if leaked := [m for m in asking.secret if m in response.text and m not in sent]:
        yield f"shows {leaked}"
    try:
        case.validate_response(response, checks=CHECKS)
    except AssertionError as failed:
        yield f"{response.status_code}: {str(failed)[:400]}"
    except BaseExceptionGroup as failed:
        found = "; ".join(str(each)[:300] for each in failed.exceptions)
        yield f"{response.status_code}: {found}"
