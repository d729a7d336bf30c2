"""What the public hears of a token's fault: of one that its partner signed, when it is good; else nothing."""

from collections.abc import Mapping

from pipelines.partners.refusals import TokenExpired, TokenLifetime, TokenNotYetValid, TokenRefused
from pipelines.partners.tokens import Fault

PUBLIC: Mapping[Fault, type[TokenRefused]] = {
    Fault.LIFETIME: TokenLifetime,
    Fault.NOT_YET_VALID: TokenNotYetValid,
    Fault.EXPIRED: TokenExpired,
}
