"""Put answers on the wire: exact numbers, broken bodies, cut connections."""

import errno
import json
import os
import re
import secrets
import socket
import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

from flask import Response

# The encoder of the standard library cannot write a Decimal as a bare number. It writes a
# marked string instead, and the mark, which no client can guess, is taken off afterwards.
_MARK = f"number-{secrets.token_hex(8)}:"
_MARKED = re.compile(f'"{_MARK}([^"]+)"')


def write_json(body: Any) -> str:
    """Keep every digit of a Decimal, trailing zeros and exponents too."""
    return _MARKED.sub(r"\1", json.dumps(body, default=_marked))


def read_json(text: str | bytes) -> Any:
    return json.loads(text, parse_float=Decimal)


def reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(write_json(body), status, headers, content_type="application/json")


def first_half(answer: Response) -> Response:
    """The first half of an answer's body: complete for HTTP, unreadable as JSON."""
    text = answer.get_data(as_text=True)
    return Response(text[: len(text) // 2], answer.status_code, content_type="application/json")


def bad_gateway() -> Response:
    page = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
    return Response(page, 502, content_type="text/html")


def cut_connection(environ: Mapping[str, Any]) -> NoReturn:
    """Reset the client's connection at once, without a byte of an answer.

    The server still holds its socket object, so the descriptor below it is exchanged for an
    unconnected one: closing the old one with no linger sends the reset.
    """
    connection: socket.socket = environ["gunicorn.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with socket.socket() as unconnected:
        os.dup2(unconnected.fileno(), connection.fileno(), inheritable=False)
    raise ConnectionResetError(errno.ECONNRESET, "the sandbox cut this connection")


def odd_scale(value: Decimal, turn: int) -> Decimal:
    """Write one amount in three ways: as it is, with eleven decimals, with an exponent."""
    if turn % 3 == 1:
        return value.quantize(Decimal("1E-11"))
    if turn % 3 == 2:
        return Decimal(f"{value.normalize():E}")
    return value


def _marked(value: object) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no place in an answer")
    return f"{_MARK}{value}"
