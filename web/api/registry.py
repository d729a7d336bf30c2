"""All resources of the API, registered in the order in which the documentation shows them."""

from flask import Flask

from web.api import auth, docs
from web.api.routes import Routes, document

RESOURCES: list[Routes] = [auth.routes]


def register_api(app: Flask) -> None:
    """Register every route and the document that describes them."""
    docs.register(app, document(app, RESOURCES))
