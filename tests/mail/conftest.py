"""A house that sends its mail to the sandbox, and what became of each mail."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from models import clock
from models.database import scoped_transaction
from models.people import Role
from models.scope import SYSTEM
from pipelines.access.users import NewUser, create_user
from pipelines.mail.post import Letter, post
from pipelines.mail.templates import Template
from pipelines.wiring import House
from tests.canary import MARK
from tests.conftest import Database, Ground
from tests.driving import rows
from tests.posting import a_mail_house
from tests.vendor import Sandbox

ANN = "ann@example.com"
TOKEN = f"{MARK}-token-of-a-link"


@pytest.fixture
def mail_house(ground: Ground, database: Database, sandbox: Sandbox) -> Iterator[House]:
    with a_mail_house(ground, database, sandbox) as built:
        yield built


def posted(house: House, template: Template = Template.PASSWORD_RESET, **letter: Any) -> UUID:
    """A mail to Ann that waits to be sent."""
    letter = {"address": ANN, "values": {"token": TOKEN}} | letter
    with scoped_transaction(house.sessions, SYSTEM) as session:
        now, keyring = clock.now(session), house.settings.keyring
        return post(session, Letter(template, **letter), keyring=keyring, now=now)


def mail_row(house: House, mail_id: UUID) -> Any:
    (row,) = rows(house, "SELECT * FROM outgoing_mails WHERE id = :id", id=mail_id)
    return row


def a_user(house: House, email: str = ANN, role: Role = Role.PLATFORM_ADMIN, **place: UUID) -> UUID:
    person = NewUser(email, f"correct horse {MARK}", role, **place)
    with scoped_transaction(house.sessions, SYSTEM) as session:
        return create_user(session, person, actor_id=None)
