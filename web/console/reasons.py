"""Why somebody does what they do, as typed into a form: one line, kept in the audit log."""

from flask import request

from pipelines.audit.record import REASON_CHARACTERS_MAX
from pipelines.jobs.cells import FORBIDDEN_CONTROLS

NO_REASON = "Say in a few words why; it is kept in the audit log."


def typed_reason() -> str:
    """The form's `reason` as one line without control characters; empty if there is none."""
    kept = FORBIDDEN_CONTROLS.sub("", request.form.get("reason", ""))
    return " ".join(kept.split())[:REASON_CHARACTERS_MAX]
