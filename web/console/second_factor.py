"""Set up a second factor: the QR code, the first code, the recovery codes (SEC-04)."""

import segno
from flask import Blueprint, Response, request, url_for

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.permissions import Permission
from pipelines.access.second_factor import (
    NothingToVerify,
    WrongCode,
    begin_enrolment,
    pending_enrolment,
    remove_second_factor,
    renew_recovery_codes,
)
from pipelines.access.step_up import verify
from pipelines.sealing import Secret
from web.console.frame import go, page
from web.console.sign_in import CODE_CHARACTERS_MAX
from web.console.visit import visitor
from web.front import front
from web.guards import freshly_proven, permitted, principal


def add_pages(console: Blueprint) -> None:
    base = "/account/second-factor"
    console.add_url_rule(base, "second_factor", show, methods=["GET"])
    console.add_url_rule(base, "second_factor_begin", begin, methods=["POST"])
    console.add_url_rule(f"{base}/verify", "second_factor_verify", confirm, methods=["POST"])
    console.add_url_rule(f"{base}/recovery-codes", "recovery_codes", renew, methods=["POST"])
    console.add_url_rule(f"{base}/remove", "second_factor_remove", remove, methods=["POST"])


@permitted(Permission.OWN_CREDENTIALS)
def show() -> Response:
    """What there is, and the QR code while one is being set up."""
    return _page()


@permitted(Permission.OWN_CREDENTIALS)
def begin() -> Response:
    """Draw a new secret; the one in use stays until a code of the new one is typed."""
    freshly_proven()
    house, person = front().house, visitor()
    with scoped_transaction(house.sessions, SYSTEM) as session:
        begin_enrolment(
            session,
            person.principal.actor_id,
            person.email,
            keyring=house.settings.keyring,
            limits=house.limits,
            now=clock.now(session),
        )
    return go(url_for("console.second_factor"))


@permitted(Permission.OWN_CREDENTIALS)
def confirm() -> Response:
    """Take the new one into use; its recovery codes are shown this once."""
    house = front().house
    code = request.form.get("code", "")[:CODE_CHARACTERS_MAX]
    try:
        codes = verify(house.sessions, house.settings.keyring, principal(), code)
    except WrongCode as refusal:
        return _page(refusal.detail, status=422)
    except NothingToVerify:
        return go(url_for("console.second_factor"))
    return _codes(codes) if codes else go(url_for("console.second_factor"))


@permitted(Permission.OWN_CREDENTIALS)
def renew() -> Response:
    """New recovery codes instead of those from before."""
    caller = freshly_proven()
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        codes = renew_recovery_codes(session, caller.actor_id)
    return _codes(codes)


@permitted(Permission.OWN_CREDENTIALS)
def remove() -> Response:
    caller = freshly_proven()
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        remove_second_factor(session, caller.actor_id)
    return go(url_for("console.account", done="removed"))


def _page(wrong: str | None = None, *, status: int = 200) -> Response:
    house, person = front().house, visitor()
    with scoped_transaction(house.sessions, SYSTEM) as session:
        pending = pending_enrolment(
            session,
            person.principal.actor_id,
            person.email,
            keyring=house.settings.keyring,
            now=clock.now(session),
        )
    if pending is not None:
        freshly_proven()
    return page(
        "second_factor.html",
        title="Second factor",
        status=status,
        crumbs=[("Your account", url_for("console.account")), ("Second factor", None)],
        is_required=house.settings.requires_second_factor,
        has_second_factor=person.principal.has_second_factor,
        secret=_in_fours(pending[0]) if pending else None,
        picture=_picture(pending[1]) if pending else None,
        wrong=wrong,
    )


def _codes(codes: list[Secret]) -> Response:
    return page(
        "recovery_codes.html",
        title="Recovery codes",
        crumbs=[("Your account", url_for("console.account")), ("Recovery codes", None)],
        codes=[code.reveal() for code in codes],
    )


def _in_fours(secret: Secret) -> str:
    text = secret.reveal()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _picture(uri: Secret) -> str:
    """The QR code as an address of itself: no page of its own that would have to be kept secret."""
    picture: str = segno.make(uri.reveal(), error="m").svg_data_uri(scale=5, border=2, light="#fff")
    return picture
