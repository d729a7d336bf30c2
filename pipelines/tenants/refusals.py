"""The ways in which changes of tenants are refused."""

from pipelines.errors import Kind, Refusal


class NameTaken(Refusal):
    """Another one at this place has the name."""

    code = "name_taken"
    kind = Kind.CONFLICT
    detail = "The name is taken here. Choose another one."


class VersionConflict(Refusal):
    """The thing was changed since the caller read it; `version` is the current one."""

    code = "version_conflict"
    kind = Kind.CONFLICT

    def __init__(self, *, current: int) -> None:
        super().__init__(
            "It was changed since you read it. Read it again and repeat your change.",
            extra={"version": current},
        )


class InvalidCampaignState(Refusal):
    """The campaign's state does not allow this move."""

    code = "invalid_campaign_state"
    kind = Kind.CONFLICT

    def __init__(self, *, state: str, move: str) -> None:
        super().__init__(f"A campaign that is {state} cannot be {move}.", extra={"state": state})


class BudgetInUse(Refusal):
    """Open jobs draw on the campaign's own account."""

    code = "budget_in_use"
    kind = Kind.CONFLICT
    detail = "Open jobs draw on the campaign's own budget. Wait until they end, or cancel them."


class CurrencyRequired(Refusal):
    """The client has accounts in several currencies, so the amount needs one."""

    code = "currency_required"
    detail = "The client has credit in several currencies. Name one in `currency`."


class SecondPersonNeeded(Refusal):
    """So much credit does not move on one person's word (SEC-31)."""

    code = "second_person_needed"
    kind = Kind.CONFLICT
    detail = (
        "This would move more than you may alone within a day. Move it with /credit/allocations or "
        "/credit/recalls, where a second person can agree, and set the budget then."
    )
