"""The recipient's own page: looking shows the gift, only a person's click opens the card."""

from collections.abc import Mapping
from uuid import UUID

import segno
from flask import Blueprint, Response, render_template, request

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM, client
from pipelines.access.permissions import Permission, require
from pipelines.access.rate_policies import Policy
from pipelines.errors import NotFound, Refusal
from pipelines.provisioning.redeem_link import Awaited, Progress, facts_of_link
from pipelines.provisioning.refusals import ProvisionReplaced, ProvisionUndone
from pipelines.provisioning.reveal import OpenedCard, RevealFacts, RevealLimited
from pipelines.provisioning.reveal_link import Proof, open_by_link, proof_needed
from pipelines.provisioning.staff_view import StaffLine, staff_line
from web.console.csrf import ForeignForm
from web.console.formats import grouped, money
from web.console.intake_size import FORM_BYTES_MAX
from web.front import front
from web.guards import principal, public
from web.humans import CaptchaFailed, humans_only, widget
from web.misses import looking_up, misses
from web.rate_limits import RateLimited, limited

ANSWER_CHARACTERS_MAX = 320
#: How soon the page of a card that is not there yet looks again.
LOOK_AGAIN_SECONDS = {Progress.PREPARING: 10, Progress.DELAYED: 60}
HEADERS = {
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Referrer-Policy": "no-referrer",
}
#: What is asked for: the label, the hint, what an empty and a wrong answer are told.
QUESTIONS: Mapping[Proof, tuple[str, str, str, str]] = {
    Proof.EMAIL: (
        "Your e-mail address",
        "The one at which you got this link.",
        "Type your e-mail address to open the gift.",
        "This is not the address the gift was sent to. Type the address at which you got the link.",
    ),
    Proof.PHONE: (
        "The last four digits of your phone number",
        "Of the number that the gift was sent for.",
        "Type the last four digits of your phone number to open the gift.",
        "These are not the last digits of the number the gift was sent for.",
    ),
    Proof.CODE: (
        "Your redemption code",
        "The code that you got this gift for.",
        "Type your redemption code to open the gift.",
        "The gift was not asked for with this code. Look at it letter by letter.",
    ),
}

reveal_page = Blueprint("reveal", __name__)


def _is_alarmed(**_path: str) -> bool:
    return misses().is_alarmed


