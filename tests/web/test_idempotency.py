"""A request with a key happens once, wherever something is made, moved or decided (EC-035)."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from flask import Flask

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.queue.keys import RequestKey, first_result
from pipelines.wiring import House
from tests.driving import cards_csv, drain, import_cards_now, recipients_csv, rows, submit, view
from tests.intake import table_sizes
from tests.proof import assert_proven
from tests.seeding import Seeded, seed
from tests.web.conftest import Caller, signed_in

Request = tuple[str, dict, dict]
AT_ONCE = 50


@pytest.fixture
def seeded(house: House) -> Seeded:
    """No vendor: what the pools do not have fails at once."""
    return seed(house, vendor=False)


def pool(seeded: Seeded) -> Request:
    body = {"brand_id": str(seeded.brand_id), "denomination_minor": 700, "currency": "USD"}
    return "/gift-card-pools", body | {"kind": "csv"}, body | {"kind": "buffer"}


def api_key(seeded: Seeded) -> Request:
    body = {"client_id": str(seeded.client_id), "scopes": ["jobs:read", "provision"]}
    return "/api-keys", body | {"name": "Shop"}, body | {"name": "Other"}


def campaign(seeded: Seeded) -> Request:
    body = {"client_id": str(seeded.client_id)}
    return "/campaigns", body | {"name": "Autumn"}, body | {"name": "Spring"}


def user_pool(seeded: Seeded) -> Request:
    body = {"client_id": str(seeded.client_id)}
    return "/pools", body | {"name": "Beta Testers"}, body | {"name": "Others"}


def brand(_seeded: Seeded) -> Request:
    body = {"currency": "EUR", "routes": [{"vendor": "reloadly", "product": "7"}]}
    return "/brands", body | {"name": "Shop"}, body | {"name": "Other"}


def client(seeded: Seeded) -> Request:
    body = {"agency_id": str(seeded.agency_id)}
    return "/clients", body | {"name": "Contoso"}, body | {"name": "Fabrikam"}


def agency(_seeded: Seeded) -> Request:
    return "/agencies", {"name": "Acme"}, {"name": "Umbrella"}


def alert(_seeded: Seeded) -> Request:
    return "/alerts", {"note": "The till is open", "severity": "info"}, {"note": "It is shut"}


def webhook(_seeded: Seeded) -> Request:
    body = {"events": ["job.finished"]}
    one, other = (body | {"url": f"https://shop.example/{name}"} for name in "ab")
    return "/webhook-endpoints", one, other


MAKES = pytest.mark.parametrize(
    "asked", [agency, client, campaign, brand, pool, user_pool, api_key, alert, webhook]
)
#: What an answer shows once.
SECRETS = {"/api-keys": {"key": None}, "/webhook-endpoints": {"secret": None}}


@MAKES
def test_ec035_what_is_made_with_a_key_is_made_once(
    admin: Caller, house: House, seeded: Seeded, asked: Callable[[Seeded], Request]
):
    path, body, _other = asked(seeded)

    first = admin.post(path, body, Idempotency_Key="k")
    before = table_sizes(house)
    again = admin.post(path, dict(reversed(body.items())), Idempotency_Key='"k"')

    assert (first.status_code, again.status_code) == (201, 201)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json | SECRETS.get(path, {})
    assert table_sizes(house) == before


@MAKES
def test_ec035_a_key_stands_for_one_content_and_one_caller(
    app: Flask,
    admin: Caller,
    house: House,
    seeded: Seeded,
    asked: Callable[[Seeded], Request],
):
    path, body, other = asked(seeded)
    colleague = signed_in(app, house, Role.PLATFORM_ADMIN, seeded)
    admin.post(path, body, Idempotency_Key="k")
    before = table_sizes(house)

    reused = admin.post(path, other, Idempotency_Key="k")
    unchanged = table_sizes(house)
    elsewhere = colleague.post(path, other, Idempotency_Key="k")

    assert (reused.status_code, reused.json["code"]) == (422, "idempotency_key_reuse")
    assert unchanged == before
    assert elsewhere.status_code == 201
    assert "Idempotent-Replayed" not in elsewhere.headers


def test_ec035_a_secret_is_shown_once_and_works(app: Flask, admin: Caller, seeded: Seeded):
    path, body, _other = api_key(seeded)

    first = admin.post(path, body, Idempotency_Key="k").json
    again = admin.post(path, body, Idempotency_Key="k").json
    shop = Caller(app.test_client(), {"Authorization": f"Bearer {first['key']}"})

    assert (again["id"], again["prefix"], again["key"]) == (first["id"], first["prefix"], None)
    assert first["key"].startswith(first["prefix"])
    assert shop.get("/jobs").status_code == 200


def test_ec035_a_refused_request_leaves_no_key(admin: Caller, house: House):
    admin.post("/agencies", {"name": "Acme"})

    taken = admin.post("/agencies", {"name": "Acme"}, Idempotency_Key="k")
    free = admin.post("/agencies", {"name": "Umbrella"}, Idempotency_Key="k")

    assert (taken.status_code, taken.json["code"]) == (409, "name_taken")
    assert free.status_code == 201
    assert rows(house, "SELECT count(*) FROM idempotency_keys") == [(1,)]


def test_ec035_while_the_first_has_not_committed_the_second_is_told_to_wait(
    admin: Caller, house: House
):
    me = UUID(admin.get("/auth/me").json["id"])
    with (
        ThreadPoolExecutor(1) as elsewhere,
        scoped_transaction(house.sessions, SYSTEM) as session,
    ):
        assert first_result(session, RequestKey(me, "k", b"")) is None
        body = {"name": "Acme"}
        second = elsewhere.submit(admin.post, "/agencies", body, Idempotency_Key="k").result(10)

    assert (second.status_code, second.json["code"]) == (409, "request_in_progress")
    assert second.headers["Retry-After"] == "1"
    assert admin.post("/agencies", body, Idempotency_Key="k").status_code == 201


def test_ec035_fifty_at_once_with_one_key_make_one_thing(
    app: Flask, admin: Caller, house: House, seeded: Seeded
):
    path, body, _other = campaign(seeded)
    start = threading.Barrier(AT_ONCE)

    def attempt(_number: int) -> tuple[int, str]:
        caller = Caller(app.test_client(), admin.headers)
        start.wait(timeout=60)
        answer = caller.post(path, body, Idempotency_Key="k")
        return answer.status_code, answer.json.get("id", answer.json.get("code"))

    with ThreadPoolExecutor(AT_ONCE) as many:
        answers = set(many.map(attempt, range(AT_ONCE)))

    (made,) = rows(house, "SELECT id FROM campaigns WHERE name = 'Autumn'")
    assert (201, str(made.id)) in answers
    assert answers <= {(201, str(made.id)), (409, "request_in_progress")}
    assert admin.post(path, body, Idempotency_Key="k").json["id"] == str(made.id)


def test_ec035_fifty_allocations_at_once_with_one_key_move_credit_once(
    app: Flask, admin: Caller, house: House, seeded: Seeded
):
    """EC-072 too: the key is the movement's name."""
    body = {
        "from_account_id": str(seeded.client_account),
        "to_account_id": str(seeded.agency_account),
        "amount_minor": 2500,
    }
    start = threading.Barrier(AT_ONCE)

    def attempt(_number: int) -> int:
        caller = Caller(app.test_client(), admin.headers)
        start.wait(timeout=60)
        return caller.post("/credit/recalls", body, Idempotency_Key="k").status_code

    with ThreadPoolExecutor(AT_ONCE) as many:
        answers = set(many.map(attempt, range(AT_ONCE)))

    assert 201 in answers
    assert answers <= {201, 409}
    assert (
        admin.post("/credit/recalls", body, Idempotency_Key="k").json["from_account_balance_minor"]
        == 10_000_000 - 2500
    )
    assert rows(house, "SELECT count(*) FROM transfers WHERE kind = 'recall'") == [(1,)]
    assert_proven(house)


