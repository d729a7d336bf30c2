"""The deliveries of events: which wait, which are on their way, and how each try went."""

from dataclasses import asdict, dataclass

from ops.sandbox.stripe_events import DELIVERED, GIVEN_UP, HELD, SENDING, WAITING
from ops.sandbox.stripe_objects import Facts, Moment

#: Tries in one answer of the control page, the newest first.
PAGE_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint."""

    number: int
    event: str
    endpoint: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: what was answered, or why nothing was."""

    event: str
    type: str
    url: str
    signature: str
    status: int | None
    error: str | None
    at: float

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def claim(moment: Moment, *, due_by: float, most: int) -> list[Delivery]:
    """Take over deliveries that are due, the oldest first: nobody else sends them meanwhile."""
    return _claim(moment, WAITING, due_by, most)


def claim_held(moment: Moment) -> list[Delivery]:
    return _claim(moment, HELD, float("inf"), -1)


def next_due(moment: Moment) -> float | None:
    found = moment.objects.connection.execute(
        "SELECT min(due_at) FROM stripe_deliveries WHERE state = ?", (WAITING,)
    ).fetchone()
    return None if found[0] is None else float(found[0])


def settle(
    moment: Moment, delivery: Delivery, attempts: list[Attempt], *, again_at: float | None
) -> None:
    """Write down how it went; without a time to try again a failure is the end."""
    is_taken = any(attempt.is_taken for attempt in attempts)
    state = DELIVERED if is_taken else GIVEN_UP if again_at is None else WAITING
    moment.objects.connection.execute(
        "UPDATE stripe_deliveries SET state = ?, attempts = attempts + ?, due_at = ?"
        " WHERE delivery_id = ?",
        (state, len(attempts), again_at or 0, delivery.number),
    )


def log(moment: Moment, attempt: Attempt) -> None:
    """What was on its way during a reset is forgotten with its event."""
    moment.objects.connection.execute(
        "INSERT INTO stripe_attempts (event, type, url, signature, status, error, at)"
        " SELECT :event, :type, :url, :signature, :status, :error, :at"
        " WHERE EXISTS (SELECT 1 FROM stripe_objects WHERE id = :event)",
        asdict(attempt),
    )


def put_back(moment: Moment) -> None:
    """What was on its way when the sandbox ended waits again."""
    moment.objects.connection.execute(
        "UPDATE stripe_deliveries SET state = ? WHERE state = ?", (WAITING, SENDING)
    )


def count_sending(moment: Moment) -> int:
    counted = "SELECT count(*) FROM stripe_deliveries WHERE state = ?"
    return int(moment.objects.connection.execute(counted, (SENDING,)).fetchone()[0])


def listing(moment: Moment) -> Facts:
    """Every delivery, and the tries, the newest first."""
    connection = moment.objects.connection
    deliveries = connection.execute(
        "SELECT event, endpoint, state, attempts, due_at FROM stripe_deliveries"
        " ORDER BY delivery_id DESC LIMIT ?",
        (PAGE_MAX,),
    )
    attempts = connection.execute(
        "SELECT event, type, url, signature, status, error, at FROM stripe_attempts"
        " ORDER BY attempt_id DESC LIMIT ?",
        (PAGE_MAX,),
    )
    return {
        "deliveries": [dict(row) for row in deliveries.fetchall()],
        "attempts": [dict(row) for row in attempts.fetchall()],
    }


def _claim(moment: Moment, state: str, due_by: float, most: int) -> list[Delivery]:
    connection = moment.objects.connection
    rows = connection.execute(
        "SELECT delivery_id, event, endpoint, attempts FROM stripe_deliveries"
        " WHERE state = ? AND due_at <= ? ORDER BY delivery_id LIMIT ?",
        (state, due_by, most),
    ).fetchall()
    connection.executemany(
        "UPDATE stripe_deliveries SET state = ? WHERE delivery_id = ?",
        [(SENDING, row["delivery_id"]) for row in rows],
    )
    return [Delivery(*row) for row in rows]
