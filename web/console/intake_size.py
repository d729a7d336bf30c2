"""How large a form may be: small everywhere, a whole file on the wizard's upload step."""

from flask import request

from pipelines.limits import DEFAULTS

UPLOAD_ENDPOINT = "console.wizard_upload"
FORM_BYTES_MAX = 64 * 1024
#: The multipart frame around the file.
FRAME_BYTES = 64 * 1024


def allow_upload() -> None:
    """Before the form is read: say how much of it will be."""
    if request.endpoint == UPLOAD_ENDPOINT:
        request.max_content_length = DEFAULTS.intake_inline_bytes_max + FRAME_BYTES
    else:
        request.max_content_length = FORM_BYTES_MAX
