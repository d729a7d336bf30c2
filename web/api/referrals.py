"""Referral programs over HTTP: what friends and referrers get, referrers' codes, and their rewards."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, jsonify
from sqlalchemy import Row
from sqlalchemy.orm import Session

from models import clock
from models.database import scoped_transaction
from models.discounts import CodeState
from models.referrals import RewardState
from models.scope import client
from pipelines.access.permissions import Permission
from pipelines.discounts.customers import known_customer
from pipelines.discounts.read import read_code
from pipelines.queue.keys import once
from pipelines.referrals import programs, read
from pipelines.referrals.codes import give_code
from web.admission import canonical, mark_replay, offered_key
from web.api.referral_schemas import (
    CountedReferralProgram,
    GivenReferralCode,
    ProgramsQuery,
    ReferralCodeBody,
    ReferralProgramBody,
    ReferralProgramChange,
    ReferralProgramPage,
    ReferralRewardPage,
    RewardsQuery,
)
from web.api.routes import IF_MATCH, MAY_HAVE_KEY, Routes, answers, asks, documented, reads
from web.api.shop_schemas import customer_of
from web.front import front
from web.guards import permitted, principal
from web.pages import id_cursor, insisted_version, listed, with_version
from web.tenant_choice import chosen_client

routes = Routes("referrals", "Programs by which customers bring friends, and are rewarded for it.")


@routes.post("/referrals/programs")
@permitted(Permission.DISCOUNTS_MANAGE)
@reads(ReferralProgramBody)
@documented(parameters=[MAY_HAVE_KEY])
@answers(201, CountedReferralProgram)
def create_referral_program(body: dict[str, Any]) -> Response:
    """Make a program; it makes codes at once."""
    caller = principal()
    key = offered_key(caller, canonical(body))
    with scoped_transaction(front().house.sessions, caller.scope) as session:

        def make() -> UUID:
            client_id = chosen_client(session, caller, body["client_id"])
            rules = programs.rules_from(_flat(body))
            return programs.create_program(session, client_id, rules, actor_id=caller.actor_id)

        done = once(session, key, make, status=201, resource_kind="referral_program")
        shown = _counted(session, done.resource_id)
    return mark_replay(with_version(shown, 201), is_replay=done.is_replay)


@routes.get("/referrals/programs")
@permitted(Permission.DISCOUNTS_READ)
@asks(ProgramsQuery)
@answers(200, ReferralProgramPage)
def list_referral_programs(query: dict[str, Any]) -> Response:
    """List programs, newest first."""
    limit, before = query["limit"], id_cursor(query)
    wanted = read.Wanted(query["state"] and CodeState(query["state"]), query["client_id"])
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        found = read.list_programs(session, wanted, before=before, limit=limit + 1)
    return listed(found, limit=limit, view=_shown, place=lambda row: row.id)


@routes.get("/referrals/programs/<uuid:program_id>")
@permitted(Permission.DISCOUNTS_READ)
@answers(200, CountedReferralProgram)
def get_referral_program(program_id: UUID) -> Response:
    """One program with what came of it; its ETag is what a change must name."""
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        return with_version(_counted(session, program_id))


@routes.patch("/referrals/programs/<uuid:program_id>")
@permitted(Permission.DISCOUNTS_MANAGE)
@reads(ReferralProgramChange)
@documented(parameters=[IF_MATCH])
@answers(200, CountedReferralProgram)
def change_referral_program(body: dict[str, Any], program_id: UUID) -> Response:
    """Change a program; `If-Match` says which version you read.

    What friends get is for codes made from then on, what referrers get for purchases that count from
    then on; the limit of rewards is for all that are yet to be given.
    """
    version = insisted_version()
    change = partial(programs.change_program, values=_flat(body), version=version)
    return _moved(program_id, change)


@routes.post("/referrals/programs/<uuid:program_id>/pause")
@permitted(Permission.DISCOUNTS_MANAGE)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, CountedReferralProgram)
def pause_referral_program(program_id: UUID) -> Response:
    """Make no new codes, and pause those that are there; what was earned is given all the same."""
    move = partial(programs.move_program, state=CodeState.PAUSED)
    return _moved(program_id, move, is_keyed=True)


@routes.post("/referrals/programs/<uuid:program_id>/resume")
@permitted(Permission.DISCOUNTS_MANAGE)
@documented(parameters=[MAY_HAVE_KEY])
@answers(200, CountedReferralProgram)
def resume_referral_program(program_id: UUID) -> Response:
    """Go on; a code that was paused because it seems to have leaked stays so."""
    move = partial(programs.move_program, state=CodeState.ACTIVE)
    return _moved(program_id, move, is_keyed=True)


@routes.delete("/referrals/programs/<uuid:program_id>")
@permitted(Permission.DISCOUNTS_MANAGE)
@answers(200, CountedReferralProgram)
def archive_referral_program(program_id: UUID) -> Response:
    """Put a program away with its codes, for good; what was earned is given all the same."""
    return _moved(program_id, partial(programs.move_program, state=CodeState.ARCHIVED))


@routes.post("/referrals/programs/<uuid:program_id>/codes")
@permitted(Permission.DISCOUNTS_APPLY)
@reads(ReferralCodeBody)
@answers(200, GivenReferralCode)
@answers(201, GivenReferralCode)
def give_referral_code(body: dict[str, Any], program_id: UUID) -> Response:
    """A customer's own code and what it has earned; asked again, 200 with the one that they have.

    `standing` says whether it is good: one that is paused or put away is shown with what it has
    earned, and nothing takes its place.
    """
    house, caller = front().house, principal()
    with scoped_transaction(house.sessions, caller.scope) as session:
        client_id = read.read_program(session, program_id).client_id
    with scoped_transaction(house.sessions, client(client_id)) as session:
        named = customer_of(body["customer"])
        customer = known_customer(session, client_id, named, house.person_secret)
        given = give_code(session, program_id, customer.keys, actor_id=caller.actor_id)
        row = read.read_referral_code(session, given.code_id)
        code = read_code(session, given.code_id, now=clock.now(session), opens=True)
        rewards = read.rewards_of_code(session, given.code_id)
    response = jsonify(
        {
            "discount_id": row.code_id,
            "program_id": row.program_id,
            "client_id": row.client_id,
            "code": row.code,
            "standing": code.standing.value,
            "rewards": [read.reward_json(reward) for reward in rewards],
            "created_at": row.created_at,
        }
    )
    response.status_code = 201 if given.is_new else 200
    return response


@routes.get("/referrals/programs/<uuid:program_id>/rewards")
@permitted(Permission.DISCOUNTS_READ)
@asks(RewardsQuery)
@answers(200, ReferralRewardPage)
def list_referral_rewards(query: dict[str, Any], program_id: UUID) -> Response:
    """List rewards, those for the newest purchases first."""
    limit, before = query["limit"], id_cursor(query)
    state = query["state"] and RewardState(query["state"])
    with scoped_transaction(front().house.sessions, principal().scope) as session:
        found = read.list_rewards(session, program_id, state, before=before, limit=limit + 1)
    return listed(found, limit=limit, view=read.reward_json, place=lambda row: row.id)


def _flat(body: dict[str, Any]) -> dict[str, Any]:
    """A body's members as the pipeline names them; what was not said is not there."""
    pattern: dict[str, Any] = body.get("pattern", {})
    return {name: value for name, value in body.items() if name != "pattern"} | pattern


def _shown(row: Row[Any]) -> dict[str, Any]:
    told = read.program_json(row)
    names = ("prefix", "random_length")
    return {name: value for name, value in told.items() if name not in names} | {
        "pattern": {name: told[name] for name in names}
    }


def _counted(session: Session, program_id: UUID) -> dict[str, Any]:
    row = read.read_program(session, program_id)
    return _shown(row) | {"counts": read.counts_of(session, program_id)}


def _moved(program_id: UUID, move: Callable[..., None], *, is_keyed: bool = False) -> Response:
    """Do it; a repeat with the same key answers the program as it is now."""
    caller = principal()
    key = offered_key(caller) if is_keyed else None
    with scoped_transaction(front().house.sessions, caller.scope) as session:

        def moved() -> UUID:
            move(session, program_id, actor_id=caller.actor_id, now=clock.now(session))
            return program_id

        done = once(session, key, moved, status=200, resource_kind="referral_program")
        shown = _counted(session, program_id)
    return mark_replay(with_version(shown), is_replay=done.is_replay)
