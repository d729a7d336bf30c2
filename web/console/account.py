"""Your account: your password, and where you are signed in."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Row

from models import clock
from models.database import scoped_transaction
from models.scope import SYSTEM
from pipelines.access.authenticate import AccountRests
from pipelines.access.change_password import WrongPassword, change_password
from pipelines.access.permissions import Permission
from pipelines.access.second_factor import recovery_codes_left
from pipelines.access.sign_ins import (
    SignInKind,
    end_other_sign_ins,
    end_sign_in,
    list_sign_ins,
)
from pipelines.errors import ValidationFailed
from web.console.frame import go, page
from web.console.sign_in import PASSWORD_CHARACTERS_MAX
from web.console.visit import visitor
from web.front import front
from web.guards import permitted, principal

KINDS = {SignInKind.CONSOLE: "Browser", SignInKind.REFRESH: "API tokens"}


@dataclass(frozen=True, slots=True)
class SignInWords:
    """One place where the visitor is signed in."""

    id: UUID
    kind: str
    program: str
    network: str
    began: datetime
    last_used: datetime
    is_here: bool


def add_pages(console: Blueprint) -> None:
    console.add_url_rule("/account", "account", show, methods=["GET"])
    console.add_url_rule("/account/password", "account_password", change, methods=["POST"])
    console.add_url_rule(
        "/account/sign-ins/end", "account_end_others", end_others, methods=["POST"]
    )
    console.add_url_rule(
        "/account/sign-ins/<uuid:sign_in_id>/end", "account_end", end_one, methods=["POST"]
    )


@permitted(Permission.OWN_CREDENTIALS)
def show() -> Response:
    return _account()


@permitted(Permission.OWN_CREDENTIALS)
def change() -> Response:
    """Change the password; every other place is signed out."""
    current, chosen = (
        request.form.get(name, "")[:PASSWORD_CHARACTERS_MAX]
        for name in ("current_password", "new_password")
    )
    caller = principal()
    try:
        change_password(
            front().house.sessions,
            caller.actor_id,
            current=current,
            chosen=chosen,
            keep=caller.sign_in_id,
        )
    except WrongPassword as refusal:
        return _account({"current_password": refusal.detail}, status=422)
    except ValidationFailed as refusal:
        return _account({"new_password": refusal.errors[0].detail}, status=422)
    except AccountRests as refusal:
        response = _account({"current_password": refusal.detail}, status=429)
        response.headers["Retry-After"] = str(refusal.retry_after_seconds)
        return response
    return go(url_for("console.account", done="password"))


@permitted(Permission.OWN_CREDENTIALS)
def end_one(sign_in_id: UUID) -> Response:
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        now = clock.now(session)
        end_sign_in(session, sign_in_id, user_id=principal().actor_id, now=now)
    return go(url_for("console.account", done="ended"))


@permitted(Permission.OWN_CREDENTIALS)
def end_others() -> Response:
    with scoped_transaction(front().house.sessions, SYSTEM) as session:
        end_other_sign_ins(session, principal(), now=clock.now(session))
    return go(url_for("console.account", done="others"))


def _account(errors: dict[str, str] | None = None, *, status: int = 200) -> Response:
    house, caller = front().house, principal()
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now = clock.now(session)
        rows = list_sign_ins(session, caller.actor_id, now=now, limits=house.limits)
        codes_left = recovery_codes_left(session, caller.actor_id)
    return page(
        "account.html",
        title="Your account",
        status=status,
        crumbs=[("Your account", None)],
        person=visitor(),
        errors=errors or {},
        done=request.args.get("done", ""),
        sign_ins=[_words(row, caller.sign_in_id) for row in rows],
        has_second_factor=caller.has_second_factor,
        codes_left=codes_left,
    )


def _words(row: Row[Any], here: UUID | None) -> SignInWords:
    return SignInWords(
        id=row.id,
        kind=KINDS[SignInKind(row.kind)],
        program=row.user_agent or "Unknown program",
        network=row.address or "unknown network",
        began=row.created_at,
        last_used=row.last_used_at,
        is_here=row.id == here,
    )
