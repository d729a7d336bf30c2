"""Keep the first answer of each Idempotency-Key, and give it to whoever repeats the call."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Response, request

from ops.sandbox.in_flight import InFlight, StillRunning
from ops.sandbox.stripe_door import Refused
from ops.sandbox.stripe_faults import in_use
from ops.sandbox.stripe_objects import Moment

KEY_CHARACTERS_MAX = 255
#: Afterwards the key is forgotten, and the same call is a new one.
KEPT_SECONDS = 24 * 3600


class Answers:
    """Answers by key. What failed validation, or met its twin, is not kept."""

    def __init__(self) -> None:
        self._in_flight = InFlight()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One call per key at a time; its twin is refused, not made wait."""
        key = request.headers.get("Idempotency-Key")
        if key is not None and len(key) > KEY_CHARACTERS_MAX:
            raise Refused(400, "Idempotency keys can have up to 255 characters")
        try:
            with self._in_flight.alone(key, waits=False):
                yield
        except StillRunning as error:
            raise in_use() from error

    def kept(self, moment: Moment) -> Response | None:
        """The first answer to this call; another call under its key is refused."""
        key = request.headers.get("Idempotency-Key")
        moment.objects.connection.execute(
            "DELETE FROM stripe_answers WHERE saved_at <= ?", (moment.now - KEPT_SECONDS,)
        )
        row = moment.objects.connection.execute(
            "SELECT request, status, body FROM stripe_answers WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        if row["request"] != _asked():
            message = (
                "Keys for idempotent requests can only be used with the same parameters they "
                f"were first used with. Try using a key other than '{key}'."
            )
            raise Refused(400, message, kind="idempotency_error")
        headers = {"Idempotent-Replayed": "true"}
        return Response(row["body"], row["status"], headers, content_type="application/json")

    def keep(self, moment: Moment, answer: Response) -> Response:
        if key := request.headers.get("Idempotency-Key"):
            moment.objects.connection.execute(
                "INSERT INTO stripe_answers VALUES (?, ?, ?, ?, ?)",
                (key, _asked(), answer.status_code, answer.get_data(as_text=True), moment.now),
            )
        return answer


Act = Callable[[Moment], Response]


def _asked() -> str:
    """The call and its parameters, in any order."""
    pairs = sorted(request.form.items(multi=True))
    text = repr((request.method, request.path, pairs))
    return hashlib.sha256(text.encode()).hexdigest()
