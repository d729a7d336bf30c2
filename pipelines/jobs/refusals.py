"""Why a job is not accepted, or not taken back: what every kind may say."""

from pipelines.errors import Kind, Refusal


class ClientSuspended(Refusal):
    """The client's account is suspended."""

    code = "account_suspended"
    kind = Kind.FORBIDDEN
    detail = "The account is suspended."


class PreviewStale(Refusal):
    """What the preview showed is not what a submit would do now."""

    code = "preview_stale"
    kind = Kind.CONFLICT
    detail = "The plan has changed since the preview. Look at it again before you submit."


class DuplicateJobSuspected(Refusal):
    """The same was asked a short time ago; `job_id` names the job (EC-098)."""

    code = "duplicate_job_suspected"
    kind = Kind.CONFLICT
    detail = "The same job was submitted a moment ago. Send force=true to submit it once more."


class NotUndoable(Refusal):
    """This job cannot be taken back, whatever became of its items."""

    code = "not_undoable"
    kind = Kind.CONFLICT


class NothingToUndo(Refusal):
    """Nothing that the job gave is left that could be taken back."""

    code = "nothing_to_undo"
    kind = Kind.CONFLICT
    detail = "Nothing can be taken back: all of it was used by its recipients, or is back already."
