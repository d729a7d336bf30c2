"""Serve the one script that a partner embeds, to any origin."""

from pathlib import Path

from flask import Response, send_from_directory

from web.guards import public

STATIC = Path(__file__).parent.parent / "static" / "widget"
#: Partners cannot be asked to embed another address: a mended script must reach them soon.
SCRIPT_SECONDS = 300


@public
def host_script() -> Response:
    """The script; the same bytes for everybody, so any page may load it."""
    response = send_from_directory(
        STATIC, "host.js", mimetype="text/javascript", max_age=SCRIPT_SECONDS
    )
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
