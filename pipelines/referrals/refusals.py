"""Why a referral program says no: the stable codes, and words that say what to do."""

from pipelines.errors import Kind, Refusal


class ProgramInactive(Refusal):
    """The program is paused or put away: it makes no new codes."""

    code = "program_inactive"
    kind = Kind.CONFLICT
    detail = (
        "The program is paused or put away, and makes no new codes. Resume it, or choose another."
    )


class ProgramArchived(Refusal):
    """The program was put away, which is for good."""

    code = "program_archived"
    kind = Kind.CONFLICT
    detail = "The program was put away, which is for good. Make another one."
