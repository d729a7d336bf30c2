"""How well a caller must be proven: a second factor for administrators, a fresh proof for money."""

from models.people import Role
from pipelines.access.principals import Principal
from pipelines.errors import Kind, Refusal

#: Roles that manage others or move money need a second factor (SEC-04).
ADMINISTRATORS = frozenset(
    {Role.PLATFORM_ADMIN, Role.PLATFORM_SUPPORT, Role.AGENCY_ADMIN, Role.CLIENT_ADMIN}
)


class SecondFactorMissing(Refusal):
    """The caller's role needs a second factor, and the caller has none yet."""

    code = "second_factor_missing"
    kind = Kind.FORBIDDEN
    detail = (
        "Your role needs a second factor. Set one up first: POST /auth/totp/enrol, then "
        "/auth/totp/verify, or “Your account” in the console."
    )


class StepUpRequired(Refusal):
    """The caller was proven too long ago for this; `methods` says by what to be proven again."""

    code = "step_up_required"
    kind = Kind.FORBIDDEN

    def __init__(self, method: str) -> None:
        super().__init__(
            f"This needs a fresh proof that it is you. Send your {_WORDS[method]} to "
            "POST /auth/step-up, then repeat the request.",
            extra={"methods": [method]},
        )


_WORDS = {"totp": "one-time code", "password": "password"}


def require_second_factor(principal: Principal) -> None:
    """Raise `SecondFactorMissing` for an administrator without one; keys are no persons."""
    if principal.role in ADMINISTRATORS and not principal.has_second_factor:
        raise SecondFactorMissing


def require_fresh_proof(principal: Principal, *, seconds: int) -> None:
    """Raise `StepUpRequired` unless the caller was proven at most `seconds` ago (SEC-04).

    An API key is its own proof each time: what it may do is what it was made for.
    """
    if principal.key_scopes is not None:
        return
    age = principal.proof_age_seconds
    if age is None or age > seconds:
        raise StepUpRequired("totp" if principal.has_second_factor else "password")
