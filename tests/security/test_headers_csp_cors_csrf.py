"""Headers on every answer, no door for foreign origins, no form from elsewhere (SEC-32 to SEC-34)."""

import secrets
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from models.people import Role
from pipelines.wiring import House
from tests.intake import table_sizes
from tests.models.two_tenants import Two
from tests.security.tenants import Known, known_of
from tests.web.conftest import Caller
from tests.web.console.conftest import Visitor, visitor_of
from web.app import create_app
from web.guards import PUBLIC, public
from web.security_headers import register_security_headers

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NO_FEATURES = "camera=(), geolocation=(), microphone=(), payment=()"
#: Files and descriptions that are the same for everybody, and so may be kept.
KEPT = {"static", "docs_asset", "openapi", "widget_script"}
#: What pages of other origins show: a partner's script, and the frame that it makes (SEC-34).
EMBEDDED = {"widget_script", "widget_frame"}
#: The reader of the API's description sets styles on its elements; scripts stay strict.
STYLED = {"docs_page"}


@pytest.fixture(scope="module")
def own(house: House, app: Flask, two: Two, known: Known, callers: dict[str, Caller]) -> Known:
    return known_of(house, two.one)


@pytest.fixture(scope="module")
def bob(app: Flask, house: House, two: Two) -> Visitor:
    return visitor_of(app, house, Role.CLIENT_ADMIN, two.one)


@pytest.fixture(scope="module")
def broken(house: House) -> FlaskClient:
    """A front two of whose routes fail."""
    app = create_app(house)

    @public
    def fail() -> None:
        raise RuntimeError

    app.add_url_rule("/api/v1/fails", "fails_api", fail)
    app.add_url_rule("/console/fails", "fails_page", fail)
    return app.test_client()


def path_of(rule: Rule, own: Known) -> str:
    given: dict[str, Any] = own.ids | {
        "brand_id": own.ids["client_id"],
        "price_id": own.ids["client_id"],
        "day": "2026-11-27",
        "token": "t",
        "name": "live.js",
        "vendor": "reloadly",
        "vendor_id": own.ids["client_id"],
    }
    path = rule.rule
    for name in rule.arguments:
        for converter in ("", "uuid:", "path:"):
            path = path.replace(f"<{converter}{name}>", str(given[name]))
    return path


def judge(answer: TestResponse, endpoint: str, *, kept: bool) -> list[str]:
    """What is wrong with an answer's headers."""
    headers = answer.headers
    policy = headers.get("Content-Security-Policy", "")
    if endpoint in STYLED:
        policy = policy.replace("style-src 'self' 'unsafe-inline'", "style-src 'self'")
    always = dict(ALWAYS)
    if endpoint in EMBEDDED:
        always["Cross-Origin-Resource-Policy"] = "cross-origin"
    wrong = [f"{n}: {headers.get(n)}" for n, value in always.items() if headers.get(n) != value]
    wrong += [f"policy {policy}"] * (policy != POLICY)
    wrong += ["features"] * (headers.get("Permissions-Policy") != NO_FEATURES)
    wrong += ["referrer"] * (headers.get("Referrer-Policy") not in {"no-referrer", "same-origin"})
    wrong += ["no request id"] * ("X-Request-Id" not in headers)
    wrong += ["cache"] * (not kept and headers.get("Cache-Control") != "no-store")
    wrong += [name for name, _ in headers if name.startswith("Access-Control-")]
    wrong += ["cookie"] * ("Set-Cookie" in headers and "SameSite=Lax" not in headers["Set-Cookie"])
    wrong += ["server"] * ("X-Powered-By" in headers)
    return wrong


