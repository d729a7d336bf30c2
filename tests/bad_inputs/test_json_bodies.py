"""Every route that takes JSON reads it strictly: J01 to J23 and J26 of the table."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from pipelines.wiring import House
from tests.bad_inputs.bodies import BODIES, STRANGE_MEMBERS, STRANGE_VALUES
from tests.bad_inputs.json_routes import (
    BASE,
    PLACEHOLDER,
    Asker,
    every,
    filled,
    json_routes,
    send,
)
from tests.bad_inputs.sending import assert_refused, leaves_nothing
from tests.bad_inputs.table import Bad, each
from tests.seeding import Seeded
from tests.web.conftest import Caller
from tests.web.test_provision_jobs import fields, people


@pytest.fixture(scope="module")
def routes(app: Flask) -> list[tuple[str, str, dict[str, Any]]]:
    found = json_routes(app)
    assert len(found) > 20
    return found


@each(*BODIES)
def test_a_bad_body_is_refused_by_every_route(
    asker: Asker, house: House, temporary: Path, routes, bad: Bad
) -> None:
    content = bad.content

    def all_of_them() -> TestResponse:
        for answer in every(asker, routes, content):
            # A body that may be left out is read as soon as there is one.
            if content or answer.status_code == 400:
                assert_refused(answer, bad)
        return answer

    leaves_nothing(house, temporary, all_of_them)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "text/html", "application/xml", None],
)
def test_j02_another_content_type_is_refused_by_every_route(
    asker: Asker, house: House, temporary: Path, routes, content_type: str | None
) -> None:
    def all_of_them() -> TestResponse:
        for answer in every(asker, routes, b'{"a": 1}', content_type=content_type):
            assert_refused(answer, Bad("J02", b"", 415, "unsupported_media_type"))
        return answer

    leaves_nothing(house, temporary, all_of_them)


def test_j04_a_byte_order_mark_is_no_fault(asker: Asker, routes) -> None:
    for answer in every(asker, routes, b"\xef\xbb\xbf" + b'{"strange": 1}'):
        assert (answer.status_code, answer.json["code"]) == (422, "validation_failed") or (
            answer.json["code"] == "unknown_field"
        )


def test_j14_a_body_without_a_length_is_counted_while_it_is_read(asker: Asker, routes) -> None:
    for method, path, _schema in routes:
        body = io.BytesIO(b'{"a":"' + b"x" * 2 * 1024 * 1024 + b'"}')
        environ = {"wsgi.input": body, "wsgi.input_terminated": True}
        answer = asker.client.open(
            filled(path),
            method=method,
            headers=asker.headers(path)
            | {
                "Idempotency-Key": "k",
                "Content-Type": "application/json",
                "Transfer-Encoding": "chunked",
            },
            environ_overrides=environ,
        )
        assert_refused(answer, Bad("J14", b"", 413, "payload_too_large"))


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "x"])
def test_j15_an_encoded_body_is_refused_by_every_route(asker: Asker, routes, encoding: str) -> None:
    for answer in every(
        asker, routes, gzip.compress(b"{}"), headers={"Content-Encoding": encoding}
    ):
        assert_refused(answer, Bad("J15", b"", 415, "unsupported_content_encoding"))


@pytest.mark.parametrize("member", STRANGE_MEMBERS, ids=lambda name: name[:20])
def test_j13_a_strange_member_is_refused_by_name(
    asker: Asker, house: House, temporary: Path, routes, member: str
) -> None:
    def all_of_them() -> TestResponse:
        for method, path, schema in routes:
            if member in schema["properties"]:
                continue
            answer = send(asker, method, path, json.dumps({member: "x"}).encode())
            found = {(e["pointer"], e["code"]) for e in answer.json["errors"]}
            assert answer.status_code == 422, path
            assert ("/" + member[:64].replace("~", "~0"), "unknown_field") in found, path
        return answer

    leaves_nothing(house, temporary, all_of_them)


@pytest.mark.parametrize("value", STRANGE_VALUES, ids=lambda value: repr(value)[:20])
def test_j10_j11_j17_j22_a_strange_value_is_never_a_fault(
    asker: Asker, house: House, temporary: Path, routes, value: Any
) -> None:
    """In every member of every body: a refusal in words, never a 5xx, nothing written."""

    def all_of_them() -> TestResponse:
        for method, path, schema in routes:
            if "password" in "".join(schema["properties"]) and isinstance(value, str):
                continue  # a wrong password is a text too, and its try is counted
            body = dict.fromkeys(schema["properties"], value)
            answer = send(asker, method, path, json.dumps(body).encode())
            assert 400 <= answer.status_code < 500, (path, answer.status_code)
            assert answer.content_type == "application/problem+json"
            assert "x" * 100 not in answer.text
        return answer

    leaves_nothing(house, temporary, all_of_them)


@pytest.mark.parametrize("value", [None, "5", "", 5.0])
def test_j11_an_integer_is_neither_null_nor_a_text(
    asker: Asker, house: House, temporary: Path, routes, value: Any
) -> None:
    def all_of_them() -> TestResponse:
        for method, path, schema in routes:
            for name in schema.get("required", []):
                kind = schema["properties"][name].get("type")
                if kind == "integer" or (value is None and kind == "string"):
                    answer = send(asker, method, path, json.dumps({name: value}).encode())
                    assert f"/{name}" in {e["pointer"] for e in answer.json["errors"]}, path
                    assert answer.status_code == 422
        return answer

    leaves_nothing(house, temporary, all_of_them)


@pytest.mark.parametrize("amount", [25.1, 0.30000000000000004, 1e2, "25", True, [2500]])
def test_j10_an_amount_is_an_integer(
    client_admin: Caller, seeded: Seeded, house: House, temporary: Path, amount: Any
) -> None:
    body = fields(seeded, recipients=people(1), denomination_minor=amount)

    answer = leaves_nothing(
        house,
        temporary,
        lambda: client_admin.post("/gift-cards/provision-jobs", body, Idempotency_Key="k"),
    )

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_amount")


@pytest.mark.parametrize(
    ("recipients", "code"), [(people(1_001), "use_csv_upload"), ([], "empty_recipients")]
)
def test_j16_recipients_in_a_body_have_bounds(
    client_admin: Caller, seeded: Seeded, house: House, temporary: Path, recipients, code: str
) -> None:
    answer = leaves_nothing(
        house,
        temporary,
        lambda: client_admin.post(
            "/gift-cards/provision-jobs",
            fields(seeded, recipients=recipients),
            Idempotency_Key="k",
        ),
    )

    assert (answer.status_code, answer.json["code"]) == (422, code)


@pytest.mark.parametrize(
    "identity",
    ["1%20OR%201=1", "..%2F2", "-1", str(2**63), "%00", PLACEHOLDER.upper() + "A", "x" * 3000],
)
def test_j18_a_strange_id_is_not_found_on_any_route(
    admin: Caller, app: Flask, house: House, temporary: Path, identity: str
) -> None:
    def all_of_them() -> TestResponse:
        for rule in app.url_map.iter_rules():
            if "<uuid:" not in rule.rule or not rule.rule.startswith(BASE):
                continue
            path = "/".join(
                identity if part.startswith("<uuid:") else part for part in rule.rule.split("/")
            )
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                answer = admin.client.open(path, method=method, headers=admin.headers)
                assert (answer.status_code, answer.json["code"]) == (404, "not_found"), path
        return answer

    leaves_nothing(house, temporary, all_of_them)


def test_j18_an_upper_case_id_is_the_same_id(admin: Caller, seeded: Seeded) -> None:
    """RFC 9562 reads both; it names one row, whoever may see it."""
    lower = admin.get(f"/campaigns/{seeded.campaign_id}")
    upper = admin.get(f"/campaigns/{str(seeded.campaign_id).upper()}")

    assert upper.json == lower.json


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("2027-01-01T09:00:00", "timezone_required"),
        ("2027-02-30T09:00:00Z", "invalid_timestamp"),
        ("infinity", "invalid_timestamp"),
        (1_800_000_000, "invalid_timestamp"),
        ("2027-06-30T23:59:60Z", "invalid_timestamp"),
        ("10000-01-01T00:00:00Z", "invalid_timestamp"),
        ("0001-01-01T00:00:00+14:00", "scheduled_in_past"),
        ("9999-12-31T23:59:59-14:00", "scheduled_too_far"),
    ],
)
def test_j19_a_time_has_its_zone_and_exists(
    client_admin: Caller, seeded: Seeded, house: House, temporary: Path, given: Any, code: str
) -> None:
    body = fields(seeded, recipients=people(1), scheduled_for=given)

    answer = leaves_nothing(
        house,
        temporary,
        lambda: client_admin.post("/gift-cards/provision-jobs", body, Idempotency_Key="k"),
    )

    assert (answer.status_code, answer.json["code"]) == (422, code)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "idempotency_key_required"),
        ("", "idempotency_key_invalid"),
        ("k" * 300, "idempotency_key_invalid"),
        ("a\tb", "idempotency_key_invalid"),
        ("é", "idempotency_key_invalid"),
        ('"', "idempotency_key_invalid"),
    ],
)
def test_j20_a_request_needs_a_proper_name(
    client_admin: Caller,
    seeded: Seeded,
    house: House,
    temporary: Path,
    key: str | None,
    code: str,
) -> None:
    headers = client_admin.headers | ({} if key is None else {"Idempotency-Key": key})

    answer = leaves_nothing(
        house,
        temporary,
        lambda: client_admin.client.post(
            f"{BASE}/gift-cards/provision-jobs",
            json=fields(seeded, recipients=people(1)),
            headers=headers,
        ),
    )

    assert (answer.status_code, answer.json["code"]) == (400, code)


@pytest.mark.parametrize(
    ("query", "status", "codes"),
    [
        ("limit=1000000000", 422, {"validation_failed"}),
        ("limit=-1", 422, {"validation_failed"}),
        ("limit=9%00", 400, {"illegal_character"}),
        ("cursor=garbage", 400, {"invalid_cursor"}),
        ("cursor=%00", 400, {"illegal_character"}),
        ("sort=password_hash", 422, {"unknown_field"}),
        ("limit=1%27%20OR%20%271%27=%271", 422, {"validation_failed"}),
    ],
)
def test_j23_paging_and_filters_of_every_list(
    admin: Caller, app: Flask, query: str, status: int, codes: set[str]
) -> None:
    """SEC-22: nothing of a query reaches SQL but what its schema allows."""
    document = app.test_client().get(f"{BASE}/openapi.json").json
    lists = [
        path
        for path, operations in document["paths"].items()
        if "get" in operations
        and "cursor" in {p.get("name") for p in operations["get"].get("parameters", [])}
        and "{" not in path
    ]

    assert len(lists) > 5
    for path in lists:
        answer = admin.client.get(f"{path}?{query}", headers=admin.headers)
        assert (answer.status_code, answer.json["code"]) == (status, *codes), path


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "X-STRANGE"])
def test_j26_a_strange_method_is_not_allowed(admin: Caller, method: str) -> None:
    answer = admin.client.open(f"{BASE}/agencies", method=method, headers=admin.headers)

    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"]
)
def test_j26_no_header_changes_the_method(admin: Caller, header: str) -> None:
    answer = admin.client.get(f"{BASE}/agencies", headers=admin.headers | {header: "DELETE"})

    assert answer.status_code == 200
