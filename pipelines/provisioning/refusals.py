"""The ways in which a provisioning request is refused."""

from pipelines.errors import FieldError, Kind, Refusal


class RowsRefused(Refusal):
    """Some rows cannot be fulfilled and the request says `on_error=abort`: nothing was written."""

    code = "rows_refused"
    kind = Kind.INVALID

    def __init__(self, errors: tuple[FieldError, ...], *, refused: int, rows: int) -> None:
        super().__init__(
            f"{refused} of {rows} rows have errors and nothing was written. Correct them, or "
            "submit with on_error=skip to leave them out.",
            errors=errors,
            extra={"rows": rows, "refused_rows": refused},
        )


class CampaignNotActive(Refusal):
    """The campaign is paused or closed."""

    code = "campaign_closed"
    kind = Kind.CONFLICT
    detail = "The campaign is not active. Resume it, or choose another one."


class ConditionUnmet(Refusal):
    """A condition of the campaign is not met: whoever asks may be told."""

    kind = Kind.CONFLICT


class CampaignNotStarted(ConditionUnmet):
    """The campaign gives no rewards yet."""

    code = "campaign_not_started"
    detail = "The campaign has not started yet. Ask again when it has."


class CampaignEnded(ConditionUnmet):
    """The campaign gives no rewards any more."""

    code = "campaign_ended"
    detail = "The campaign has ended; it gives no more rewards."


class RewardsExhausted(ConditionUnmet):
    """As many rewards as the campaign has are given or on their way."""

    code = "campaign_rewards_exhausted"
    detail = "The campaign has given all its rewards."


class RecipientLimitReached(Refusal):
    """The recipient has, or is about to get, as many rewards of the campaign as one may have.

    No `ConditionUnmet`: a stranger would learn of any address whether it was served.
    """

    kind = Kind.CONFLICT
    code = "recipient_limit_reached"
    detail = "This recipient has got as many rewards of the campaign as one recipient may."


class BrandNotAllowed(Refusal):
    """The client may not draw on this brand, or the brand does not exist: one answer for both."""

    code = "brand_unavailable"
    detail = "This brand is not available to the client."


class AlreadyRedeemed(Refusal):
    """The redemption code was used by another recipient."""

    code = "already_redeemed"
    kind = Kind.CONFLICT
    detail = "This redemption code has been used."


class EmptyRecipients(Refusal):
    """A bulk request without recipients."""

    code = "empty_recipients"
    detail = "Give at least one recipient."


class ProvisionUndone(Refusal):
    """The card was given once and has been taken back since."""

    code = "provision_undone"
    kind = Kind.GONE
    detail = "This card was taken back; it belongs to nobody now."


class ProvisionReplaced(Refusal):
    """The card did not work and another was given for it; `job_id` names the job, to staff."""

    code = "provision_replaced"
    kind = Kind.GONE
    detail = "This card was replaced by another one. Use the newer card, or the newer link."


class NotClonable(Refusal):
    """The job has no recipients of its own that could be given cards again."""

    code = "not_clonable"
    kind = Kind.CONFLICT
    detail = "Only a job that gives cards can be run again; this one gives none."


class RecipientsForgotten(Refusal):
    """The job's people are past their retention."""

    code = "recipients_forgotten"
    kind = Kind.CONFLICT
    detail = "The recipients of this job are not kept any more. Upload them as a new job."


class NothingToClone(Refusal):
    """The original has no recipient of the kind asked for."""

    code = "nothing_to_clone"
    kind = Kind.CONFLICT
    detail = "The job has no such recipients. Choose others with `only`."


class NoValidRows(Refusal):
    """Every row of a clone would be refused or skipped: a job that gives nobody anything."""

    code = "no_valid_rows"
    detail = "No row can be fulfilled."


class AmountNeeded(Refusal):
    """The new brand is in another currency than the original's amounts."""

    code = "currency_mismatch"
    detail = "The brand is in another currency than the original job: give denomination_minor too."


class PreviewTooLarge(Refusal):
    """The job has more recipients than are judged while somebody waits for the answer."""

    code = "preview_too_large"
    kind = Kind.TOO_LARGE
    detail = "So many recipients are judged by a worker: clone the job without a preview."
