"""A code for one customer alone: to everybody else it is no code, and it stays good for them (EC-017)."""

import json
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.alerts.fold import fold_signals
from pipelines.wiring import House
from tests.discounting import asked, cart, counted, make_batch, said
from tests.driving import change, drain, hasten, rows
from tests.proof import assert_proven
from tests.security.tenants import key_caller
from tests.seeding import Seeded
from tests.statements import statements
from tests.web.conftest import Caller, make_user, signed_in
from tests.web.shells import a_shell
from tests.web.test_book_codes import ended
from tests.web.test_discount_imports import upload
from tests.web.test_discounts import TEN_PERCENT, problems

APPLY = "/discounts/apply"
ANN = "ann@x.example"
LOOK = "/discounts/validate?subtotal_minor=900&currency=USD"


@pytest.fixture
def shop(app: Flask, house: House, seeded: Seeded) -> Caller:
    return key_caller(app, house, seeded.client_id)


def hers(manager: Caller, whom: dict[str, Any] | None = None, **rules: Any) -> UUID:
    body = TEN_PERCENT | rules | {"assigned_to": whom or {"email": ANN}}
    made = manager.post("/discounts", body)
    assert made.status_code == 201, made.json
    return UUID(made.json["id"])


def tries(house: House) -> list[int]:
    """How often each of the others tried."""
    return [row.tries for row in rows(house, "SELECT tries FROM code_tries ORDER BY id")]


def alerts(house: House) -> list[tuple[str, UUID]]:
    with scoped_transaction(house.sessions, SYSTEM) as session:
        fold_signals(session)
    found = rows(house, "SELECT kind, subject_id FROM alerts WHERE state <> 'resolved'")
    return [(row.kind, row.subject_id) for row in found]


def known(house: House, seeded: Seeded, name: str, email: str) -> UUID:
    """An end user whom the client knows by an address and as `crm-<name>`."""
    make_user(house, f"{name}@elsewhere.example", Role.END_USER)
    change(
        house,
        "INSERT INTO client_users (client_id, agency_id, user_id, email, email_normalised, "
        "external_id) SELECT :client, :agency, id, :email, :email, :external FROM users "
        "WHERE email_normalised = :account",
        client=seeded.client_id,
        agency=seeded.agency_id,
        email=email,
        external=f"crm-{name}",
        account=f"{name}@elsewhere.example",
    )
    (user,) = rows(
        house, "SELECT user_id FROM client_users WHERE external_id = :id", id=f"crm-{name}"
    )
    return UUID(str(user.user_id))


def tried(shop: Caller, **given: Any) -> None:
    """Somebody else tries it; what becomes of that follows when the answer has gone."""
    answer = shop.post(APPLY, asked(**given))
    assert said(answer) == (404, "code_invalid")
    answer.close()


def told(answer: TestResponse) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Everything of an answer but the request's own number, and how often the shop has asked."""
    body = answer.get_data()
    answer.close()
    if answer.status_code != 200:
        request_id = json.loads(body)["request_id"]
        body = body.replace(request_id.encode(), b"-" * len(request_id))
    own = {"X-Request-Id", "Date", "RateLimit"}
    headers = [(name, value) for name, value in answer.headers if name not in own]
    return answer.status_code, body, headers


def test_ec017_thirty_others_are_told_of_no_code_and_its_customer_uses_it(
    manager: Caller, shop: Caller, house: House
) -> None:
    code_id = hers(manager, max_uses=1)
    unknown = told(shop.post(APPLY, asked("NEVER-MADE")))
    looked_unknown = told(shop.get(f"{LOOK}&code=never-made&customer=eve@x.example"))

    others = [told(shop.post(APPLY, asked())) for _ in range(30)]
    looked = told(shop.get(f"{LOOK}&code=save10&customer=eva@x.example"))
    nobody = shop.get(f"{LOOK}&code=save10").json["reason"]

    assert unknown[0] == 404
    assert json.loads(unknown[1])["code"] == "code_invalid"
    assert others == [unknown] * 30
    assert looked == looked_unknown
    assert nobody == "code_invalid"
    assert alerts(house) == [("assigned_code_leaked", code_id)]
    shown = manager.get(f"/discounts/{code_id}").json
    assert (shown["is_assigned"], shown["assigned_user_id"]) == (True, None)
    assert (shown["standing"], shown["others_tried"]) == ("active", 31)
    assert shown["last_tried_by_other_at"] is not None
    assert counted(house, code_id) == (0, {})
    good = shop.get(f"{LOOK}&code=save10&customer={ANN}").json
    assert (good["valid"], good["discount_minor"]) == (True, 90)
    assert shop.post(APPLY, asked(who="Ann@X.example")).status_code == 201
    assert_proven(house)


