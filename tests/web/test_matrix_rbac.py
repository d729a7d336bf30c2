"""Every route, asked by every role and key: who is let in is what this page says (SEC-09)."""

from collections.abc import Iterator
from itertools import combinations
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.api_keys import NewKey, draw_key, make_key
from pipelines.access.permissions import GRANTS, KEY_SCOPES, KeyScope, Permission
from pipelines.wiring import House
from tests.seeding import Seeded
from tests.web.conftest import Caller, signed_in
from tests.web.console.conftest import SAME_ORIGIN, Visitor, visitor_of
from tests.web.routes_golden import ROUTES
from tests.web.test_permissions import GOLDEN, LETTERS
from web.visitors import PARTNER_SESSION

SUPPORT = frozenset(
    {
        "own_account",
        "vendors_read",
        "own_credentials",
        "impersonate",
        "audit_read",
        "agencies_read",
        "clients_read",
        "campaigns_read",
        "brands_read",
        "credit_read",
        "pools_read",
        "jobs_read",
        "orders_read",
        "queues_read",
        "invariants_read",
        "alerts_read",
        "webhooks_read",
        "own_coupons",
        "own_jobs",
        "books_read",
        "user_pools_read",
        "discounts_read",
        "purchases_read",
        "partners_read",
    }
)
END_USER = frozenset({"own_account", "own_credentials", "own_coupons", "own_jobs"})
PEOPLE = [role for role in Role if role is not Role.STOREFRONT_KEY]
KEYS = [
    frozenset(chosen)
    for count in (0, 1, 2, len(KeyScope))
    for chosen in combinations(KeyScope, count)
]
#: Written out once more: what a key may do with each scope.
BY_SCOPE = {
    "provision": {"provision"},
    "jobs:read": {"jobs_read", "own_jobs"},
    "credit:read": {"credit_read"},
    "books:read": {"books_read"},
    "coupons": {"own_coupons", "coupons_assign", "coupons_redeem"},
    "discounts": {"discounts_apply", "checkout", "purchases_read"},
}
#: Public for whoever has the link; without one, as here, it takes this permission.
WITHOUT_A_LINK = {"POST /api/v1/gift-cards/<uuid:redemption_id>/reveal": "cards_reveal"}
NEEDED = ROUTES | WITHOUT_A_LINK
#: Public for whoever has the cron secret, and for nobody else.
WITH_THE_SECRET = {
    f"POST /api/v1/cron/{name}"
    for name in ("integrity-check", "issue-rewards", "monitor", "release-expired")
}
#: For whoever a partner's token let in, and for nobody else: test_widget_sessions.py lets them in.
WITH_A_VISIT = {route for route, needs in ROUTES.items() if needs == PARTNER_SESSION}
DENIALS = {"forbidden", "insufficient_scope"}


def holds(role: Role, permission: str) -> bool:
    """What the golden tables say."""
    if permission == "public":
        return True
    if role is Role.PLATFORM_SUPPORT:
        return permission in SUPPORT
    if role is Role.END_USER:
        return permission in END_USER
    return role in {LETTERS[letter] for letter in GOLDEN[permission]}


def routes(app: Flask) -> Iterator[tuple[str, Rule]]:
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, rule


def path_of(rule: Rule, seeded: Seeded) -> str:
    """An address of the rule, with the id of something that is there and is none of these."""
    path = rule.rule
    for name in rule.arguments:
        path = path.replace(f"<uuid:{name}>", str(seeded.brand_id))
        path = path.replace(f"<path:{name}>", "base.css").replace(f"<{name}>", "bulk")
    return path


def is_denied(answer: TestResponse) -> bool:
    """Refused for what the caller may not do at all; a refusal of this object is another thing."""
    if answer.status_code != 403:
        return False
    if answer.is_json:
        return answer.json["code"] in DENIALS
    return "The permission that is missing" in answer.text


def is_unknown_to_the_widget(answer: TestResponse) -> bool:
    """Turned away as somebody who has no visit, whatever else they are."""
    return answer.status_code == 401 and answer.json["code"] == "session_expired"


def test_every_route_stands_in_the_table_with_its_permission(app: Flask):
    declared = {
        f"{method} {rule.rule}": str(getattr(app.view_functions[rule.endpoint], "permission", None))
        for method, rule in routes(app)
    }

    assert declared == ROUTES


def test_the_tables_agree_with_what_the_guards_read():
    for permission in Permission:
        assert {role for role in PEOPLE if holds(role, permission)} == {
            role for role in PEOPLE if permission in GRANTS[role]
        }, permission
    by_scope = {scope.value: set[str]() for scope in KeyScope}
    for permission, scope in KEY_SCOPES.items():
        by_scope[scope.value].add(permission.value)
    assert by_scope == BY_SCOPE


