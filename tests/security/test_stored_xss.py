"""Text that people gave is shown as text on every page of the console (SEC-33, B35)."""

import pytest
from flask import Flask
from sqlalchemy import text

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.wiring import House
from tests.furnished import draft_of, furnish, ids_of, pages
from tests.seeding import Seeded
from tests.web.console.conftest import visitor_of

#: Closes whatever it may stand in, then would run.
CANARY = "\"'></title></script><script>alert(1)</script>{{7*7}}"
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


@pytest.fixture(scope="module")
def tainted(app: Flask, house: House) -> Seeded:
    """A tenant whose every text is hostile, with a job that ended in failures and refusals."""
    return furnish(app, house, CANARY)


@pytest.mark.parametrize("role", [Role.CLIENT_ADMIN, Role.AGENCY_ADMIN, Role.PLATFORM_ADMIN])
def test_sec033_hostile_text_is_escaped_on_every_page(
    app: Flask, house: House, tainted: Seeded, role: Role
) -> None:
    visitor = visitor_of(app, house, role, tainted)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        session.execute(text("UPDATE users SET name = :name"), {"name": CANARY})
    ids = ids_of(house, tainted, draft_of(visitor, tainted, CANARY))
    shown, raw = set(), []
    for path in pages(app, ids):
        answer = visitor.get(path)
        if answer.mimetype != "text/html":
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            continue
        if "<script>alert" in answer.text or "<title>\"'>" in answer.text:
            raw.append(path)
        if ESCAPED in answer.text:
            shown.add(path)

    assert raw == []
    assert len(shown) >= 8, "the canary must be seen, or this test proves nothing"
    assert "/console/" in shown
    assert f"/console/jobs/{ids['job_id']}" in shown
    book = f"/console/books/{ids['book_id']}"
    assert {book, f"{book}/coupons/{ids['coupon_id']}", "/console/my/coupons"} <= shown
    if role is Role.PLATFORM_ADMIN:
        assert f"/console/vendor-orders/{ids['order_id']}" in shown


@pytest.mark.parametrize(
    "path",
    ["/console/jobs?state={}", "/console/sign-in?next={}", "/console/{}", "/{}", "/r/{}"],
)
def test_sec033_text_of_an_address_is_never_markup(app: Flask, path: str) -> None:
    answer = app.test_client().get(path.format("%22%3E%3Cscript%3Ealert(1)%3C/script%3E"))

    assert "<script>alert" not in answer.text
    assert "<script>alert" not in str(answer.headers)


def test_sec033_what_is_typed_into_a_form_comes_back_as_text(
    app: Flask, house: House, tainted: Seeded
) -> None:
    visitor = visitor_of(app, house, Role.CAMPAIGN_MANAGER, tainted)

    signing_in = app.test_client().post(
        "/console/sign-in",
        data={"email": CANARY, "password": "x", "next": CANARY},
        headers={"Sec-Fetch-Site": "same-origin"},
    )
    choosing = visitor.send("/console/jobs/new", amount=CANARY, campaign_id=CANARY, brand_id=CANARY)

    for answer in (signing_in, choosing):
        assert answer.status_code == 422
        assert ESCAPED in answer.text
        assert "<script>alert" not in answer.text
