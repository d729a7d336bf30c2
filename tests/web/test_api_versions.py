"""S1-130, S1-131, S3-148: docs/api-versions.md: what v1 promises, and how a version would end."""

import re
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from flask import Flask, Response

from web.api.deprecating import NOTICE_DAYS_MIN, deprecated
from web.api.registry import RESOURCES, described
from web.api.routes import BASE, Routes, document, register

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api-versions.md").read_text(encoding="utf-8")
SINCE, ENDS = date(2027, 1, 1), date(2028, 2, 1)


def routes() -> Routes:
    """A resource with a route that goes and one that stays."""
    made = Routes("things", "Things.")

    @made.get("/old-things")
    @deprecated(since=SINCE, ends=ENDS, successor="/api/v2/things")
    def old_things() -> Response:
        """List things as before."""
        return Response("[]", mimetype="application/json")

    @made.get("/things")
    def things() -> Response:
        """List things."""
        return Response("[]", mimetype="application/json")

    return made


def test_s1_130_an_ending_route_says_since_when_until_when_and_what_comes() -> None:
    app = Flask(__name__)
    register(app, [routes()])
    told = app.test_client().get(f"{BASE}/old-things")
    other = app.test_client().get(f"{BASE}/things")

    since = datetime.fromtimestamp(int(told.headers["Deprecation"].removeprefix("@")), UTC)
    assert (told.status_code, told.text) == (200, "[]")
    assert since.date() == SINCE
    assert parsedate_to_datetime(told.headers["Sunset"]).date() == ENDS
    assert told.headers["Link"] == '</api/v2/things>; rel="successor-version"'
    assert not {"Deprecation", "Sunset", "Link"} & set(other.headers.keys())


def test_s1_130_the_document_says_it_of_that_route_alone() -> None:
    paths = document([routes()])["paths"]

    assert paths[f"{BASE}/old-things"]["get"]["deprecated"] is True
    assert "deprecated" not in paths[f"{BASE}/things"]["get"]


def test_s1_130_nobody_is_given_less_than_a_year() -> None:
    with pytest.raises(AssertionError, match="a year"):
        deprecated(since=SINCE, ends=date(2027, 12, 31), successor="/api/v2/things")

    assert f"no less than {NOTICE_DAYS_MIN} days" in TEXT


def test_s3_148_a_second_version_is_a_list_under_another_base() -> None:
    """S3-148: one front serves both, each with its own document."""
    app = Flask(__name__)
    register(app, [routes()])
    register(app, [routes()], base="/api/v2")
    client = app.test_client()

    assert client.get("/api/v1/things").status_code == 200
    assert client.get("/api/v2/things").status_code == 200
    assert set(document([routes()], base="/api/v2")["paths"]) == {
        "/api/v2/things",
        "/api/v2/old-things",
    }


def test_s3_148_no_decision_knows_of_versions() -> None:
    """But for addresses that are told to people and companies."""
    fixed = {"pipelines/deliveries/receipts.py", "pipelines/distribution/read.py"}
    naming = {
        str(path.relative_to(ROOT))
        for folder in ("pipelines", "models")
        for path in (ROOT / folder).rglob("*.py")
        if "/api/v1" in path.read_text(encoding="utf-8")
    }

    assert naming - fixed == set()


def test_s1_131_every_resource_stands_in_the_changes_of_the_api() -> None:
    changes = TEXT.partition("## Changes of the API")[2]
    tags = {tag["name"] for tag in described()["tags"]}

    assert tags - set(re.findall(r"`([\w -]+)`", changes)) == set()


def test_s1_131_what_is_on_its_way_out_stands_in_the_changes_of_the_api() -> None:
    going = {
        path
        for path, operations in document(RESOURCES)["paths"].items()
        for operation in operations.values()
        if isinstance(operation, dict) and operation.get("deprecated")
    }

    assert going == set()
    assert "Nothing is on its way out." in TEXT
