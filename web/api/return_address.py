"""Where a payer comes back to from the page of the payment company."""

from typing import Any
from urllib.parse import urlsplit

from pipelines.settings import Environment
from web.fields import Text
from web.front import front

#: As long as Stripe takes one.
URL_CHARACTERS_MAX = 2_048


class ReturnAddress(Text):
    """An absolute address of a storefront; in production of https."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own shape
        "url": "url|Give an absolute address, such as https://shop.example/thanks.",
        "https": "url|Give an address of https.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(longest=URL_CHARACTERS_MAX, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        try:
            parts = urlsplit(text)
            is_one = parts.scheme in {"http", "https"} and bool(parts.hostname)
        except ValueError:
            is_one = False
        if not is_one or not text.isascii() or any(sign <= " " for sign in text):
            raise self.make_error("url")
        is_production = front().house.settings.environment is Environment.PRODUCTION
        if parts.scheme != "https" and is_production:
            raise self.make_error("https")
        return text
