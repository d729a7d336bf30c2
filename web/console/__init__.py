"""The console: pages for people, on the same verbs as the API."""

from web.console.entrance import register

__all__ = ["register"]
