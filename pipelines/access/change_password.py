"""Change one's own password, and sign out wherever else one is signed in."""

from uuid import UUID

from sqlalchemy import select, update

from models import clock
from models.database import Sessions, scoped_transaction
from models.people import User
from models.scope import SYSTEM
from pipelines.access.authenticate import prove_by_password
from pipelines.access.password_resets import end_resets
from pipelines.access.passwords import hash_chosen
from pipelines.access.sign_ins import end_sign_ins
from pipelines.audit.record import record
from pipelines.errors import Refusal
from pipelines.mail.notices import tell_of_new_password


class WrongPassword(Refusal):
    """The current password is not the right one."""

    code = "wrong_password"
    detail = "The current password is not right."


def change_password(
    sessions: Sessions, user_id: UUID, *, current: str, chosen: str, keep: UUID | None
) -> None:
    """Change the password; every sign-in but `keep` ends.

    Raises `WrongPassword`, and `ValidationFailed` for one that will not do. Wrong ones are counted
    as at the door (`AccountRests`): who found a screen unlocked may not guess on.
    """
    asked = select(User.email, User.name, User.agency_id, User.client_id).where(User.id == user_id)
    with scoped_transaction(sessions, SYSTEM) as session:
        person = session.execute(asked).one()
    if not prove_by_password(sessions, user_id, current):
        raise WrongPassword
    fresh = hash_chosen(chosen, words=(person.email, person.name), pointer="/new_password")
    with scoped_transaction(sessions, SYSTEM) as session:
        session.execute(update(User).where(User.id == user_id).values(password_hash=fresh))
        end_sign_ins(session, user_id, now=clock.now(session), keep=keep)
        end_resets(session, user_id, now=clock.now(session))
        tell_of_new_password(session, user_id, now=clock.now(session))
        record(
            session,
            "user.password_changed",
            object_kind="user",
            object_id=user_id,
            actor_id=user_id,
            agency_id=person.agency_id,
            client_id=person.client_id,
        )