def a_failed_job(house: House, seeded: Seeded) -> str:
    """Two recipients, one card, no vendor: one failed item to retry."""
    import_cards_now(house, seeded.csv_pool, cards_csv(1))
    job_id = submit(house, seeded, recipients_csv(2))
    drain(house)
    assert view(house, job_id)["state"] == "partially_succeeded"
    return str(job_id)


def test_ec035_a_repeated_retry_does_not_open_a_second_round(
    manager: Caller, house: House, seeded: Seeded
):
    job_id = a_failed_job(house, seeded)

    first = manager.post(f"/jobs/{job_id}/retry", Idempotency_Key="again")
    drain(house)
    repeat = manager.post(f"/jobs/{job_id}/retry", Idempotency_Key="again")

    assert (first.status_code, first.json["state"]) == (200, "running")
    assert "Idempotent-Replayed" not in first.headers
    assert (repeat.status_code, repeat.json["state"]) == (200, "partially_succeeded")
    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert rows(house, "SELECT round FROM jobs WHERE id = :id", id=job_id) == [(2,)]
    assert_proven(house)


def test_ec035_a_repeated_move_of_a_job_answers_the_job_as_it_is_now(
    manager: Caller, house: House, seeded: Seeded
):
    job = f"/jobs/{submit(house, seeded, recipients_csv(2))}"

    moves = [
        manager.post(f"{job}/{verb}", Idempotency_Key=key)
        for verb, key in (
            ("pause", "p"),
            ("resume", "r"),
            ("pause", "p"),
            ("cancel", "c"),
            ("resume", "r"),
            ("cancel", "c"),
        )
    ]
    anew = manager.post(f"{job}/pause", Idempotency_Key="p2")
    reused = manager.post(f"{job}/cancel", Idempotency_Key="p")

    assert [
        (m.status_code, m.json["state"], "Idempotent-Replayed" in m.headers) for m in moves
    ] == [
        (200, "paused", False),
        (200, "running", False),
        (200, "running", True),
        (200, "cancelling", False),
        (200, "cancelling", True),
        (200, "cancelling", True),
    ]
    assert (anew.status_code, anew.json["code"]) == (409, "invalid_job_state")
    assert (reused.status_code, reused.json["code"]) == (422, "idempotency_key_reuse")


