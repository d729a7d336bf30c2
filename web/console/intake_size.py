"""How large a form may be: small everywhere, a whole file where files are uploaded."""

from flask import request

from pipelines.limits import DEFAULTS

UPLOAD_ENDPOINTS = {
    "console.wizard_upload",
    "console.pool_import",
    "console.book_codes_take",
    "console.campaign_codes_load",
    "console.campaign_codes_withdraw_listed",
    "console.vendor_statement_take",
    "console.sheet_take",
    "console.user_pool_file",
}
#: A list of people that is typed or pasted.
LIST_ENDPOINTS = {"console.user_pool_people"}
FORM_BYTES_MAX = 64 * 1024
LIST_BYTES_MAX = 400 * 1024
#: The multipart frame around the file.
FRAME_BYTES = 64 * 1024


def allow_upload() -> None:
    """Before the form is read: say how much of it will be."""
    if request.endpoint in UPLOAD_ENDPOINTS:
        request.max_content_length = DEFAULTS.intake_inline_bytes_max + FRAME_BYTES
    elif request.endpoint in LIST_ENDPOINTS:
        request.max_content_length = LIST_BYTES_MAX
    else:
        request.max_content_length = FORM_BYTES_MAX