@pytest.mark.parametrize("role", PEOPLE)
def test_sec009_each_role_is_let_into_exactly_its_routes(
    app: Flask, house: House, seeded: Seeded, role: Role
):
    """A caller without the permission is refused before the body or the object is looked at."""
    wrong = []
    caller, visitor = None, None
    for method, rule in sorted(routes(app), key=lambda route: ends_session(route[1])):
        if rule.rule.startswith("/api/"):
            caller = caller or signed_in(app, house, role, seeded)
            answer = caller.client.open(
                path_of(rule, seeded), method=method, headers=caller.headers
            )
        else:
            visitor = visitor or visitor_of(app, house, role, seeded)
            answer = opened(visitor, method, path_of(rule, seeded))
        if f"{method} {rule.rule}" in WITH_THE_SECRET and answer.status_code == 401:
            continue
        if f"{method} {rule.rule}" in WITH_A_VISIT:
            wrong += [(method, rule.rule, answer.status_code)] * (
                not is_unknown_to_the_widget(answer)
            )
            continue
        expected = holds(role, NEEDED[f"{method} {rule.rule}"])
        if is_denied(answer) == expected or answer.status_code in {401, 500}:
            wrong.append((method, rule.rule, answer.status_code))

    assert wrong == []


def ends_session(rule: Rule) -> bool:
    return rule.endpoint.endswith(("logout", "sign_out"))


def opened(visitor: Visitor, method: str, path: str) -> TestResponse:
    """As a browser does it: a form carries the token that its page had."""
    if method == "GET":
        return visitor.get(path)
    token = visitor.get("/console/roles").text.partition('csrf_token" value="')[2][:64]
    return visitor.client.open(path, method=method, data={"csrf_token": token}, headers=SAME_ORIGIN)


@pytest.mark.parametrize("scopes", KEYS, ids=lambda scopes: "+".join(sorted(scopes)) or "none")
def test_sec009_a_key_is_let_into_exactly_the_routes_of_its_scopes(
    app: Flask, house: House, seeded: Seeded, scopes: frozenset[KeyScope]
):
    shop = key_of(app, house, seeded, scopes)
    allowed = set[str]().union(*(BY_SCOPE[scope.value] for scope in scopes)) | {"public"}
    wrong = []
    for method, rule in routes(app):
        if not rule.rule.startswith("/api/"):
            continue
        answer = shop.client.open(path_of(rule, seeded), method=method, headers=shop.headers)
        permission = NEEDED[f"{method} {rule.rule}"]
        if f"{method} {rule.rule}" in WITH_THE_SECRET and answer.status_code == 401:
            continue
        if f"{method} {rule.rule}" in WITH_A_VISIT:
            wrong += [(method, rule.rule, answer.status_code)] * (
                not is_unknown_to_the_widget(answer)
            )
            continue
        if is_denied(answer) == (permission in allowed) or answer.status_code in {401, 500}:
            wrong.append((method, rule.rule, answer.status_code))
        if is_denied(answer) and permission in set().union(*BY_SCOPE.values()):
            needs = next(scope for scope, named in BY_SCOPE.items() if permission in named)
            assert (answer.json["code"], answer.json["needs"]) == ("insufficient_scope", needs)

    assert wrong == []


def key_of(app: Flask, house: House, seeded: Seeded, scopes: frozenset[KeyScope]) -> Caller:
    drawn = draw_key(is_live=False)
    wanted = NewKey("matrix", seeded.client_id, sorted(scopes))
    with scoped_transaction(house.sessions, SYSTEM) as session:
        make_key(session, drawn, wanted, actor_id=UUID(int=1), now=clock.now(session))
    return Caller(app.test_client(), {"Authorization": f"Bearer {drawn.text}"})


def test_nobody_unknown_gets_past_any_declared_route(
    app: Flask, browser: FlaskClient, seeded: Seeded
):
    """The API answers 401; a page sends to the sign-in."""
    let_in = []
    for method, rule in routes(app):
        answer = browser.open(path_of(rule, seeded), method=method, headers=SAME_ORIGIN)
        if rule.rule.startswith("/api/"):
            is_turned_away = answer.status_code == 401
        else:
            is_turned_away = answer.location is not None and "/console/sign-in" in answer.location
        if NEEDED[f"{method} {rule.rule}"] != "public" and not is_turned_away:
            let_in.append((method, rule.rule, answer.status_code))

    assert let_in == []
