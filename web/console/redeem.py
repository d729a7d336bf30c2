"""The end customer's page: type a code, get its card (S4-090, S4-092). Looking gives nothing."""

from uuid import UUID

from flask import Blueprint, Response, g, request

from pipelines.access.rate_policies import Policy
from pipelines.errors import NotFound, Refusal, ValidationFailed
from pipelines.provisioning.redeem import CannotGiveNow, Redemption
from pipelines.provisioning.refusals import (
    AlreadyRedeemed,
    ConditionUnmet,
    ProvisionReplaced,
    ProvisionUndone,
)
from pipelines.provisioning.suspicion import TooManyCodes
from web.console.csrf import ForeignForm
from web.console.intake_size import FORM_BYTES_MAX
from web.console.reveal import gift_page, look_at_own, replaced, taken_back, wrong_link
from web.console.typed import id_in
from web.errors import STATUS
from web.front import front
from web.guards import public
from web.humans import humans_only, widget
from web.rate_limits import RateLimited, limited
from web.redeeming import redeem_now, token_of

CODE_CHARACTERS_MAX = 64
EMAIL_CHARACTERS_MAX = 320

redeem_page = Blueprint("redeem_page", __name__)
_NO_CODE = "Type the code that you were given."
_UNKNOWN = "We do not know this code. Look at it letter by letter; it may have been cut in two."
_USED = (
    "This code was used already. If it was you, type the e-mail address that you gave then: you "
    "get the same card again."
)


def _campaign() -> UUID | None:
    """The campaign of the page's address, or of its form."""
    return id_in(request.values.get("campaign"))


def _typed() -> tuple[str, str]:
    form = request.form
    code = form.get("redemption_code", "").strip()[:CODE_CHARACTERS_MAX]
    return code, form.get("email", "").strip()[:EMAIL_CHARACTERS_MAX]


def _counted() -> str:
    return f"{_campaign()}:{_typed()[0]}"


def _ask_human(refusal: Refusal) -> Response:
    return _form({"redemption_code": refusal.detail}, status=403)


@redeem_page.before_request
def bound_form() -> None:
    """Before the form is read to be counted by its code."""
    request.max_content_length = FORM_BYTES_MAX


@redeem_page.get("/redeem")
@public
@limited(Policy.REVEAL)
def ask_code() -> Response:
    """The form, the same for every campaign: nothing is looked for."""
    return _form({})


@redeem_page.post("/redeem")
@public
@limited(Policy.REDEEM, account=_counted)
@humans_only(Policy.REDEEM, account=_counted, otherwise=_ask_human)
def take_code() -> Response:
    """Ask for the card; a card that is there is shown closed, else the link's page waits for it."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise ForeignForm
    campaign, (code, email) = _campaign(), _typed()
    if campaign is None or not code:
        return _form({"redemption_code": _NO_CODE} if campaign else {}, status=422)
    try:
        job_id = redeem_now(Redemption(campaign, code, email or None))
    except NotFound:
        return _form({"redemption_code": _UNKNOWN}, status=404)
    except (AlreadyRedeemed, ConditionUnmet) as refusal:
        said = _USED if isinstance(refusal, AlreadyRedeemed) else refusal.detail
        return _form({"redemption_code": said}, status=409)
    except ValidationFailed as refusal:
        return _form({"email": refusal.errors[0].detail}, status=422)
    except CannotGiveNow as refusal:
        return _not_now(refusal)
    front().waiter.wait(job_id, front().house.limits.redeem_wait_seconds)
    return look_at_own(token_of(job_id), {"redemption_code": code, "email": email})


# What became of the card of a code that is typed again.
redeem_page.register_error_handler(NotFound, wrong_link)
redeem_page.register_error_handler(ProvisionUndone, taken_back)
redeem_page.register_error_handler(ProvisionReplaced, replaced)


@redeem_page.errorhandler(TooManyCodes)
@redeem_page.errorhandler(RateLimited)
def too_often(refusal: Refusal) -> Response:
    """The network tried or redeemed too many codes, or one code was tried too often."""
    response = gift_page("reveal_limited.html", "Try again later", 429, detail=refusal.detail)
    response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response


def _form(errors: dict[str, str], *, status: int = 200) -> Response:
    code, email = _typed()
    return gift_page(
        "redeem.html",
        "Redeem your code",
        status,
        errors=errors,
        campaign=_campaign(),
        typed={"redemption_code": code, "email": email},
        widget=widget(),
    )


def _not_now(refusal: CannotGiveNow) -> Response:
    response = gift_page(
        "redeem_not_now.html",
        "Not just now",
        STATUS[refusal.kind],
        detail=refusal.detail,
        reference=g.get("request_id", ""),
    )
    if refusal.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response
