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


class TooManyToCount(Refusal):
    """The campaign gave too much for its recipients to be counted while others wait."""

    code = "too_many_to_count"
    kind = Kind.CONFLICT

    def __init__(self, *, most: int) -> None:
        super().__init__(
            f"More than {most:,} rewards of this campaign are open or given, so that a number for "
            "each recipient cannot be set any more. Make a new campaign that has it from its start.",
            extra={"field": "max_rewards_per_recipient", "most": most},
        )


class HoldsOutstanding(Refusal):
    """Jobs of the campaign hold credit of its budget, or wait for some (EC-075)."""

    code = "holds_outstanding"
    kind = Kind.CONFLICT
    detail = (
        "Jobs of the campaign hold credit of its budget, or wait for some. "
        "Wait until they end, or cancel them."
    )


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