def test_sec033_every_route_answers_with_every_header(
    app: Flask, bob: Visitor, own: Known, callers: dict[str, Caller]
) -> None:
    """Signed in and not, whatever the route makes of it: pages, JSON, CSV, redirects, refusals."""
    wrong = []
    stranger = app.test_client()
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "console.sign_out" or rule.endpoint == "auth.logout":
            continue
        path, is_api = path_of(rule, own), rule.rule.startswith("/api/")
        for method in sorted(rule.methods - {"HEAD"}):
            for client in (stranger, bob.client):
                headers = callers["client_admin"].headers if is_api and client is bob.client else {}
                answer = client.open(path, method=method, headers=headers)
                shown = rule.endpoint if method == "GET" else ""
                found = judge(answer, shown, kept=rule.endpoint in KEPT)
                wrong += [(method, rule.rule, answer.status_code, each) for each in found]
                answer.close()

    assert wrong == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/agencies?cursor=garbage", 400),
        ("GET", "/api/v1/nowhere", 404),
        ("DELETE", "/api/v1/agencies", 405),
        ("POST", "/api/v1/campaigns", 415),
        ("GET", "/nowhere", 404),
        ("GET", "/console/nowhere", 404),
        ("DELETE", "/console/jobs", 405),
        ("POST", "/console/sign-in", 403),
        ("GET", "/static/nothing.js", 404),
    ],
)
def test_sec033_refusals_have_every_header(
    app: Flask, admin: Caller, method: str, path: str, status: int
) -> None:
    answer = admin.client.open(path, method=method, headers=admin.headers)

    assert (answer.status_code, judge(answer, "", kept=False)) == (status, [])


@pytest.mark.parametrize("path", ["/api/v1/fails", "/console/fails"])
def test_sec033_faults_have_every_header(broken: FlaskClient, path: str) -> None:
    answer = broken.get(path)

    assert (answer.status_code, judge(answer, "", kept=False)) == (500, [])


@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/console/sign-in"])
def test_sec033_a_body_too_large_is_refused_with_every_header(app: Flask, path: str) -> None:
    answer = app.test_client().post(
        path,
        data=b"x" * 2_000_000,
        content_type="application/json" if "api" in path else "application/x-www-form-urlencoded",
        headers={"Sec-Fetch-Site": "same-origin"},
    )

    assert (answer.status_code, judge(answer, "", kept=False)) == (413, [])


def test_sec033_under_tls_browsers_are_told_to_stay_there(app: Flask) -> None:
    """The front says so where its address is https; on plain HTTP the header means nothing."""
    secure = Flask("secure")
    register_security_headers(secure, secure=True)

    told = secure.test_client().get("/nowhere").headers["Strict-Transport-Security"]
    assert told == "max-age=31536000; includeSubDomains"
    assert "Strict-Transport-Security" not in app.test_client().get("/console/sign-in").headers


def test_sec033_no_template_marks_text_as_safe_or_runs_inline_code(app: Flask) -> None:
    loader = app.jinja_loader
    texts = {name: loader.get_source(app.jinja_env, name)[0] for name in loader.list_templates()}
    bad = (
        "|safe",
        "| safe",
        "autoescape false",
        "Markup(",
        "<style",
        "onclick=",
        "onload=",
        " style=",
    )

    assert len(texts) > 25
    assert [(name, mark) for name, text in texts.items() for mark in bad if mark in text] == []
    # What a partner writes into its own page, shown as text.
    of_partners = {"console/snippets/embed.txt"}
    assert {
        name for name, text in texts.items() if "<script" in text.replace("<script src=", "")
    } == of_partners


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost", "*"])
def test_sec034_no_foreign_origin_is_let_in_or_reflected(
    app: Flask, own: Known, callers: dict[str, Caller], origin: str
) -> None:
    """Asked plainly or by preflight: no partner lists these, so the widget's routes are not theirs either.

    What a listed origin may do, and where alone: tests/web/test_widget_cors.py.
    """
    ask = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    found = []
    for rule in app.url_map.iter_rules():
        for method in ("OPTIONS", "GET"):
            if method not in rule.methods:
                continue
            headers = callers["client_admin"].headers | ask
            answer = callers["client_admin"].client.open(
                path_of(rule, own), method=method, headers=headers
            )
            found += [(rule.rule, n) for n, _ in answer.headers if n.startswith("Access-Control")]
            found += [(rule.rule, "reflected")] * (origin != "*" and origin in str(answer.headers))
            answer.close()

    assert found == []


