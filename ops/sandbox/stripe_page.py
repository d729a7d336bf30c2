"""Stripe's page where a buyer pays: what is bought, and a button for each way it may go."""

from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, redirect, render_template_string, request
from werkzeug.wrappers import Response as AnyResponse

from ops.sandbox import stripe_sessions as sessions
from ops.sandbox.stripe_account import Account
from ops.sandbox.stripe_door import NAME, Refused
from ops.sandbox.stripe_money import decimals_of
from ops.sandbox.stripe_objects import Facts, Moment
from ops.sandbox.stripe_payments import Payer
from ops.sandbox.stripe_sessions import WrongMoment, session_of

#: The cards a buyer may choose, by their last digits: what the page says, and the fingerprint of one
#: that several buyers may have; the first is another one each time, and nobody is told apart by it.
CARDS: dict[str, tuple[str, str, str | None]] = {
    "4242": ("Visa ending in 4242, a new one each time", "visa", None),
    "4444": ("Mastercard ending in 4444", "mastercard", "KANARIE4444card2"),
    "0005": ("American Express ending in 0005", "amex", "KANARIE0005card3"),
}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }} - sandbox checkout</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; padding: .4rem 0; border-bottom: 1px solid #999; }
.amount { text-align: right; }
button, select, input { font: inherit; padding: .5rem; margin: .25rem 0; width: 100%;
  box-sizing: border-box; }
[role=alert] { border-left: .3rem solid #b00020; padding: .5rem 1rem; }
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
<p>This is the sandbox: no money moves.</p>
{% if alert %}<p role="alert">{{ alert }}</p>{% endif %}
{% if session %}
<table>
<caption>What you buy</caption>
<thead><tr><th scope="col">Item</th><th scope="col">Quantity</th>
<th scope="col" class="amount">Amount</th></tr></thead>
<tbody>
{% for line in lines %}
<tr><td>{{ line.name }}</td><td>{{ line.quantity }}</td><td class="amount">{{ line.amount }}</td></tr>
{% endfor %}
</tbody>
<tfoot><tr><th scope="row" colspan="2">Total</th><td class="amount">{{ total }}</td></tr></tfoot>
</table>
{% endif %}
{% if is_open %}
<form method="post">
<p><label for="email">E-mail</label>
<input id="email" name="email" type="email" autocomplete="email" value="{{ email }}" required></p>
{% if is_paid_for %}
<p><label for="card">Card</label>
<select id="card" name="card">
{% for number, (name, _brand, _print) in cards.items() %}
<option value="{{ number }}">{{ name }}</option>
{% endfor %}
</select></p>
<p><button name="action" value="pay">Pay</button></p>
<p><button name="action" value="decline">Card declined</button></p>
<p><button name="action" value="pay_later">Pay by bank debit (settles later)</button></p>
{% else %}
<p><button name="action" value="pay">Complete</button></p>
{% endif %}
{% if can_cancel %}
<p><button name="action" value="cancel" formnovalidate>Cancel</button></p>
{% endif %}
</form>
{% endif %}
</main>
</body>
</html>
"""
GONE = {
    "expired": ("This page has expired", "Its time is over, or the shop ended it."),
    "complete": ("You are all done here", "This payment was completed."),
}


def pay_page(account: Account) -> Blueprint:
    pages = Blueprint(f"{NAME}_page", __name__, url_prefix=f"/{NAME}")

    @pages.get("/pay/<identity>")
    def show(identity: str) -> Response:
        with account.moment() as moment:
            return _shown(session_of(moment, identity))

    @pages.post("/pay/<identity>")
    def click(identity: str) -> AnyResponse:
        """A button; afterwards the buyer is where the shop wants him, or here again."""
        action = request.form.get("action", "")
        with account.moment() as moment:
            session = session_of(moment, identity)
            if session["status"] != "open":
                return _shown(session)
            if action == "cancel" and session["cancel_url"]:
                return redirect(session["cancel_url"], 303)
            return _acted(moment, session, action)

    @pages.errorhandler(Refused)
    def refuse(error: Refused) -> Response:
        return _page("Nothing to pay here", str(error), status=error.status)

    @pages.errorhandler(WrongMoment)
    def refuse_moment(error: WrongMoment) -> Response:
        return _page("This cannot be done", str(error), status=409)

    return pages


def _acted(moment: Moment, session: Facts, action: str) -> AnyResponse:
    payer = _payer()
    match action:
        case "pay":
            sessions.pay(moment, session, payer)
        case "pay_later":
            sessions.pay_later(moment, session, payer)
        case "decline":
            sessions.turn_down(moment, session, payer, "generic_decline")
            return _shown(session, alert="Your card was declined. Try another one.")
        case _:
            return _shown(session, alert="This button is not known.", status=400)
    target = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
    return redirect(target, 303)


def _payer() -> Payer:
    number = request.form.get("card", "4242")
    _name, brand, fingerprint = CARDS.get(number, CARDS["4242"])
    email = request.form.get("email", "").strip() or None
    return Payer(email=email, fingerprint=fingerprint, last4=number[-4:], brand=brand)


def _shown(session: Facts, *, alert: str = "", status: int = 200) -> Response:
    title, said = GONE.get(session["status"], ("Pay", alert))
    currency = session["currency"]
    lines = [
        {
            "name": line["description"],
            "quantity": line["quantity"],
            "amount": _money(line["amount_total"], currency),
        }
        for line in session["_lines"]
    ]
    return _page(
        title,
        said,
        status=status,
        session=session,
        lines=lines,
        total=_money(session["amount_total"], currency),
        is_open=session["status"] == "open",
        is_paid_for=session["amount_total"] > 0,
        can_cancel=bool(session["cancel_url"]),
        email=session["customer_email"] or "buyer@example.com",
        cards=CARDS,
    )


def _page(title: str, alert: str, *, status: int, **told: Any) -> Response:
    text = render_template_string(PAGE, title=title, alert=alert, **told)
    return Response(
        text, status, {"Cache-Control": "no-store"}, content_type="text/html; charset=utf-8"
    )


def _money(amount: int, currency: str) -> str:
    places = decimals_of(currency)
    return f"{Decimal(amount).scaleb(-places):,.{places}f} {currency.upper()}"
