"""The pretend shop's pages and its small backend: who is signed in, and a token for them."""

from flask import Blueprint, Response, render_template, request, send_from_directory

from ops.sandbox.partner.shop import CUSTOMERS, Shop, Vendor
from ops.sandbox.partner.trials import TRIALS, Answer
from ops.sandbox.wire import reply

COOKIE = "pretend_shop_customer"
DAY_SECONDS = 24 * 3600
#: What a shop's pages must let in to show the widget: its script and its frame, and nothing more.
POLICY = (
    "default-src 'none'; script-src {host}; frame-src {host}; style-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def partner_site(shop: Shop) -> Blueprint:
    pages = Blueprint("partner", __name__, url_prefix="/partner", template_folder="pages")

    @pages.get("/")
    def front() -> Response:
        return _page(shop.vendor)

    @pages.get("/shop.css")
    def style() -> Response:
        return send_from_directory(f"{pages.root_path}/pages", "shop.css")

    @pages.post("/sign-in")
    def sign_in() -> Response:
        """A pretend one: whoever clicks a name is that customer."""
        customer = request.form.get("customer", "")
        back = Response(status=303, headers={"Location": "/partner/"})
        if customer in CUSTOMERS:
            back.set_cookie(
                COOKIE,
                customer,
                max_age=DAY_SECONDS,
                httponly=True,
                samesite="Lax",
                path="/partner",
            )
        else:
            back.delete_cookie(COOKIE, path="/partner")
        return back

    @pages.post("/largesse-token")
    def token() -> Response:
        """What the widget's script asks for: a fresh token for whoever is signed in here."""
        vendor, customer = shop.vendor, _customer()
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return reply({"error": "asked from another site"}, 403)
        if vendor is None or customer is None:
            return reply({"error": "nobody is signed in"}, 401)
        return reply({"token": vendor.sign(customer)}, headers={"Cache-Control": "no-store"})

    @pages.post("/try/<name>")
    def attempt(name: str) -> Response:
        vendor = shop.vendor
        if vendor is None or name not in TRIALS:
            return _page(vendor, status=404)
        origin = request.host_url.rstrip("/")
        answers = TRIALS[name].run(vendor, origin, _customer() or next(iter(CUSTOMERS)))
        return _page(vendor, tried=name, answers=answers)

    return pages


def _customer() -> str | None:
    given = request.cookies.get(COOKIE, "")
    return given if given in CUSTOMERS else None


def _page(
    vendor: Vendor | None,
    *,
    tried: str | None = None,
    answers: list[Answer] | None = None,
    status: int = 200,
) -> Response:
    text = render_template(
        "shop.html",
        vendor=vendor,
        customers=CUSTOMERS,
        customer=_customer(),
        trials=TRIALS,
        tried=tried,
        answers=answers or [],
        elsewhere=_elsewhere(),
    )
    headers = {
        "Content-Security-Policy": POLICY.format(host=vendor.host if vendor else "'none'"),
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(text, status, headers, content_type="text/html; charset=utf-8")


def _elsewhere() -> str | None:
    """This page on an origin that no list has, for the same machine has two names."""
    host, _, port = request.host.partition(":")
    return f"http://localhost:{port}/partner/" if host == "127.0.0.1" else None
