"""Objects of another tenant do not exist, on any route, for any role, in any place (SEC-10)."""

import json
import secrets
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from models.base import TableClass
from models.people import Role
from models.tables import CLASSES
from pipelines.access.permissions import KEY_SCOPES, Permission, may
from pipelines.wiring import House
from tests.models.two_tenants import Two
from tests.security.tenants import CALLERS, Known, digest_of
from tests.web.conftest import Caller
from tests.web.console.conftest import SAME_ORIGIN, visitor_of

TENANT = sorted(name for name, kind in CLASSES.items() if kind is TableClass.TENANT)
#: What is not anybody's: the argument, and why it has no row in the matrix.
NOT_OWNED = {
    "brand_id": "brands are the platform's, shown to all; who may draw on them is tested by client",
    "day": "statements are of the platform's accounts at vendors",
    "name": "queues and files of the front are the platform's",
    "price_id": "prices are set by the platform; who sees which is tested by client",
    "token": "a reveal token is itself the right to what it opens",
    "vendor": "the accounts at vendors are the platform's",
}
#: Nobody's role lets them in, but the signature of an outside company over the very address.
SIGNED = {"webhooks.take_twilio_receipt"}
#: One page for everybody, whoever a vendor is: nothing in it is a tenant's but where it may be shown.
PUBLIC_PAGES = {"widget_frame"}
#: A body that is good in itself, so that only the object is missing.
BODIES: dict[str, dict[str, Any]] = {
    "gift-card-pools.change_gift_card_pool": {"low_watermark": 1},
    **{
        f"card-batches.{move}_{what}": {"reason": "recall"}
        for move in ("quarantine", "release", "void")
        for what in ("card", "card_batch")
    },
    "agencies.change_agency": {"name": "Taken over", "version": 1},
    "alerts.snooze_alert": {"until": "2027-01-31T09:00:00Z"},
    "approvals.reject": {"reason": "No"},
    "campaigns.change_campaign": {"name": "Taken over", "version": 1},
    "campaigns.set_budget": {"mode": "isolated", "amount_minor": 1},
    "redemption-codes.withdraw_redemption_codes": {"reason": "Leaked"},
    "books.change_book": {"name": "Taken over"},
    "checkout.refund_purchase": {"reason": "No"},
    "flagged.approve_use": {"reason": "No"},
    "flagged.reject_use": {"reason": "No"},
    "flagged.release_use": {"reason": "No"},
    "checkout.accept_amount": {"reason": "No"},
    "discounts.change_discount": {"percent_bp": 9_999},
    "referrals.change_referral_program": {"hold_days": 1},
    "referrals.give_referral_code": {"customer": {"email": "mine@example.com"}},
    "book-codes.generate_codes": {"count": 1},
    "coupons.assign_coupon_by_code": {"user_id": str(uuid4())},
    "clients.change_client": {"name": "Taken over", "version": 1},
    "clients.restrict_brands": {"brand_ids": []},
    "gift-cards.report_defective_card": {"reason": "Does not work"},
    "jobs.change_job": {"priority": "low"},
    "jobs.give_up_on_job": {"reason": "No"},
    "users.change_user": {"name": "Taken over"},
    "distributions.distribute_to_pool": {"book_id": str(uuid4()), "mode": "random", "count": 1},
    "vendors.change_vendor": {"name": "Taken over"},
    "vendors.check_partner_token": {"token": "eyJ"},
    "user-pools.change_user_pool": {"name": "Taken over"},
    "user-pool-members.add_pool_users": {"emails": ["mine@example.com"], "create_missing": True},
    "user-pool-members.remove_pool_users": {"emails": ["mine@example.com"]},
}
CSV = b"card_number\nKANARIE-BOLA\n"
#: Routes that take such a file, and what they ask besides.
FILES = {
    "book-codes.upload_codes": "",
    "gift-card-pools.import_gift_cards": "",
    "redemption-codes.load_redemption_codes": f"?brand_id={uuid4()}&denomination_minor=100",
    "redemption-codes.withdraw_listed_codes": "?reason=Leaked",
}


def rules_with_ids(app: Flask, *, console: bool) -> list[Rule]:
    return [
        rule
        for rule in app.url_map.iter_rules()
        if rule.arguments - set(NOT_OWNED)
        and rule.rule.startswith("/console") == console
        and rule.endpoint not in SIGNED | PUBLIC_PAGES
    ]


def test_every_argument_of_every_route_is_owned_or_says_why_not(app: Flask, known: Known) -> None:
    arguments = {name for rule in app.url_map.iter_rules() for name in rule.arguments}

    assert arguments == set(known.ids) | set(NOT_OWNED)


