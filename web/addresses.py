"""Refuse an address that no text of ours can hold: once for every page and every route."""

import re

from flask import Flask, request

from pipelines.errors import Kind, NotFound, Refusal

#: What PostgreSQL keeps in no text: NUL, and half of a pair of UTF-16.
_UNFIT = re.compile("[\x00\ud800-\udfff]")


class QueryUnfit(Refusal):
    """The query has a character that nothing here can be found by."""

    code = "illegal_character"
    kind = Kind.MALFORMED
    detail = (
        "What stands behind the ? of the address has a character that no text can have "
        "(NUL, or half of a character). Take it out and ask again."
    )


def register_addresses(app: Flask) -> None:
    """Look at path and query before any view does, so that none of them has to (J12, J18)."""

    @app.before_request
    def refuse_unfit() -> None:
        if _UNFIT.search(request.path):
            raise NotFound
        query = (word for pair in request.args.items(multi=True) for word in pair)
        if any(map(_UNFIT.search, query)):
            raise QueryUnfit
