"""Welcome who has an account from now on: where to sign in, and what to do first (S1-108)."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from models.people import Role
from pipelines.mail.post import Letter, post
from pipelines.mail.templates import Template
from pipelines.sealing import Keyring

_LOOKS = "You look at all of it and change none of it."
#: What people of a role do first; “…” names an entry of their navigation.
FIRST_STEPS: Mapping[Role, tuple[str, ...]] = {
    Role.PLATFORM_ADMIN: (
        "“Overview” says how the platform stands, “Alerts” what is wrong now and what helps.",
        "“Credit” gives agencies what they may spend; “People” lets others in.",
    ),
    Role.PLATFORM_SUPPORT: (
        "“Overview” says how the platform stands, “Alerts” what is wrong now and what helps.",
        "“Jobs” follows what was asked for; “Look as a person” shows what somebody else sees.",
    ),
    Role.AGENCY_ADMIN: (
        "“Credit” shows what each client has left, and gives more.",
        "“Campaigns” and “Jobs” show what clients do; “People” lets others in.",
    ),
    Role.AGENCY_VIEWER: (
        "“Credit” shows what each client has left, “Campaigns” and “Jobs” what clients do.",
        _LOOKS,
    ),
    Role.CLIENT_ADMIN: (
        "“Campaigns” is where a campaign is made and given a budget, “Jobs” where cards are issued.",
        "“Books & codes” makes coupons and gives them to people.",
        "“People” lets others in.",
    ),
    Role.CAMPAIGN_MANAGER: (
        "“Campaigns” is where a campaign is made, “Jobs” where cards are issued.",
        "“Books & codes” makes coupons and gives them to people.",
    ),
    Role.CLIENT_VIEWER: (
        "“Campaigns” and “Jobs” show what was given to whom, “Credit” what is left.",
        _LOOKS,
    ),
    Role.END_USER: (
        "“My coupons” shows the coupons that you were given, and redeems them.",
        "What you are given later at this address stands there too.",
    ),
}
_ACCOUNT = text("""
SELECT u.role, u.name, coalesce(c.name, a.name) AS place
FROM users u LEFT JOIN clients c ON c.id = u.client_id LEFT JOIN agencies a ON a.id = u.agency_id
WHERE u.id = :user
""")


def welcome(session: Session, user_id: UUID, *, keyring: Keyring, now: datetime) -> None:
    """Post the mail in the transaction that begins the account, in the SYSTEM scope."""
    account = session.execute(_ACCOUNT, {"user": user_id}).one()
    role = Role(account.role)
    values = {
        "name": account.name,
        "standing": _standing(role, account.place),
        "lines": "\n".join(FIRST_STEPS[role]),
    }
    post(session, Letter(Template.WELCOME, user_id, values=values), keyring=keyring, now=now)


def _standing(role: Role, place: str | None) -> str:
    """Role and place in a sentence; end users have neither to be told of."""
    if role is Role.END_USER:
        return ""
    words = role.value.replace("_", " ")
    return f"Your role is {words} at {place}." if place else f"Your role is {words}."