def test_ec035_a_campaign_is_paused_once_per_key(admin: Caller, seeded: Seeded):
    path = f"/campaigns/{seeded.campaign_id}"

    first = admin.post(f"{path}/pause", Idempotency_Key="k")
    resumed = admin.post(f"{path}/resume")
    again = admin.post(f"{path}/pause", Idempotency_Key="k")

    assert (first.json["state"], resumed.json["state"]) == ("paused", "active")
    assert (again.status_code, again.json["state"]) == (200, "active")
    assert again.headers["Idempotent-Replayed"] == "true"


def test_every_route_that_makes_something_takes_a_key(app: Flask):
    """What is left needs none: a repeat of it doubles nothing."""
    document = app.test_client().get("/api/v1/openapi.json").json
    silent = {
        path.removeprefix("/api/v1")
        for path, operations in document["paths"].items()
        if "post" in operations
        and "Idempotency-Key" not in {p["name"] for p in operations["post"].get("parameters", [])}
    }

    assert silent == {
        "/auth/login",
        "/auth/logout",
        "/auth/refresh",
        "/auth/password",
        "/approvals/{approval_id}/approve",
        "/approvals/{approval_id}/reject",
        "/auth/step-up",
        "/auth/totp/enrol",
        "/auth/totp/recovery-codes",
        "/auth/totp/verify",
        "/pools/{user_pool_id}/users/remove",
        "/users/{user_id}/impersonate",
        "/users/{user_id}/reset-second-factor",
        "/users/{user_id}/sign-out",
        # The newest link ends the older; a token works once; an address registers once.
        "/session-from-token",
        *("/auth/password-reset", "/auth/password-reset/confirm"),
        "/auth/register",
        "/auth/register/confirm",
        "/invitations/accept",
        "/users/{user_id}/allow-tries",
        # A look at how things stand, as often as one likes.
        *("/books/preview-pattern", "/vendors/{vendor_id}/check-token"),
        "/credit/balance-checks",
        *("/credit/balance-sheets/check", "/credit/balance-sheets/check.csv"),
        *("/cron/integrity-check", "/cron/monitor"),
        # A code brings one card; a file loaded or withdrawn again changes nothing.
        "/redeem",
        "/campaigns/{campaign_id}/redemption-codes",
        "/campaigns/{campaign_id}/redemption-codes/withdraw-listed",
        "/webhooks/twilio/{delivery_id}",
        "/webhooks/twilio/messages",
        # Said twice, they say the same; after `resolve` the second is refused.
        *(f"/alerts/{{alert_id}}/{what}" for what in ("acknowledge", "resolve", "snooze")),
        "/dead-letters/replay",
        *(f"/dead-letters/{{task_id}}/{what}" for what in ("bury", "replay")),
        "/webhook-deliveries/{delivery_id}/retry",
        "/webhook-endpoints/{endpoint_id}/disable",
        "/webhook-endpoints/{endpoint_id}/enable",
        "/brands/{brand_id}/prices/{price_id}/end",
        "/vendor-accounts/{vendor}/close-breaker",
        "/vendor-accounts/{vendor}/read-catalogue",
        "/provider-orders/{order_id}/resolve",
        *("/queues/{name}/pause", "/queues/{name}/resume"),
        "/gift-cards/{redemption_id}/reveal",
        "/books/{book_id}/coupons/{coupon_id}/reveal",
        "/users/me/coupons/{coupon_id}/reveal",
        *("/cron/release-expired", "/cron/issue-rewards"),
        # An event has an id; a cart one reservation and page (EC-002, EC-034); a use one decision;
        # a customer one code of a program.
        *("/webhooks/stripe", "/webhooks/events/{event_id}/replay"),
        *("/discounts/apply", "/checkout", "/purchases/{purchase_id}/accept"),
        "/referrals/programs/{program_id}/codes",
        *(f"/usages/{{reservation_id}}/{what}" for what in ("approve", "reject", "release")),
    }
