"""The demo's people: one for each role that signs in, with passwords that everybody knows."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from models import clock
from models.database import Sessions, scoped_transaction
from models.people import Role, User
from models.scope import SYSTEM
from ops.demo import ids
from pipelines.access.passwords import hash_password
from pipelines.jobs.addresses import normalised_email


@dataclass(frozen=True, slots=True)
class Person:
    """One demo user; without a tenant a person belongs to the platform."""

    id: UUID
    email: str
    name: str
    role: Role
    password: str = "demo123"
    agency_id: UUID | None = None
    client_id: UUID | None = None


ADMIN = Person(ids.ADMIN, "admin@example.com", "Ada Admin", Role.PLATFORM_ADMIN, "admin123")
ALICE = Person(
    ids.ALICE,
    "alice@example.com",
    "Alice Archer",
    Role.CAMPAIGN_MANAGER,
    agency_id=ids.AGENCY,
    client_id=ids.CLIENT,
)
PEOPLE = (
    ADMIN,
    ALICE,
    Person(
        ids.BOB,
        "bob@example.com",
        "Bob Baker",
        Role.CLIENT_ADMIN,
        agency_id=ids.AGENCY,
        client_id=ids.CLIENT,
    ),
    Person(ids.CAROL, "carol@example.com", "Carol Cooper", Role.AGENCY_ADMIN, agency_id=ids.AGENCY),
    Person(
        ids.DAVE,
        "dave@example.com",
        "Dave Dyer",
        Role.CLIENT_VIEWER,
        agency_id=ids.AGENCY,
        client_id=ids.CLIENT,
    ),
    Person(ids.EVE, "eve@example.com", "Eve Ellis", Role.AGENCY_VIEWER, agency_id=ids.AGENCY),
    Person(ids.CHARLIE, "charlie@example.com", "Charlie Chen", Role.END_USER),
    Person(ids.DIANA, "diana@example.com", "Diana Dunn", Role.END_USER),
)
PASSWORDS = {person.email: person.password for person in PEOPLE}


def seed_people(sessions: Sessions) -> None:
    """Add who is missing; a person who is there keeps the password."""
    with scoped_transaction(sessions, SYSTEM) as session:
        known = set(session.execute(select(User.id)).scalars())
        missing = [person for person in PEOPLE if person.id not in known]
        if not missing:
            return
        session.execute(
            insert(User)
            .values(
                [
                    {
                        "id": person.id,
                        "email": person.email,
                        "email_normalised": normalised_email(person.email),
                        "name": person.name,
                        "password_hash": hash_password(person.password),
                        "role": person.role.value,
                        "agency_id": person.agency_id,
                        "client_id": person.client_id,
                        "proven_at": clock.now(session),
                    }
                    for person in missing
                ]
            )
            .on_conflict_do_nothing()
        )
