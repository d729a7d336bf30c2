"""Stop calling a vendor that keeps failing, and find out with one probe when it is back.

closed ──(10 failures in a row, or half of the last 50 calls)──▶ open
open ──(the wait is over, one call begins)──▶ half_open ──(success)──▶ closed
                                                       └─(failure)──▶ open, waiting twice as long

Only failures of the vendor count: no answer, 5xx, an unreadable answer. A refusal is a success
here. Refused keys open it at once (EC-060): then no order is the probe, only a check that buys
nothing. After such a check orders go one at a time until one was answered: keys may be good for
looking and not for buying. The fields are plain values, kept as columns of the account's row.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

FAILURES_IN_ROW_MAX = 10
WINDOW_CALLS = 50
#: Fewer calls than this say nothing about a rate.
WINDOW_CALLS_MIN = 20
OPEN_FIRST_SECONDS = 30.0
OPEN_MAX_SECONDS = 600.0
#: Wrong keys are mended by a person; asking again sooner would only lock the account.
KEYS_FIRST_SECONDS = 60.0
#: A probe without an outcome for this long is lost with its worker; longer than any order call.
PROBE_SECONDS = 150.0

assert FAILURES_IN_ROW_MAX <= WINDOW_CALLS_MIN <= WINDOW_CALLS
assert WINDOW_CALLS < 64, "the window is one bigint column"
_WINDOW_MASK = (1 << WINDOW_CALLS) - 1


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Breaker:
    """`window` holds the last calls as bits, newest lowest, 1 = failed.

    `blocked_until` is the end of the wait when open, and the moment the probe counts as lost
    when half-open; it is None when closed. `openings` counts openings since the last success,
    `since` is when the first of them was. `refuses_keys`: it is open because the vendor does not
    take our keys.
    """

    state: BreakerState = BreakerState.CLOSED
    failures_in_row: int = 0
    window: int = 0
    window_calls: int = 0
    openings: int = 0
    blocked_until: datetime | None = None
    refuses_keys: bool = False
    since: datetime | None = None

    @property
    def is_recovering(self) -> bool:
        """A check found the keys good, and no order was answered since."""
        return self.state is BreakerState.CLOSED and self.openings > 0

    def may_call(self, now: datetime, *, is_check: bool = False) -> bool:
        """Whether a call may begin now; store `beginning(now)` before it does."""
        if self.blocked_until is None:
            return True
        return now >= self.blocked_until and is_check == self.refuses_keys

    def beginning(self, now: datetime) -> "Breaker":
        """The breaker once an allowed call has begun: out of a wait, that call is the probe."""
        if self.state is BreakerState.CLOSED:
            return self
        lost_at = now + timedelta(seconds=PROBE_SECONDS)
        return replace(self, state=BreakerState.HALF_OPEN, blocked_until=lost_at)

    def after_success(self) -> "Breaker":
        """A call came back. While open it is one that began earlier, and changes nothing."""
        match self.state:
            case BreakerState.OPEN:
                return self
            case BreakerState.HALF_OPEN:
                return Breaker(openings=self.openings) if self.refuses_keys else Breaker()
            case BreakerState.CLOSED:
                return replace(self._counted(failed=False), failures_in_row=0, openings=0)

    def after_failure(self, now: datetime) -> "Breaker":
        """A call failed. While open it is one that began earlier, and changes nothing."""
        match self.state:
            case BreakerState.OPEN:
                return self
            case BreakerState.HALF_OPEN:
                return self._opened(now)
            case BreakerState.CLOSED:
                counted = replace(
                    self._counted(failed=True), failures_in_row=self.failures_in_row + 1
                )
                return counted._opened(now) if counted._is_failing() else counted

    def after_keys_refused(self, now: datetime) -> "Breaker":
        """The vendor did not take our keys; calls that began before it was known change nothing."""
        if self.refuses_keys and self.state is BreakerState.OPEN:
            return self
        return replace(self, refuses_keys=True)._opened(now)

    def _counted(self, *, failed: bool) -> "Breaker":
        window = (self.window << 1 | failed) & _WINDOW_MASK
        return replace(self, window=window, window_calls=min(WINDOW_CALLS, self.window_calls + 1))

    def _is_failing(self) -> bool:
        if self.failures_in_row >= FAILURES_IN_ROW_MAX:
            return True
        failures = self.window.bit_count()
        return self.window_calls >= WINDOW_CALLS_MIN and failures * 2 >= self.window_calls

    def _opened(self, now: datetime) -> "Breaker":
        first = KEYS_FIRST_SECONDS if self.refuses_keys else OPEN_FIRST_SECONDS
        wait = min(OPEN_MAX_SECONDS, first * 2.0 ** min(self.openings, 16))
        return Breaker(
            state=BreakerState.OPEN,
            openings=self.openings + 1,
            blocked_until=now + timedelta(seconds=wait),
            refuses_keys=self.refuses_keys,
            since=self.since or now,
        )
