"""What each answer of Reloadly's token page means: without a token nothing is sent."""

import json

import pytest

from pipelines.providers.ports import AuthFailed, NotSent, Throttled
from pipelines.providers.reloadly_token import read_token
from pipelines.providers.transport import Answer


def answer(status, body, **headers):
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, encoded, {name.replace("_", "-"): v for name, v in headers.items()})


def refusal(status, code):
    return answer(status, {"timeStamp": "x", "message": "No.", "errorCode": code})


HTML = b"<html><body>502 Bad Gateway</body></html>"


@pytest.mark.parametrize(
    ("given_answer", "token"),
    [
        (answer(200, {"access_token": "abc", "expires_in": 3600}), ("abc", 3600.0)),
        (answer(200, {"access_token": "abc"}), ("abc", 300.0)),
        (answer(200, {"access_token": "abc", "expires_in": -1}), ("abc", 300.0)),
        (answer(200, {"access_token": "a\r\nX: y"}), (NotSent("token_unreadable"), 0.0)),
        (answer(200, {"access_token": ""}), (NotSent("token_unreadable"), 0.0)),
        (answer(200, HTML), (NotSent("token_unreadable"), 0.0)),
        (refusal(401, "INVALID_CREDENTIALS"), (AuthFailed("credentials_refused"), 0.0)),
        (refusal(400, "INVALID_AUDIENCE"), (AuthFailed("credentials_refused"), 0.0)),
        (answer(429, b"", retry_after="9"), (Throttled(9.0), 0.0)),
        (answer(503, HTML), (NotSent("token_http_503"), 0.0)),
    ],
)
def test_without_a_token_nothing_is_sent(given_answer, token):
    assert read_token(given_answer) == token
