"""Why a token, a visit or a claim is refused: the stable codes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pipelines.errors import Kind, Refusal


class TokenRefused(Refusal):
    """A partner's token opens no session; `partner_id` is known of a genuine one."""

    kind = Kind.UNAUTHENTICATED


class InvalidToken(TokenRefused):
    """Not signed by a partner that is at work, or not shaped as agreed: one answer for all (EC-105, EC-115)."""

    code = "invalid_token"
    detail = (
        "The token was not accepted. Whoever manages the partner sees why on its page, under "
        "Check a token."
    )


class TokenLifetime(TokenRefused):
    """A genuine token that was made to live longer than three minutes, or not at all (EC-104)."""

    code = "token_lifetime"
    detail = (
        "The token must end after it begins, and within 180 seconds: set exp to iat + 180 or less."
    )


class TokenExpired(TokenRefused):
    """A genuine token whose time is over."""

    code = "token_expired"
    detail = "The token has expired. Make a new one for each visit."


class TokenNotYetValid(TokenRefused):
    """A genuine token of the future."""

    code = "token_not_yet_valid"
    detail = "The token begins in the future. Set the clock of the server that signs it."


class TokenReplayed(TokenRefused):
    """The token has opened a session already (EC-102, EC-103)."""

    code = "token_replayed"
    detail = "The token was used already. Make a new one, with another jti, for each visit."


class SessionExpired(Refusal):
    """The visit is over, whatever ended it, or there never was one (EC-113)."""

    code = "session_expired"
    kind = Kind.UNAUTHENTICATED
    detail = "The session is over. Open a new one with a new token."


class OriginNotAllowed(Refusal):
    """The page that asks is not on the partner's list (EC-114)."""

    code = "origin_not_allowed"
    kind = Kind.FORBIDDEN
    detail = (
        "This site may not show the widget. Whoever manages the partner adds its origin, exactly as "
        "the browser sends it."
    )


class AlreadyClaimed(Refusal):
    """The user has this month's coupon of the partner (EC-108)."""

    code = "already_claimed_this_month"
    kind = Kind.CONFLICT
    detail = "You have claimed your coupon of this month. `next_claim_at` says when you may again."

    def __init__(self, next_claim_at: datetime) -> None:
        super().__init__(extra={"next_claim_at": next_claim_at.isoformat()})


class CouponUnavailable(Refusal):
    """Nothing is left of what was asked for; `available` is what there is now (EC-110, EC-111)."""

    code = "coupon_unavailable"
    kind = Kind.CONFLICT
    detail = "This coupon is not there any more. `available` lists what is."

    def __init__(self, available: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(extra={"available": list(available)})


class SecretRotating(Refusal):
    """Two secrets are good already."""

    code = "rotation_under_way"
    kind = Kind.CONFLICT
    detail = (
        "The secret before is still good beside this one. Rotate again when it has ended, or with "
        "`overlap_seconds` 0, which ends both and every visit."
    )
