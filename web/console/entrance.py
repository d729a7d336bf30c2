"""Open the console's doors in an app."""

from flask import Flask


def register(app: Flask) -> None:
    """Give the app the console's pages."""
