"""The demo's pools of people, and that its client knows everybody who may get a coupon."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from models.database import Sessions, scoped_transaction
from models.scope import PLATFORM, client
from models.user_pools import UserPool, UserPoolMember
from ops.demo import ids
from pipelines.user_pools.introduce import introduce

#: Beside the client's own people, whom it knows anyway.
KNOWN = (ids.CHARLIE, ids.DIANA, ids.EVE)


@dataclass(frozen=True, slots=True)
class DemoPool:
    """A pool of the demo and who is in it."""

    id: UUID
    name: str
    description: str
    members: tuple[UUID, ...]


POOLS = (
    DemoPool(
        *(ids.BETA_TESTERS, "Beta Testers", "They see new things first."),
        members=(ids.ALICE, ids.BOB, ids.CHARLIE, ids.DIANA, ids.EVE),
    ),
    DemoPool(
        *(ids.NEWSLETTER, "Newsletter Readers", "They asked to hear from us every month."),
        members=(ids.CHARLIE, ids.DIANA),
    ),
)


def seed_user_pools(sessions: Sessions) -> None:
    """Add the pools that are missing with their people; who was removed later stays out."""
    with scoped_transaction(sessions, PLATFORM) as session:
        for person in KNOWN:
            introduce(session, client_id=ids.CLIENT, user_id=person)
    with scoped_transaction(sessions, client(ids.CLIENT)) as session:
        for pool in POOLS:
            tenant = {"agency_id": ids.AGENCY, "client_id": ids.CLIENT}
            values = {"name": pool.name, "description": pool.description, "created_by": ids.ALICE}
            made = session.execute(
                insert(UserPool)
                .values(id=pool.id, **tenant, **values)
                .on_conflict_do_nothing()
                .returning(UserPool.id)
            ).scalar_one_or_none()
            if made is None:
                continue
            people = [
                {"pool_id": pool.id, "user_id": person, "added_by": ids.ALICE} | tenant
                for person in pool.members
            ]
            session.execute(insert(UserPoolMember).values(people))
