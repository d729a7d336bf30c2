"""The recipient's own page: looking shows the gift, only a person's click opens the card."""

from uuid import UUID

from flask import Blueprint, Response, render_template, request

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.access.rate_policies import Policy
from pipelines.errors import NotFound, Refusal
from pipelines.provisioning.refusals import ProvisionUndone
from pipelines.provisioning.reveal import OpenedCard, RevealFacts, RevealLimited, facts_by_token
from pipelines.provisioning.reveal_link import needs_email, open_by_link
from web.console.csrf import ForeignForm
from web.console.formats import grouped, money
from web.console.intake_size import FORM_BYTES_MAX
from web.front import front
from web.guards import public
from web.humans import CaptchaFailed, humans_only, widget
from web.misses import looking_up, misses
from web.rate_limits import RateLimited, limited

EMAIL_CHARACTERS_MAX = 320
HEADERS = {
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Referrer-Policy": "no-referrer",
}
WRONG_EMAIL = (
    "This is not the address the gift was sent to. Type the address at which you got the link."
)

reveal_page = Blueprint("reveal", __name__)


def _is_alarmed(**_path: str) -> bool:
    return misses().is_alarmed


def _ask_human(refusal: Refusal) -> Response:
    """Nothing is looked for before a person is there: the page is the same for every link."""
    has_tried = isinstance(refusal, CaptchaFailed)
    wrong = refusal.detail if has_tried else None
    return _alone(
        "reveal_human.html",
        "A gift for you",
        403 if has_tried else 200,
        wrong=wrong,
        widget=widget(),
    )


@reveal_page.get("/r/<token>")
@public
@limited(Policy.REVEAL)
@humans_only(Policy.REVEAL, when=_is_alarmed, otherwise=_ask_human)
def look(token: str) -> Response:
    """Brand, amount and a button: link scanners and previews open nothing (EC-079)."""
    try:
        facts, by_email = _find(token)
    except NotFound:
        return _wrong_link()
    return _closed(facts, by_email=by_email)


@reveal_page.post("/r/<token>")
@public
@limited(Policy.REVEAL)
@humans_only(Policy.REVEAL, when=_is_alarmed, otherwise=_ask_human)
def open_card(token: str) -> Response:
    """Open the card for the person who pressed the button and knows the address."""
    request.max_content_length = FORM_BYTES_MAX
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise ForeignForm
    try:
        facts, by_email = _find(token)
    except NotFound:
        return _wrong_link()
    answer = request.form.get("email", "")[:EMAIL_CHARACTERS_MAX]
    if "look" in request.form:
        return _closed(facts, by_email=by_email)
    if "open" not in request.form or (by_email and not answer.strip()):
        wrong = "Type your e-mail address to open the gift." if by_email else None
        return _closed(facts, by_email=by_email, wrong=wrong, status=422)
    try:
        card = _opened(facts.client_id, facts.provision_id, answer)
    except RevealLimited as refusal:
        return _later(refusal)
    if card is None:
        return _closed(facts, by_email=by_email, wrong=WRONG_EMAIL, status=422)
    return _open(card)


@reveal_page.errorhandler(ProvisionUndone)
def taken_back(_refusal: ProvisionUndone) -> Response:
    """The link was good once; an undo may come even between looking and opening."""
    return _alone("reveal_undone.html", "This gift card was taken back", 410)


@reveal_page.errorhandler(RateLimited)
def too_often(refusal: RateLimited) -> Response:
    """The network asked too often, or for links that nobody has."""
    return _later(refusal, detail=refusal.detail)


def _later(refusal: Refusal, **facts: object) -> Response:
    response = _alone("reveal_limited.html", "Try again later", 429, **facts)
    response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


def _find(token: str) -> tuple[RevealFacts, bool]:
    house = front().house
    with looking_up(token), scoped_transaction(house.sessions, SYSTEM) as session:
        facts = facts_by_token(session, token, house.settings.keyring)
        return facts, needs_email(session, facts.provision_id)


def _opened(client_id: UUID, provision_id: UUID, answer: str) -> OpenedCard | None:
    house = front().house
    with scoped_transaction(house.sessions, client(client_id)) as session:
        return open_by_link(
            session,
            provision_id,
            answer,
            person_secret=house.person_secret,
            keyring=house.settings.keyring,
            now=clock.now(session),
        )


def _closed(
    facts: RevealFacts, *, by_email: bool, wrong: str | None = None, status: int = 200
) -> Response:
    return _alone(
        "reveal.html",
        f"Your {facts.brand} gift card",
        status,
        brand=facts.brand,
        amount=money(facts.value_minor, facts.currency),
        last4=facts.last4,
        by_email=by_email,
        was_opened=facts.revealed_at is not None,
        wrong=wrong,
        widget=widget() if misses().is_alarmed else None,
    )


def _open(card: OpenedCard) -> Response:
    number = card.number.reveal()
    return _alone(
        "reveal_open.html",
        f"Your {card.brand} gift card",
        200,
        brand=card.brand,
        amount=money(card.value_minor, card.currency),
        number=number,
        number_grouped=grouped(number),
        pin=card.pin.reveal() if card.pin else None,
        link=_web_address(card),
        expires_on=card.expires_on,
    )


def _web_address(card: OpenedCard) -> str | None:
    """A vendor's link is shown as a link only if it is one for the web."""
    address = card.url.reveal() if card.url else ""
    return address if address.startswith("https://") else None


def _wrong_link() -> Response:
    return _alone("reveal_wrong.html", "This link does not work", 404)


def _alone(template: str, title: str, status: int, **facts: object) -> Response:
    html = render_template(f"console/{template}", title=title, **facts)
    response = Response(html, status)
    response.headers.extend(HEADERS)
    return response