def test_ec017_the_public_door_knows_nobody_and_has_no_such_code(
    app: Flask, manager: Caller, house: House, seeded: Seeded
) -> None:
    hers(manager)
    anybody = Caller(app.test_client(), {})
    query = f"client_id={seeded.client_id}&subtotal_minor=900&currency=USD"

    answers = [
        told(anybody.get(f"/public/discounts/validate?{query}&code={code}"))
        for code in ("save10", "never-made")
    ]

    bodies = {body for _status, body, _headers in answers}
    assert [json.loads(body)["reason"] for body in bodies] == ["code_invalid"]
    assert tries(house) == []


def test_ec017_a_guest_who_signs_in_keeps_the_code_whatever_becomes_of_their_address(
    manager: Caller, shop: Caller, house: House, seeded: Seeded
) -> None:
    """EC-052: names grow; a card that two share makes nobody the assignee."""
    code_id = hers(manager, max_uses_per_customer=None)
    basket = cart()
    guest = shop.post(APPLY, asked(who=ANN, cart=basket))
    user_id = known(house, seeded, "ann", ANN)

    signed = shop.post(APPLY, asked(customer={"id": str(user_id)}, cart=basket))
    change(
        house,
        "UPDATE client_users SET email = 'new@x.example', email_normalised = 'new@x.example' "
        "WHERE external_id = 'crm-ann'",
    )
    moved = shop.post(APPLY, asked(customer={"email": "new@x.example"}))
    other = shop.post(APPLY, asked(customer={"external_id": "crm-bob"}))

    assert (guest.status_code, signed.status_code, moved.status_code) == (201, 200, 201)
    assert said(other) == (404, "code_invalid")
    shown = manager.get(f"/discounts/{code_id}").json
    assert shown["assigned_user_id"] == str(user_id)
    assert counted(house, code_id)[1] == {"reserved": 2}


def test_ec016_customers_are_locked_before_a_code_that_learns_whose_it_is(
    manager: Caller, shop: Caller, house: House, seeded: Seeded
) -> None:
    """EC-016, EC-017: whoever gives slots back at that moment goes from customers to codes."""
    code_id = hers(manager, currency="USD", min_subtotal_minor=5_000)
    body = asked(who=ANN, cart=cart(9_000, reference="cart-1"))
    shop.post(APPLY, body)
    user_id = known(house, seeded, "ann", ANN)

    with statements(house) as sent:
        gone = shop.post(APPLY, body | {"cart": cart(100, reference="cart-1")})

    told = [
        one for one in sent if "UPDATE discount_customers" in one or "assigned_user_id =" in one
    ]
    assert said(gone) == (409, "cart_changed")
    assert ["UPDATE discount_customers" in one for one in told] == [True, False]
    assert manager.get(f"/discounts/{code_id}").json["assigned_user_id"] == str(user_id)
    assert_proven(house)


def test_ec017_whoever_the_client_knows_is_the_assignee_by_every_name(
    manager: Caller, shop: Caller, house: House, seeded: Seeded
) -> None:
    user_id = known(house, seeded, "ann", ANN)

    nobody = manager.post(
        "/discounts", TEN_PERCENT | {"assigned_to": {"id": "11111111-1111-4111-8111-111111111111"}}
    )
    empty = manager.post("/discounts", TEN_PERCENT | {"assigned_to": {}})
    before = rows(house, "SELECT 1 FROM discount_codes")
    code_id = hers(manager, {"external_id": "crm-ann"}, max_uses_per_customer=None)

    assert said(nobody) == (404, "user_not_found")
    assert (empty.status_code, problems(empty)[0][1]) == (422, "required")
    assert before == []
    assert manager.get(f"/discounts/{code_id}").json["assigned_user_id"] == str(user_id)
    names: list[dict[str, str]] = [{"id": str(user_id)}, {"email": ANN}, {"external_id": "crm-ann"}]
    done = [shop.post(APPLY, asked(customer=name)).status_code for name in names]
    assert done == [201] * 3
    assert (
        rows(house, "SELECT 1 FROM discount_codes WHERE discount_codes::text LIKE '%crm-ann%'")
        == []
    )


def test_s2_131_ec017_who_puts_a_batch_away_has_seen_to_the_codes_that_others_tried(
    manager: Caller, shop: Caller, house: House, seeded: Seeded
) -> None:
    code_id, batch_id = hers(manager), make_batch(house, seeded)
    change(house, "UPDATE discount_codes SET batch_id = :id", id=batch_id)
    for _ in range(3):
        tried(shop)

    manager.post(f"/discounts/batches/{batch_id}/pause")
    paused = alerts(house)
    manager.call("DELETE", f"/discounts/batches/{batch_id}")

    assert paused == [("assigned_code_leaked", code_id)]
    assert alerts(house) == []


