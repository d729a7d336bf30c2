"""Why a distribution is not accepted."""

from pipelines.errors import Kind, Refusal


class EmptyPool(Refusal):
    """Nobody in the pool can be given anything; `members` says how many are in it."""

    code = "empty_pool"

    def __init__(self, *, members: int) -> None:
        said = "Nobody is in the pool." if members == 0 else "Nobody in the pool is active."
        super().__init__(f"{said} Add people to it first.", extra={"members": members})


class TooFewForEqual(Refusal):
    """There are fewer coupons than members, so that nobody would get one."""

    code = "too_few_for_equal"

    def __init__(self, *, count: int, members: int) -> None:
        super().__init__(
            f"{count} coupons are not enough for {members} members to get one each. "
            f"Give {members} or more, or draw at random.",
            extra={"count": count, "members": members},
        )


class AtomicTooLarge(Refusal):
    """All or nothing is done in one piece, which has a limit; `max` says it."""

    code = "atomic_too_large"

    def __init__(self, *, most: int) -> None:
        super().__init__(
            f"All or nothing works for {most} recipients at most. Use per_recipient for more.",
            extra={"max": most},
        )


class AtomicImpossible(Refusal):
    """All or nothing was asked for, and some rows would be refused; `refused` says how many."""

    code = "atomic_impossible"
    kind = Kind.CONFLICT

    def __init__(self, *, refused: int) -> None:
        super().__init__(
            f"{refused} rows go to people who are inactive or have as many coupons as they may. "
            "Leave them out, raise the limit, or use per_recipient.",
            extra={"refused": refused},
        )


class TooManyCoupons(Refusal):
    """More coupons than one job distributes; `max` says how many it does."""

    code = "too_many_coupons"

    def __init__(self, *, most: int) -> None:
        super().__init__(
            f"One distribution gives {most} coupons at most. Submit several.", extra={"max": most}
        )
