"""Give a slot of a code back at once, for a reason: asked first, done in one place."""

from uuid import UUID

from flask import Blueprint, Response, request, url_for

from models import clock
from models.discounts import UsageState
from pipelines.access.permissions import Permission
from pipelines.checkout.release_now import release_now
from pipelines.discounts.read import read_code, read_reservation
from pipelines.discounts.refusals import ReservationEnded
from pipelines.payments.refusals import PaymentProviderUnavailable
from web.console.changes import Change, Line, form_page
from web.console.discount_page import home_place
from web.console.discount_words import applied, held_words, time_left
from web.console.form_names import form_name
from web.console.formats import money
from web.console.frame import go
from web.console.reasons import NO_REASON, typed_reason
from web.console.visit import looking
from web.front import front
from web.guards import permitted, principal

TITLE = "Release the slot now"
IS_HELD = "{}: the slot is not released by hand. Decide on its purchase."


def add_pages(console: Blueprint) -> None:
    path = "/discounts/reservations/<uuid:reservation_id>/release"
    console.add_url_rule(path, "discount_release", ask, methods=["GET"])
    console.add_url_rule(path, "discount_release_now", release, methods=["POST"])


@permitted(Permission.DISCOUNTS_MANAGE)
def ask(reservation_id: UUID) -> Response:
    return _question(reservation_id, {})


@permitted(Permission.DISCOUNTS_MANAGE)
def release(reservation_id: UUID) -> Response:
    """Once, however often the form is sent; what was paid meanwhile stays paid."""
    caller, reason = principal(), typed_reason()
    if not reason or "agreed" not in request.form:
        return _question(reservation_id, {"reason": NO_REASON})
    with looking() as session:
        code_id = read_reservation(session, reservation_id).code_id
    house = front().house
    try:
        release_now(
            house.sessions,
            caller.scope,
            reservation_id,
            reason=reason,
            pages=house.paying.pages,
            actor_id=caller.actor_id,
        )
    except PaymentProviderUnavailable as refusal:
        return _question(reservation_id, {"reason": refusal.detail}, status=503)
    except ReservationEnded as refusal:
        return _question(reservation_id, {"reason": refusal.detail}, status=409)
    return go(url_for("console.discount", discount_id=code_id, done="released"))


def _question(
    reservation_id: UUID, errors: dict[str, str], *, status: int | None = None
) -> Response:
    with looking() as session:
        now = clock.now(session)
        row = read_reservation(session, reservation_id)
        view = read_code(session, row.code_id, now=now, opens=True)
    stands, then = row.state.capitalize(), "Free for another customer"
    if row.state == UsageState.RESERVED:
        stands = f"Reserved, {time_left(row.expires_at, now)} left"
        if (held := held_words(row.payment_state)) is not None:
            stands, then = held, "Stays as it is"
            errors, status = errors | {"reason": IS_HELD.format(held)}, 409
    off = money(row.quote["discount_minor"], row.currency)
    change = Change(
        title=TITLE,
        lines=(
            Line(f"The slot of cart {row.cart_reference}", stands, then),
            Line(f"Its discount by {applied(row.codes)}", off, "None"),
        ),
        note="If the customer has a payment page open for it, that is ended first. What was paid "
        "meanwhile stays paid, with its discount.",
        button="Release the slot",
        done="",
        kind="reservation",
        act=lambda _session, _reason: reservation_id,
        is_ending=True,
    )
    return form_page(
        "change_check.html",
        home_place(view),
        TITLE,
        {},
        errors,
        status=status,
        change=change,
        form_name=form_name(),
        typed_reason=typed_reason(),
    )
