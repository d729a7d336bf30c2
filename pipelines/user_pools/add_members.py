"""Add people to a pool, some at a time, answered at once; whoever is in it already stays once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from pipelines.errors import FieldError
from pipelines.jobs.kinds import OnError
from pipelines.user_pools.member_rows import check_member
from pipelines.user_pools.pools import audit_pool, hold_open_pool, pool
from pipelines.user_pools.refusals import EntriesRefused
from pipelines.user_pools.staging import (
    Entry,
    Place,
    Tally,
    add_good,
    count_added,
    faults,
    judge,
    judge_again,
    left_out,
    make_known,
    new_rows,
    stage,
)

#: Each list of a request and what its entries are.
LISTS = {"user_ids": "user_id", "emails": "email", "external_ids": "external_id"}
# Whoever the caller's own scope shows among people may be made known to the client by their id.
_RELATE = text("""
INSERT INTO client_users (client_id, user_id, agency_id, email, email_normalised, name, disabled_at)
SELECT :client, u.id, :agency, u.email, u.email_normalised, u.name, u.disabled_at
FROM users u WHERE u.id = ANY (:users)
  AND NOT EXISTS (SELECT FROM client_users c WHERE c.client_id = :client AND c.user_id = u.id)
ORDER BY u.id ON CONFLICT DO NOTHING
""")


@dataclass(frozen=True, slots=True)
class People:
    """Whom a request names, list by list."""

    user_ids: Sequence[UUID] = ()
    emails: Sequence[str] = ()
    external_ids: Sequence[str] = ()

    def places(self) -> list[tuple[str, str]]:
        """Each entry's pointer and text, in the order of their positions."""
        return [
            (f"/{name}/{place}", str(entry))
            for name in LISTS
            for place, entry in enumerate(getattr(self, name))
        ]


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a request: counts, and the entries that were left out as wrong or unknown."""

    tally: Tally
    #: Of those who were added, whom the client did not know before.
    new: int
    unknown: tuple[FieldError, ...]
    #: (position among all entries, code, detail) of each that was not added.
    left_out: tuple[tuple[int, str, str], ...] = ()


def add_members(
    session: Session,
    pool_id: UUID,
    people: People,
    *,
    on_error: OnError,
    makes: bool,
    actor_id: UUID,
) -> Added:
    """Add people in the caller's scope; with `makes` unknown addresses and external ids are people.

    With `on_error=abort` one wrong or unknown entry means that nobody is added. Raises `NotFound`,
    `PoolArchived`, `EntriesRefused`.
    """
    row = hold_open_pool(session, pool_id)
    place, places = Place(row.id, row.agency_id, row.client_id), people.places()
    _relate(session, place, people)
    stage(session, _entries(people))
    tally = judge(session, place, makes=makes)
    _refuse(session, tally, on_error, places)
    new = 0
    if makes:
        made = new_rows(session)
        make_known(session, place)
        tally = judge(session, place, makes=False)
        _refuse(session, tally, on_error, places)
        new = count_added(session, made)
    add_good(session, place, actor_id=actor_id)
    if tally.good:
        told = {"added": tally.good, "new_people": new}
        audit_pool(session, "user_pool.members_added", row, actor_id, told)
    unknown = _pointed(faults(session, len(places)), places)
    return Added(tally, new, unknown, left_out(session, len(places)))


def added_before(
    session: Session, pool_id: UUID, people: People, *, actor_id: UUID, at: datetime
) -> Added:
    """What a repeat of a request that was done at that moment is answered; it writes nothing.

    It is the first answer, but for what has changed since: who is not in the pool any more stands
    with the entries that were left out. Raises `NotFound`.
    """
    row = pool(session, pool_id)
    place, places = Place(row.id, row.agency_id, row.client_id), people.places()
    stage(session, _entries(people))
    tally = judge_again(session, place, actor_id=actor_id, at=at)
    unknown = _pointed(faults(session, len(places)), places)
    return Added(tally, tally.new, unknown, left_out(session, len(places)))


def _relate(session: Session, place: Place, people: People) -> None:
    if people.user_ids:
        ids = {"client": place.client_id, "agency": place.agency_id}
        session.execute(_RELATE, ids | {"users": list(people.user_ids)})


def _entries(people: People) -> Iterator[Entry]:
    position = 0
    for name, column in LISTS.items():
        for given in getattr(people, name):
            position += 1
            cells: Mapping[str, str] = {column: str(given)}
            yield Entry(position, check_member(cells))


def _refuse(
    session: Session, tally: Tally, on_error: OnError, places: list[tuple[str, str]]
) -> None:
    if tally.failed and on_error is OnError.ABORT:
        raise EntriesRefused(_pointed(faults(session, len(places)), places))


def _pointed(
    found: list[tuple[int, FieldError]], places: list[tuple[str, str]]
) -> tuple[FieldError, ...]:
    return tuple(
        replace(error, row=None, pointer=places[position - 1][0]) for position, error in found
    )