def test_ec017_one_other_is_one_by_whatever_they_come_and_three_within_an_hour_are_told_of(
    manager: Caller, shop: Caller, house: House
) -> None:
    code_id = hers(manager)
    bob = {"email": "bob@x.example"}
    for who in (bob, bob | {"external_id": "crm-bob"}, {"external_id": "crm-bob"}):
        tried(shop, customer=who)
    tried(shop)
    change(
        house,
        "UPDATE code_tries SET first_at = first_at - interval '1 hour', "
        "last_at = last_at - interval '1 hour'",
    )
    tried(shop)
    tried(shop)
    quiet = alerts(house)

    tried(shop, customer=bob)

    assert quiet == []
    assert tries(house) == [4, 1, 1, 1]
    assert alerts(house) == [("assigned_code_leaked", code_id)]
    assert manager.get(f"/discounts/{code_id}").json["standing"] == "active"
    manager.call("DELETE", f"/discounts/{code_id}")
    assert alerts(house) == []
    assert said(shop.post(APPLY, asked())) == (404, "code_invalid")
    assert said(shop.post(APPLY, asked(who=ANN))) == (409, "code_inactive")


def test_ec017_files_of_codes_say_whose_each_is(
    app: Flask, manager: Caller, shop: Caller, house: House, seeded: Seeded
) -> None:
    user_id = known(house, seeded, "ann", ANN)
    head = "code,kind,percent_bp,assigned_to,assigned_external_id,assigned_user_id\r\n"
    text = (
        head + f"ANNS1,percent,1000,Ann@X.example,,\r\nCRM01,percent,1000,,crm-ann,\r\n"
        f"USER1,percent,1000,,,{user_id}\r\nGUEST,percent,1000,bob@x.example,crm-bob,\r\n"
        "ALLS1,percent,1000,,,\r\nANNS1,percent,1000,bob@x.example,,\r\n"
        "BAD01,percent,1000,nowhere,,\r\nBAD02,percent,1000,,,17\r\n"
        "BAD03,percent,1000,,,11111111-1111-4111-8111-111111111111\r\n"
    )
    row = TEN_PERCENT | {"code": "JSON1", "assigned_to": {"id": str(user_id)}}

    ended(manager, house, upload(manager, text, "skip"))
    ended(
        manager,
        house,
        manager.post("/discounts/import", {"codes": [row]}, **{"Idempotency-Key": "json"}),
    )
    with a_shell(app, manager) as shell:
        made = shell.run(*("discounts", "create", "CLI01", "--percent", "10", "--assigned-to", ANN))
        shown = shell.run("discounts", "show", made.output.strip()).output

    assert "For one customer alone; 0 others tried it." in shown
    codes = {code["code"]: code for code in manager.get("/discounts?limit=100").json["data"]}
    whose = {name: code["assigned_user_id"] for name, code in codes.items() if code["is_assigned"]}
    assert whose == {
        **dict.fromkeys(("ANNS1", "CRM01", "USER1", "JSON1", "CLI01"), str(user_id)),
        "GUEST": None,
    }
    bad = rows(house, "SELECT field, code FROM items WHERE state = 'failed' ORDER BY position")
    assert [tuple(one) for one in bad] == [
        ("code", "duplicate_row"),
        ("assigned_to", "invalid_email"),
        ("assigned_user_id", "user_not_found"),
        ("assigned_user_id", "user_not_found"),
    ]
    assert [
        shop.get(f"{LOOK}&code={code}&customer={who}").json["valid"]
        for code, who in (("anns1", ANN), ("anns1", "bob@x.example"), ("guest", "bob@x.example"))
    ] == [True, False, True]


def test_ec052_ec017_an_erasure_waits_for_a_file_that_names_people_and_leaves_digests(
    app: Flask, manager: Caller, shop: Caller, house: House, seeded: Seeded
) -> None:
    known(house, seeded, "ann", ANN)
    admin = signed_in(app, house, Role.CLIENT_ADMIN, seeded, name="admin")
    text = f"code,kind,percent_bp,assigned_to\r\nSAVE10,percent,1000,{ANN}\r\n"
    upload(manager, text)
    change(
        house,
        "UPDATE tasks SET run_after = now() + interval '1 hour' WHERE kind = 'import_discounts'",
    )
    body = {"email": ANN, "reason": "Asked for by the person"}
    erasure = admin.post("/erasures", body, Idempotency_Key="erase").json["id"]
    drain(house)
    waits = admin.get(f"/erasures/{erasure}").json["state"]

    hasten(house)
    drain(house)
    hasten(house)
    drain(house)

    assert waits != "finished"
    assert admin.get(f"/erasures/{erasure}").json["state"] == "finished"
    assert said(shop.post(APPLY, asked())) == (404, "code_invalid")
    assert shop.post(APPLY, asked(who=ANN)).status_code == 201