def filled(rule: Rule, ids: dict[str, Any]) -> str:
    path = rule.rule
    for name in rule.arguments:
        path = path.replace(f"<uuid:{name}>", str(ids[name])).replace("<code>", str(ids["code"]))
    return path


def seen(answer: TestResponse) -> tuple[int, str | None, str]:
    """An answer without what differs between any two requests."""
    text = answer.text
    if answer.is_json or answer.content_type == "application/problem+json":
        body = json.loads(text) if text else {}
        body.pop("request_id", None)
        text = json.dumps(body)
    return answer.status_code, answer.content_type, text.replace(answer.headers["X-Request-Id"], "")


def ask(caller: Caller, rule: Rule, method: str, ids: dict[str, Any]) -> TestResponse:
    headers = caller.headers | {"Idempotency-Key": secrets.token_hex(8), "If-Match": '"1"'}
    path = filled(rule, ids)
    if rule.endpoint in FILES:
        return caller.client.post(
            path + FILES[rule.endpoint], data=CSV, content_type="text/csv", headers=headers
        )
    body = BODIES.get(rule.endpoint)
    if body is None and method != "GET":
        body = {}
    return caller.client.open(path, method=method, json=body, headers=headers)


def may_ask(app: Flask, rule: Rule, role: Role) -> bool:
    permission = app.view_functions[rule.endpoint].permission
    if not isinstance(permission, Permission):
        return may(role, Permission.CARDS_REVEAL)
    return may(role, permission) and (role is not Role.STOREFRONT_KEY or permission in KEY_SCOPES)


@pytest.mark.parametrize(
    "name", [*(role.value for role in CALLERS), "storefront_key", "neighbour's key"]
)
def test_sec010_a_foreign_id_answers_as_one_that_nobody_has(
    app: Flask, house: House, two: Two, known: Known, callers: dict[str, Caller], name: str
) -> None:
    """Every API route with an id: 404 where the role may ask, and the very same body."""
    caller = callers[name]
    role = Role.STOREFRONT_KEY if "key" in name else Role(name)
    nobody = {argument: uuid4() for argument in known.ids}
    before = digest_of(house, two.other, TENANT)
    wrong = []
    for rule in rules_with_ids(app, console=False):
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            foreign = seen(ask(caller, rule, method, known.ids))
            if foreign != seen(ask(caller, rule, method, nobody)):
                wrong.append((method, rule.rule, "told apart", *foreign))
            if (foreign[0] == 404) != may_ask(app, rule, role) or foreign[0] not in {403, 404}:
                wrong.append((method, rule.rule, *foreign))

    assert wrong == []
    assert digest_of(house, two.other, TENANT) == before


def nested(ids: dict[str, Any], own: Two) -> list[tuple[str, str, dict[str, Any]]]:
    """Requests that name an object in their body or beside an object of one's own."""
    mine = own.one
    card = {"brand_id": str(mine.brand_id), "denomination_minor": 2500, "delivery_method": "none"}
    named = {name: str(value) for name, value in ids.items()}
    move = {"amount_minor": 1, "notes": ""}
    pool = {"brand_id": str(mine.brand_id), "denomination_minor": 900, "currency": "USD"}
    person = {"email": "new@x.de", "password": "correct horse battery staple"}
    key = {"name": "Shop", "scopes": ["provision"]}
    return [
        ("POST", "/gift-cards/provision", card | {"campaign_id": named["campaign_id"]}),
        (
            "POST",
            "/gift-cards/provision-jobs",
            card | {"campaign_id": named["campaign_id"], "recipients": [{"reference": "r"}]},
        ),
        (
            "POST",
            "/gift-cards/provision-jobs?preview=true",
            card | {"campaign_id": named["campaign_id"], "recipients": [{"reference": "r"}]},
        ),
        ("POST", "/alerts", {"note": "Mine", "client_id": named["client_id"]}),
        ("POST", "/books", {"name": "Mine", "client_id": named["client_id"]}),
        ("POST", "/campaigns", {"name": "Mine", "client_id": named["client_id"]}),
        ("POST", "/pools", {"name": "Mine", "client_id": named["client_id"]}),
        ("GET", f"/pools?cursor={named['user_pool_id']}", {}),
        ("POST", "/vendors", {"name": "Mine", "client_id": named["client_id"]}),
        (
            "POST",
            "/vendors",
            {
                "name": "Mine",
                "client_id": str(mine.client_id),
                "offers": [{"book_id": named["book_id"], "title": "Theirs"}],
            },
        ),
        ("GET", f"/vendors?client_id={named['client_id']}", {}),
        ("GET", f"/vendors?cursor={named['vendor_id']}", {}),
        ("POST", "/clients", {"name": "Mine", "agency_id": named["agency_id"]}),
        ("POST", "/api-keys", key | {"client_id": named["client_id"]}),
        ("POST", "/gift-card-pools", pool | {"kind": "csv", "client_id": named["client_id"]}),
        (
            "POST",
            "/users",
            person | {"role": "client_viewer", "client_id": named["client_id"]},
        ),
        (
            "POST",
            "/users",
            person | {"role": "agency_viewer", "agency_id": named["agency_id"]},
        ),
        *(
            ("POST", path, move | {"from_account_id": source, "to_account_id": target})
            for path in ("/credit/allocations", "/credit/recalls")
            for source, target in (
                (str(mine.client_account), named["account_id"]),
                (named["account_id"], str(mine.client_account)),
                (str(mine.agency_account), named["account_id"]),
            )
        ),
        ("GET", f"/jobs?campaign_id={named['campaign_id']}", {}),
        ("GET", f"/gift-card-pools?cursor={named['pool_id']}", {}),
    ]


