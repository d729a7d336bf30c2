"""Serve the OpenAPI document and a page to read it, with nothing from outside this host."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask_swagger_ui
from flask import Flask, Response, json, render_template, send_from_directory

from web.api.routes import BASE
from web.guards import public
from web.security_headers import CONTENT_SECURITY_POLICY

ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
#: The reader sets styles on its elements; scripts stay strict.
POLICY = CONTENT_SECURITY_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
START = f"""\
window.addEventListener("load", function () {{
  window.ui = SwaggerUIBundle({{
    url: "{BASE}/openapi.json",
    dom_id: "#reader",
    deepLinking: true,
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis]
  }});
}});
"""


def register(app: Flask, describe: Callable[[], dict[str, Any]]) -> None:
    """Register the document, its page and the page's assets."""

    @app.get(f"{BASE}/openapi.json")
    @public
    def openapi() -> Response:
        """The document; it describes the product, not anybody's data."""
        response = Response(json.dumps(describe()), mimetype="application/json")
        response.headers["Cache-Control"] = "public, max-age=300"
        return response

    @app.get("/docs")
    @public
    def docs_page() -> Response:
        response = Response(render_template("api_docs.html"), mimetype="text/html")
        response.headers["Content-Security-Policy"] = POLICY
        return response

    @app.get("/docs/start.js")
    @public
    def docs_start() -> Response:
        return Response(START, mimetype="text/javascript")

    @app.get("/docs/assets/<path:name>")
    @public
    def docs_asset(name: str) -> Response:
        return send_from_directory(ASSETS, name, max_age=3600)
