"""The widget: the script that a partner embeds, and the page in its frame."""

from web.widget.entrance import register

__all__ = ["register"]
