"""Say exactly why a token is or is not taken, to whoever manages the partner: nothing is spent (row 11)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from pipelines.partners.open_session import is_spent
from pipelines.partners.read import read_partner
from pipelines.partners.refusals import InvalidToken, TokenReplayed
from pipelines.partners.secrets import live_secrets, shown_secrets
from pipelines.partners.tokens import Fault, TokenFault, named_partner, read_token
from pipelines.partners.told import PUBLIC
from pipelines.sealing import Keyring

#: What is wrong, and what to do, for the people who write the partner's backend.
WORDS: Mapping[Fault, str] = {
    Fault.TOO_LONG: "The token is longer than 4 KiB. Keep to the six members that are needed.",
    Fault.NOT_A_JWT: "This is no JWT: three parts of base64url with dots between them. Copy the whole "
    "token, without quotes or spaces.",
    Fault.HEADER: "The header has members that are not taken: {what}. Only alg and typ are.",
    Fault.ALGORITHM: "The token is not signed with HS256. Name that algorithm when signing.",
    Fault.PARTNER: "iss is not this partner's id. Set it to {partner}, exactly so.",
    Fault.SIGNATURE: "The signature is of another secret. Decode the secret from base64 to its 32 bytes "
    "before signing, and use {ends}. A secret that has ended looks the same from here.",
    Fault.MISSING: "These members are missing: {what}.",
    Fault.AUDIENCE: 'aud is not the text "largesse".',
    Fault.TIMES: "exp and iat (and nbf, if it is there) are whole numbers of seconds since 1970, not "
    "text and without decimals.",
    Fault.JTI: "jti is 16 to 128 printable characters without spaces, another one in each token: a "
    "random UUID will do.",
    Fault.SUBJECT: "sub is your own id of the user as text, 1 to 255 characters.",
    Fault.LIFETIME: "The token lives too long, or ends before it begins: exp is at most iat + 180.",
    Fault.NOT_YET_VALID: "The token begins in the future: the clock of your server is ahead of ours.",
    Fault.EXPIRED: "The token has expired. Make one for each visit, just before it is used.",
}
NO_SECRET = "The partner has no secret yet. Generate one first."
DISABLED = "The partner is disabled: no token of it is taken."
REPLAYED = (
    "The token is good, and has opened a session already: each does so once. Use another jti."
)
GOOD = "The token is good: it would open a session."


@dataclass(frozen=True, slots=True)
class TokenVerdict:
    """What is wrong with a token, if anything; `code` is what the widget would be told."""

    is_good: bool
    code: str | None
    fault: str | None
    detail: str
    external_id: str | None = None
    expires_at: int | None = None


def check_token(
    session: Session, partner_id: UUID, token: str, *, keyring: Keyring, now: datetime
) -> TokenVerdict:
    """Judge a token as of now, in the scope of who manages the partner. Raises `NotFound`."""
    partner = read_partner(session, partner_id)
    token = token.strip()
    keys = [
        secret.key.reveal()
        for secret in live_secrets(session, partner_id, keyring=keyring, now=now)
    ]
    if not keys:
        return TokenVerdict(False, InvalidToken.code, "no_secret", NO_SECRET)
    if partner.disabled_at is not None:
        return TokenVerdict(False, InvalidToken.code, "disabled", DISABLED)
    try:
        said = read_token(token, keys, partner_id=partner_id, now=now)
    except TokenFault as fault:
        good = [row.last4 for row in shown_secrets(session, partner_id, now=now)]
        return _faulty(fault, token, partner_id, good)
    if is_spent(session, partner_id, said.jti):
        told = (TokenReplayed.code, "replayed", REPLAYED)
        return TokenVerdict(False, *told, said.external_id, said.expires_at)
    return TokenVerdict(True, None, None, GOOD, said.external_id, said.expires_at)


def _faulty(fault: TokenFault, token: str, partner_id: UUID, good: Sequence[str]) -> TokenVerdict:
    """`good`: with which characters the secrets end that are good now, the present one first."""
    kind = fault.fault
    if kind is Fault.SIGNATURE and named_partner(token) != partner_id:
        kind = Fault.PARTNER
    detail = WORDS[kind].format(what=fault.what, partner=partner_id, ends=_ends(good))
    return TokenVerdict(False, PUBLIC.get(kind, InvalidToken).code, kind.value, detail)


def _ends(good: Sequence[str]) -> str:
    """Which secrets sign now, by what is told of them for ever (S0-06)."""
    present, *before = good
    if not before:
        return f"the one that ends with {present}"
    return f"the one that ends with {present} (or, still good, {' or '.join(before)})"
