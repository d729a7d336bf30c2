"""Ask a visitor to prove themselves again before what opens codes or moves much money (SEC-04)."""

from flask import Blueprint, Response, request, url_for

from pipelines.access.authenticate import AccountRests
from pipelines.access.change_password import WrongPassword
from pipelines.access.permissions import Permission
from pipelines.access.second_factor import WrongCode
from pipelines.access.step_up import prove_again
from pipelines.errors import ValidationFailed
from web.console.frame import go, page
from web.console.sign_in import CODE_CHARACTERS_MAX, PASSWORD_CHARACTERS_MAX, asked_page
from web.front import front
from web.guards import permitted, principal


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/prove", "step_up", show, methods=["GET"])
    console.add_url_rule("/prove", "step_up_now", prove_now, methods=["POST"])


@permitted(Permission.OWN_CREDENTIALS)
def show() -> Response:
    return _form()


@permitted(Permission.OWN_CREDENTIALS)
def prove_now() -> Response:
    """Check the code or password, then back to what was to be done."""
    house = front().house
    try:
        prove_again(
            house.sessions,
            house.settings.keyring,
            principal(),
            totp=request.form.get("code", "")[:CODE_CHARACTERS_MAX],
            password=request.form.get("password", "")[:PASSWORD_CHARACTERS_MAX],
        )
    except (WrongCode, WrongPassword) as refusal:
        return _form(refusal.detail, status=422)
    except ValidationFailed as refusal:
        return _form(refusal.errors[0].detail, status=422)
    except AccountRests as refusal:
        response = _form(refusal.detail, status=429)
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
        return response
    return go(asked_page())


def step_up_address() -> str:
    """Where to prove oneself, and come back: to this page, or to the one with the form."""
    asked = request.full_path.rstrip("?") if request.method == "GET" else None
    if asked is None and request.referrer and request.referrer.startswith(request.host_url):
        asked = "/" + request.referrer.removeprefix(request.host_url)
    return url_for("console.step_up", next=asked)


def _form(wrong: str | None = None, *, status: int = 200) -> Response:
    return page(
        "step_up.html",
        title="Prove that it is you",
        status=status,
        by_code=principal().has_second_factor,
        wrong=wrong,
        asked=request.values.get("next", ""),
        minutes=front().house.limits.step_up_seconds // 60,
    )
