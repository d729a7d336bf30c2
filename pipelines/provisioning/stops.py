"""Why a job's remaining items are not worked on any more: pure."""

from models.jobs import ItemState, JobState
from pipelines.jobs.verdicts import CANCELLED, SUSPENDED, Verdict

CAMPAIGN_CLOSED = Verdict(ItemState.CANCELLED, "campaign_closed", "The campaign was closed.")


def stop_verdict(state: JobState, *, is_suspended: bool, is_closed: bool) -> Verdict | None:
    """The verdict of items that are not begun any more, or None while the job goes on."""
    if state is JobState.CANCELLING:
        return CANCELLED
    if is_suspended:
        return SUSPENDED
    return CAMPAIGN_CLOSED if is_closed else None
