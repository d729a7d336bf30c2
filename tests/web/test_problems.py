"""Every refusal and fault is problem+json, says its code, and tells nothing else (J01-J23)."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from pipelines.errors import Kind
from tests.web.conftest import Caller
from web.errors import STATUS
from web.guards import public

MEMBERS = {"type", "title", "status", "code", "detail", "instance", "request_id"}


def send(admin: Caller, raw: bytes, path="/agencies", content_type="application/json", **headers):
    return admin.client.post(
        f"/api/v1{path}", data=raw, headers={**admin.headers, **headers}, content_type=content_type
    )


def test_every_kind_of_refusal_has_a_status():
    assert set(STATUS) == set(Kind)


def test_a_problem_has_the_members_of_the_contract(admin: Caller):
    answer = admin.get("/agencies/00000000-0000-7000-8000-000000000000", X_Request_Id="abc-1")

    assert answer.content_type == "application/problem+json"
    assert answer.json == {
        "type": "/problems/not_found",
        "title": "Not Found",
        "status": 404,
        "code": "not_found",
        "detail": "There is no such resource.",
        "instance": "/api/v1/agencies/<uuid:agency_id>",
        "request_id": "abc-1",
    }
    assert answer.headers["X-Request-Id"] == "abc-1"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\tb", "é"])
def test_an_unsafe_request_id_is_replaced(browser: FlaskClient, given: str):
    answer = browser.get("/api/v1/jobs", headers={"X-Request-Id": given})

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])


@pytest.mark.parametrize(
    "identity", ["1 OR 1=1", "..%2F2", "-1", str(2**63), "%00", "x" * 3000, "1"]
)
def test_a_malformed_id_is_not_found(admin: Caller, identity: str):
    """J18"""
    answer = admin.get(f"/agencies/{identity}")

    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert answer.content_type == "application/problem+json"


def test_a_wrong_method_says_which_are_allowed(admin: Caller):
    answer = admin.call("DELETE", "/agencies")

    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty_body"),
        (b"{", "syntax"),
        (b'{"a": 1,}', "syntax"),
        ('{"name": "é"}'.encode("utf-16"), "not_utf8"),
        (b"[]", "object_expected"),
        (b"null", "object_expected"),
        (b'{"name": NaN}', "non_finite_number"),
        (b'{"name": "a", "name": "b"}', "duplicate_key"),
        (b'{"a":' + b"[" * 2000, "too_deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "number_too_long"),
    ],
)
def test_a_malformed_body_is_refused_with_its_reason(admin: Caller, raw: bytes, reason: str):
    """J01, J03-J09"""
    answer = send(admin, raw)

    assert (answer.status_code, answer.json["code"]) == (400, "malformed_json")
    assert answer.json["reason"] == reason


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_refused(admin: Caller, content_type: str):
    """J02"""
    answer = send(admin, b'{"name": "a"}', content_type=content_type)

    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


def test_a_compressed_body_is_refused(admin: Caller):
    """J15"""
    answer = send(admin, b"x", **{"Content-Encoding": "gzip"})

    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_content_encoding")


def test_a_body_over_a_mebibyte_is_refused(admin: Caller):
    """J14"""
    answer = send(admin, b'{"name": "' + b"x" * (1024 * 1024) + b'"}')

    assert (answer.status_code, answer.json["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(
    ("body", "code", "error"),
    [
        ({"name": "a", "is_admin": True}, "unknown_field", ("/is_admin", "unknown_field")),
        ({"name": "a", "x" * 20_000: 1}, "unknown_field", ("/" + "x" * 64, "unknown_field")),
        ({}, "validation_failed", ("/name", "required")),
        ({"name": None}, "validation_failed", ("/name", "type")),
        ({"name": 5}, "validation_failed", ("/name", "type")),
        ({"name": "x" * 201}, "validation_failed", ("/name", "too_long")),
        ({"name": "x\r\nBcc: z@z"}, "validation_failed", ("/name", "illegal_character")),
        ({"name": "\u0000"}, "validation_failed", ("/name", "illegal_character")),
    ],
)
def test_a_wrong_member_is_named_with_its_code(admin: Caller, body, code, error):
    """J11-J13, J17, J22"""
    answer = admin.post("/agencies", body)

    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert [(e["pointer"], e["code"]) for e in answer.json["errors"]] == [error]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("limit=1000000000", 422, "validation_failed"),
        ("limit=-1", 422, "validation_failed"),
        ("limit=5.5", 422, "validation_failed"),
        ("limit=٥", 422, "validation_failed"),
        ("cursor=garbage", 400, "invalid_cursor"),
        ("cursor=%00", 400, "illegal_character"),
        ("cursor=YWZ0ZXI6eA", 400, "invalid_cursor"),
    ],
)
def test_wrong_paging_is_refused(admin: Caller, query: str, status: int, code: str):
    """J23"""
    answer = admin.get(f"/agencies?{query}")

    assert (answer.status_code, answer.json["code"]) == (status, code)


def test_an_unexpected_fault_tells_nothing(app: Flask):
    @app.get("/api/v1/broken")
    @public
    def broken():
        raise RuntimeError("secret-canary")

    answer = app.test_client().get("/api/v1/broken")

    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert set(answer.json) == MEMBERS
    assert b"canary" not in answer.data


def test_a_connection_lost_while_writing_leaves_the_outcome_open(app: Flask):
    """EC-035"""

    @app.post("/api/v1/lost")
    @public
    def lost():
        raise OperationalError("INSERT", {}, Exception("server closed the connection"))

    answer = app.test_client().post("/api/v1/lost")

    assert (answer.status_code, answer.json["code"]) == (503, "outcome_unknown")
    assert answer.headers["Retry-After"] == "2"


def test_every_answer_carries_the_security_headers(browser: FlaskClient):
    """SEC-33"""
    for path in ("/api/v1/jobs", "/healthz", "/nowhere", "/docs", "/api/v1/openapi.json"):
        headers = browser.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "script-src 'self';" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert browser.get("/api/v1/jobs").headers["Cache-Control"] == "no-store"