def _ask_human(refusal: Refusal) -> Response:
    """Nothing is looked for before a person is there: the page is the same for every link."""
    has_tried = isinstance(refusal, CaptchaFailed)
    wrong = refusal.detail if has_tried else None
    return gift_page(
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
    found = _find(token)
    return _awaited(found, token) if isinstance(found, Awaited) else _closed(*found)


@reveal_page.post("/r/<token>")
@public
@limited(Policy.REVEAL)
@humans_only(Policy.REVEAL, when=_is_alarmed, otherwise=_ask_human)
def open_card(token: str) -> Response:
    """Open the card for the person who pressed the button and knows the address."""
    request.max_content_length = FORM_BYTES_MAX
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise ForeignForm
    found = _find(token)
    if isinstance(found, Awaited):
        return _awaited(found, token)
    facts, proof = found
    answer = request.form.get(proof.value, "")[:ANSWER_CHARACTERS_MAX]
    if "look" in request.form:
        return _closed(facts, proof)
    if "open" not in request.form or (proof in QUESTIONS and not answer.strip()):
        wrong = QUESTIONS[proof][2] if proof in QUESTIONS else None
        return _closed(facts, proof, wrong=wrong, status=422)
    try:
        card = _opened(facts.client_id, facts.provision_id, answer)
    except RevealLimited as refusal:
        return _later(refusal)
    if card is None:
        return _closed(facts, proof, wrong=QUESTIONS[proof][3], status=422)
    return _open(card, facts)


@reveal_page.errorhandler(NotFound)
def wrong_link(_refusal: NotFound) -> Response:
    """A wrong, a dead and an unknown link look alike."""
    return gift_page("reveal_wrong.html", "This link does not work", 404)


@reveal_page.errorhandler(ProvisionUndone)
def taken_back(_refusal: ProvisionUndone) -> Response:
    """The link was good once; an undo may come even between looking and opening."""
    return gift_page("reveal_undone.html", "This gift card was taken back", 410)


@reveal_page.errorhandler(ProvisionReplaced)
def replaced(_refusal: ProvisionReplaced) -> Response:
    """The link was good once; the newer one opens the card that works."""
    return gift_page("reveal_replaced.html", "There is a newer gift card", 410)


@reveal_page.errorhandler(RateLimited)
def too_often(refusal: RateLimited) -> Response:
    """The network asked too often, or for links that nobody has; who only looked looks again."""
    response = _later(refusal, detail=refusal.detail)
    if request.method == "GET":
        response.headers["Refresh"] = str(refusal.retry_after_seconds)
    return response


def _later(refusal: Refusal, **facts: object) -> Response:
    response = gift_page("reveal_limited.html", "Try again later", 429, **facts)
    response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


def look_at_own(token: str, typed: Mapping[str, str]) -> Response:
    """The page of a link that was just given to who typed its code: one click opens the card.

    What they typed goes with the click; a card that is not there yet has a page that waits.
    """
    found = _find(token)
    if isinstance(found, Awaited):
        return Response(status=303, headers=HEADERS | {"Location": f"/r/{token}"})
    facts, proof = found
    return _closed(facts, proof, action=f"/r/{token}", known=typed.get(proof.value))


def _find(token: str) -> tuple[RevealFacts, Proof] | Awaited:
    house = front().house
    with looking_up(token), scoped_transaction(house.sessions, SYSTEM) as session:
        facts = facts_of_link(session, token, house.settings.keyring)
        if isinstance(facts, Awaited):
            return facts
        return facts, proof_needed(session, facts.provision_id)


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


def _awaited(awaited: Awaited, token: str) -> Response:
    """The page of a card that is not there; the browser looks again by itself, without a script."""
    is_refused = awaited.progress is Progress.REFUSED
    response = gift_page(
        "reveal_refused.html" if is_refused else "reveal_waiting.html",
        f"Your {awaited.brand} gift card",
        410 if is_refused else 200,
        brand=awaited.brand,
        amount=money(awaited.value_minor, awaited.currency),
        sender=awaited.sender,
        is_delayed=awaited.progress is Progress.DELAYED,
        here=f"/r/{token}",
        reference=awaited.job_id,
    )
    if not is_refused:
        response.headers["Refresh"] = str(LOOK_AGAIN_SECONDS[awaited.progress])
    return response


def _closed(
    facts: RevealFacts,
    proof: Proof,
    *,
    wrong: str | None = None,
    status: int = 200,
    action: str | None = None,
    known: str | None = None,
) -> Response:
    return gift_page(
        "reveal.html",
        f"Your {facts.brand} gift card",
        status,
        brand=facts.brand,
        amount=money(facts.value_minor, facts.currency),
        last4=facts.last4,
        sender=facts.sender,
        proof=proof.value,
        question=QUESTIONS.get(proof),
        opened_at=facts.revealed_at,
        expires_on=facts.expires_on,
        is_expired=facts.is_expired,
        staff=_staff_line(facts.provision_id),
        wrong=wrong,
        widget=widget() if misses().is_alarmed else None,
        action=action,
        known=known,
    )


def _open(card: OpenedCard, facts: RevealFacts) -> Response:
    number = card.number.reveal()
    alone = _web_address(number)  # a vendor may sell nothing but a link
    return gift_page(
        "reveal_open.html",
        f"Your {card.brand} gift card",
        200,
        brand=card.brand,
        amount=money(card.value_minor, card.currency),
        number=None if alone else number,
        number_grouped=grouped(number),
        pin=card.pin.reveal() if card.pin else None,
        link=alone or (_web_address(card.url.reveal()) if card.url else None),
        picture=None if alone else _picture(number),
        sender=facts.sender,
        expires_on=card.expires_on,
        is_expired=facts.is_expired,
        staff=_staff_line(facts.provision_id),
    )


def _staff_line(provision_id: UUID) -> StaffLine | None:
    """For somebody of the platform or an agency who is signed in; nobody else learns of it."""
    try:
        caller = principal()
        require(caller, Permission.ORDERS_READ)
    except Refusal:
        return None
    if not caller.sees_costs:
        return None
    with scoped_transaction(front().house.sessions, caller.scope) as session:
        return staff_line(session, provision_id)


def _picture(number: str) -> str:
    """The number as a picture for a shop's scanner, inside the page: nothing is fetched for it."""
    picture: str = segno.make(number, error="m").svg_data_uri(scale=4, border=3, light="#fff")
    return picture


def _web_address(address: str) -> str | None:
    """A vendor's link is shown as a link only if it is one for the web."""
    return address if address.startswith("https://") else None


def gift_page(template: str, title: str, status: int, **facts: object) -> Response:
    """A page for recipients: found by nobody, kept by nobody."""
    html = render_template(f"console/{template}", title=title, **facts)
    response = Response(html, status)
    response.headers.extend(HEADERS)
    return response
