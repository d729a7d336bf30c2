"""Send one input to a route, and hold the answer to the table: section 5 of the page of bad inputs."""

import io
import secrets
from collections.abc import Callable
from pathlib import Path

from werkzeug.test import TestResponse

from pipelines.wiring import House
from tests.bad_inputs.table import Bad
from tests.intake import table_sizes
from tests.seeding import Seeded
from tests.web.conftest import Caller

PROVISION = "/api/v1/gift-cards/provision-jobs"


def send_recipients(
    caller: Caller, seeded: Seeded, content: bytes, query: str = "", **fields: str
) -> TestResponse:
    """A form with a file of recipients, for cards of 25.00 USD sent by e-mail."""
    form = {
        "campaign_id": str(seeded.campaign_id),
        "brand_id": str(seeded.brand_id),
        "denomination_minor": "2500" if b"amount" not in content[:64] else "",
    }
    return caller.client.post(
        f"{PROVISION}{query}",
        data=form | fields | {"file": (io.BytesIO(content), "people.csv")},
        headers=caller.headers | {"Idempotency-Key": secrets.token_hex(8)},
    )


def preview(caller: Caller, seeded: Seeded, content: bytes, **fields: str) -> TestResponse:
    return send_recipients(caller, seeded, content, "?preview=true", **fields)


def send_cards(caller: Caller, seeded: Seeded, content: bytes, query: str = "") -> TestResponse:
    """A file of cards for the pool of the platform."""
    return caller.client.post(
        f"/api/v1/gift-card-pools/{seeded.csv_pool}/cards{query}",
        data=content,
        content_type="text/csv",
        headers=caller.headers | {"Idempotency-Key": secrets.token_hex(8)},
    )


def assert_refused(answer: TestResponse, bad: Bad) -> None:
    """Its status and code, as a problem, with the first row's code where rows are read."""
    assert (answer.status_code, answer.json["code"]) == (bad.status, bad.code)
    assert answer.content_type == "application/problem+json"
    assert {name: answer.json.get(name) for name in bad.extra} == bad.extra
    assert bad.row is None or [error["code"] for error in answer.json["errors"]] == [bad.row]


def leaves_nothing(house: House, folder: Path, send: Callable[[], TestResponse]) -> TestResponse:
    """The answer; no table has a row more or less, and no file is left."""
    before = table_sizes(house)
    answer = send()
    assert table_sizes(house) == before
    assert list(folder.iterdir()) == []
    return answer
