"""The form that has discount codes generated: a pattern, how many, and what each of them does (S2-131)."""

from collections.abc import Mapping

from flask import Blueprint, Response, request, url_for

from models import clock
from models.database import scoped_transaction
from pipelines.access.permissions import Permission
from pipelines.access.rate_policies import Policy
from pipelines.books.patterns import PLAIN_ALPHABET
from pipelines.books.refusals import PatternSpaceTooSmall
from pipelines.discounts.generate import Generation, accept_generation
from pipelines.discounts.read import read_code
from pipelines.errors import Kind, Refusal, ValidationFailed
from pipelines.queue.keys import RequestInProgress
from pipelines.tenants.clients import client
from web.backpressure import saturation_now
from web.console.amounts import whole_of
from web.console.at_work import still_at_work, told_when
from web.console.book_form import BY_PATTERN, Trial, read_pattern, try_pattern
from web.console.discount_form import CHOICES, OFFERED, by_field, kind_of, shown_values
from web.console.discount_new import (
    IS_PAST,
    client_of,
    is_past,
    read_does,
    tried,
    typed_rules,
)
from web.console.discount_preview import FIELDS as CART_FIELDS
from web.console.discount_preview import LINES, Preview, offered_cart
from web.console.discounts import TITLE
from web.console.form_names import form_name, key_of_form
from web.console.frame import go, page
from web.console.person_form import offered_clients
from web.console.typed import id_in, typed_fields
from web.console.visit import looking
from web.errors import STATUS
from web.front import front
from web.guards import permitted, principal
from web.rate_limits import limited

PATTERN_FIELDS = ("prefix", "random_length", "alphabet", "suffix")
#: Codes that are handed out one by one are mostly good once, and long enough for that.
OFFERED_HERE = {"random_length": "16", "alphabet": PLAIN_ALPHABET, "max_uses": "1"}


def add_pages(console: Blueprint) -> None:
    path = "/discounts/generate"
    console.add_url_rule(path, "discounts_generate", ask, methods=["GET"])
    console.add_url_rule(path, "discounts_generate_now", generate, methods=["POST"])


@permitted(Permission.DISCOUNTS_MANAGE)
def ask() -> Response:
    """An empty form, or one with what the code does that the address names (`like`)."""
    offered = OFFERED | OFFERED_HERE | offered_cart()
    like = id_in(request.args.get("like"))
    if like is not None:
        with looking() as session:
            view = read_code(session, like, now=clock.now(session), opens=True)
            zone = client(session, view.row.client_id).time_zone
        offered |= shown_values(view, zone) | offered_cart(view.rules)
        offered["client_id"] = str(view.row.client_id)
    return _form(offered, {})


@permitted(Permission.DISCOUNTS_MANAGE)
@limited(Policy.SUBMIT)
def generate() -> Response:
    """Look at the pattern or the sample cart, or have the codes made; the job's page tells of them."""
    typed = typed_fields(
        *("count", *PATTERN_FIELDS, "kind", "client_id", "other_client_id", "past_meant"),
        *CART_FIELDS,
    )
    typed |= typed_rules() | {"source": BY_PATTERN}
    errors = dict[str, str]()
    does = request.form.get("do")
    with looking() as session:
        client_id, zone = client_of(session, typed, {} if does else errors)
        now = clock.now(session)
    if does == "look":
        return _form(typed, errors, trial=_trial(typed, errors), zone=zone)
    asked = read_does(kind_of(typed, errors), typed, zone, errors)
    if does == "preview":
        return _form(typed, errors, tried=tried(asked.rules, typed, errors, now), zone=zone)
    most = front().house.limits.discount_codes_at_once_max
    count = whole_of("count", most, errors, may_be_empty=False)
    pattern = read_pattern(typed, errors)
    if is_past(asked.rules, now) and not typed["past_meant"] and "ends_on" not in errors:
        errors["ends_on"] = IS_PAST
    if errors or client_id is None or count is None or pattern is None:
        return _form(typed, errors, zone=zone)
    return _accepted(
        Generation(client_id, pattern, count, asked.rules, **asked.limits, options=asked.options),
        typed,
        zone,
    )


def _trial(typed: Mapping[str, str], errors: dict[str, str]) -> Trial | None:
    """The pattern as it was typed; how many are meant says the field that is there."""
    meant = typed | {"meant": typed["count"]}  # type: ignore[operator]
    found = try_pattern(meant, errors, existing=0, seals_codes=typed["max_uses"] == "1")
    if "meant" in errors:
        errors["count"] = errors.pop("meant")
    return found


def _accepted(wanted: Generation, typed: Mapping[str, str], zone: str) -> Response:
    """To the job; what is refused stands at its field, above what was typed."""
    house, caller, saturated = front().house, principal(), saturation_now()
    try:
        with scoped_transaction(house.sessions, caller.scope) as session:
            done = accept_generation(
                session,
                wanted,
                actor_id=caller.actor_id,
                key=key_of_form(caller.actor_id),
                limits=house.limits,
                saturated=saturated,
            )
    except RequestInProgress:
        return still_at_work(url_for("console.jobs"))
    except ValidationFailed as refusal:
        return _form(typed, by_field(refusal.errors), zone=zone)
    except PatternSpaceTooSmall as refusal:
        return _form(typed, {"random_length": refusal.detail}, zone=zone)
    except Refusal as refusal:
        if refusal.kind in {Kind.NOT_FOUND, Kind.FORBIDDEN}:
            raise
        status = STATUS[refusal.kind]
        again = _form(typed, {"count": refusal.detail}, zone=zone, status=status)
        return told_when(again, refusal)
    return go(url_for("console.job", job_id=done.job_id))


def _form(
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    trial: Trial | None = None,
    tried: Preview | None = None,
    zone: str | None = None,
    status: int | None = None,
) -> Response:
    caller = principal()
    if zone is None and caller.client_id is not None:
        with looking() as session:
            zone = client(session, caller.client_id).time_zone
    return page(
        "discount_generate.html",
        title="Generate discount codes",
        section="discounts",
        crumbs=[(TITLE, url_for("console.discounts")), ("Generate", None)],
        status=status or (422 if errors else 200),
        typed=typed,
        errors=errors,
        trial=trial,
        tried=tried,
        cart_lines=LINES,
        choices=CHOICES,
        zone=zone if caller.client_id is not None else None,
        asks_past=errors.get("ends_on") == IS_PAST or bool(typed.get("past_meant")),
        count_max=front().house.limits.discount_codes_at_once_max,
        **offered_clients(caller),
        needs_client=caller.client_id is None,
        form_name=form_name(),
    )