@pytest.mark.parametrize(
    "name", ["client_admin", "agency_admin", "storefront_key", "neighbour's key"]
)
def test_sec010_a_foreign_id_in_a_body_or_a_filter_answers_as_one_that_nobody_has(
    house: House, two: Two, known: Known, callers: dict[str, Caller], name: str
) -> None:
    caller = callers[name]
    nobody = {argument: uuid4() for argument in known.ids}
    before = digest_of(house, two.other, TENANT)
    wrong = []
    foreign_requests, unknown_requests = nested(known.ids, two), nested(nobody, two)
    for (method, path, body), (_method, unknown, other) in zip(
        foreign_requests, unknown_requests, strict=True
    ):
        key = {"Idempotency_Key": secrets.token_hex(8)}
        foreign = seen(caller.call(method, path, body or None, **key))
        key = {"Idempotency_Key": secrets.token_hex(8)}
        if foreign != seen(caller.call(method, unknown, other or None, **key)):
            wrong.append((method, path, "told apart", *foreign))
        if method != "GET" and foreign[0] not in {403, 404, 422}:
            wrong.append((method, path, *foreign))

    assert wrong == []
    assert digest_of(house, two.other, TENANT) == before


def test_sec010_a_clone_cannot_be_led_into_a_foreign_campaign(
    house: House, two: Two, known: Known, callers: dict[str, Caller]
) -> None:
    (own,) = [
        job["id"]
        for job in callers["client_admin"].get("/jobs").json["data"]
        if job["kind"] == "provisioning" and job["counts"]["total"] == 2
    ]
    answers = [
        seen(
            callers["client_admin"].post(
                f"/jobs/{own}/clone", {"campaign_id": str(campaign)}, Idempotency_Key=str(campaign)
            )
        )
        for campaign in (known.ids["campaign_id"], uuid4())
    ]

    assert answers[0] == answers[1]
    assert answers[0][0] == 404


def test_sec010_no_list_shows_a_mark_of_the_other_tenant(
    app: Flask, known: Known, callers: dict[str, Caller]
) -> None:
    lists = [
        rule.rule.removeprefix("/api/v1")
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1") and not rule.arguments and "GET" in rule.methods
    ]
    shown = [
        (name, path, marks)
        for name, caller in callers.items()
        if name != "neighbour's key"
        for path in lists
        if (marks := marks_in(caller.get(path).text, known))
    ]

    assert len(lists) > 12
    assert shown == []


def marks_in(answer: str, known: Known) -> list[str]:
    return [mark for mark in known.marks if mark in answer]


@pytest.mark.parametrize("role", CALLERS)
def test_sec010_no_page_of_the_console_knows_a_foreign_id(
    app: Flask, house: House, two: Two, known: Known, role: Role
) -> None:
    """Pages and their forms, with a session, its token and the right origin."""
    visitor = visitor_of(app, house, role, two.one)
    token = visitor.get("/console/").text.partition('csrf_token" value="')[2][:64]
    nobody = {argument: uuid4() for argument in known.ids}
    before = digest_of(house, two.other, TENANT)
    wrong = []
    for rule in rules_with_ids(app, console=True):
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            answers = [
                seen(page(visitor.client, method, filled(rule, ids), token))
                for ids in (known.ids, nobody)
            ]
            if answers[0] != answers[1]:
                wrong.append((method, rule.rule, "told apart", answers[0][0]))
            if answers[0][0] != (404 if may_ask(app, rule, role) else 403):
                wrong.append((method, rule.rule, answers[0][0]))

    assert wrong == []
    assert digest_of(house, two.other, TENANT) == before


def page(browser: FlaskClient, method: str, path: str, token: str) -> TestResponse:
    form = {"csrf_token": token, "idempotency_key": secrets.token_hex(16), "reason": "No"}
    return browser.open(
        path, method=method, data=form if method == "POST" else None, headers=SAME_ORIGIN
    )