def console_posts(app: Flask) -> list[Rule]:
    return [
        r for r in app.url_map.iter_rules() if r.rule.startswith("/console") and "POST" in r.methods
    ]


#: What a form of ours carries, by the name of what is wrong with it.
ATTACKS: dict[str, dict[str, Any]] = {
    "cross-site form": {"site": {"Sec-Fetch-Site": "cross-site"}},
    "same-site form": {"site": {"Sec-Fetch-Site": "same-site"}},
    "foreign origin": {"site": {"Origin": "https://evil.example"}},
    "null origin": {"site": {"Origin": "null"}},
    "our name as a prefix": {"site": {"Origin": "http://localhost.evil.example"}},
    "no origin": {"site": {}},
    "navigation by hand": {"site": {"Sec-Fetch-Site": "none"}},
    "no token": {"token": ""},
    "another's token": {"token": "0" * 64},
    "token in the address": {"token": "", "query": True},
    "plain text": {"type": "text/plain"},
    "JSON": {"type": "application/json"},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_sec032_no_form_from_elsewhere_is_taken_by_any_page(
    app: Flask, house: House, bob: Visitor, own: Known, attack: str
) -> None:
    chosen = {"site": {"Sec-Fetch-Site": "same-origin"}, "token": None} | ATTACKS[attack]
    good = bob.get("/console/").text.partition('csrf_token" value="')[2][:64]
    token = good if chosen["token"] is None else chosen["token"]
    before = table_sizes(house)
    wrong = []
    for rule in console_posts(app):
        if (
            rule.endpoint == "console.sign_in_now"
            and set(chosen["site"]) == {"Sec-Fetch-Site"}
            and (chosen["site"]["Sec-Fetch-Site"] == "same-origin")
        ):
            continue  # nobody is signed in yet, so there is no token: the origin alone decides
        form: Any = {"csrf_token": token, "idempotency_key": secrets.token_hex(16)}
        path = path_of(rule, own) + (f"?csrf_token={good}" if "query" in chosen else "")
        if "type" in chosen:
            form = f"csrf_token={good}"
        answer = bob.client.post(
            path, data=form, content_type=chosen.get("type"), headers=chosen["site"]
        )
        if answer.status_code != 403:
            wrong.append((rule.rule, answer.status_code))

    assert wrong == []
    assert table_sizes(house) == before


def test_sec032_a_cookie_is_nothing_to_the_api_and_a_token_nothing_to_the_console(
    app: Flask, bob: Visitor, callers: dict[str, Caller]
) -> None:
    assert bob.client.get("/api/v1/jobs").status_code == 401
    page = app.test_client().get("/console/", headers=callers["client_admin"].headers)
    assert page.headers["Location"].startswith("/console/sign-in")


def test_sec032_public_posts_are_few_and_named(app: Flask) -> None:
    """A new public POST is a decision: it has neither a session's token nor a bearer."""
    found = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "POST" in rule.methods
        and getattr(app.view_functions[rule.endpoint], "permission", None) == PUBLIC
    }

    assert found == {
        "auth.login",
        "auth.refresh",
        "console.confirm_address_now",
        "console.forgot_now",
        "console.invitation_now",
        "console.reset_now",
        "console.sign_in_code_now",
        "console.sign_in_now",
        "cron.run_integrity_check",
        "cron.run_issue_rewards",
        "cron.run_monitor",
        "cron.run_release_expired",
        "gift-cards.reveal_gift_card",
        "invitations.accept_invitation",
        "password resets.ask_for_password_reset",
        "password resets.confirm_password_reset",
        "registration.confirm_user_registration",
        "registration.register_user",
        "stripe-events.take_stripe_event",
        "redeem.redeem_code",
        "redeem_page.take_code",
        "reveal.open_card",
        # Its bearer is the token in its body, which a partner signed.
        "widget.open_session_from_token",
        "webhooks.take_twilio_message",
        "webhooks.take_twilio_receipt",
    }
