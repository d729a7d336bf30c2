"""Tell the owner of an account what happened to it (SEC-03): nothing in these mails is secret."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from pipelines.mail.post import Letter, post_plain
from pipelines.mail.templates import Template


def tell_of_rest(session: Session, user_id: UUID | None, *, now: datetime) -> None:
    """Wrong passwords let an address rest; called once as the rest begins, so one mail a rest.

    For an address that nobody has it is written to nobody: both cost the same.
    """
    post_plain(session, Letter(Template.ACCOUNT_RESTS, user_id=user_id), now=now)


def tell_of_new_password(session: Session, user_id: UUID, *, now: datetime) -> None:
    """The password is another one, whoever changed it."""
    post_plain(session, Letter(Template.PASSWORD_CHANGED, user_id=user_id), now=now)
