"""The rules of a book as values: its window, its limits, and how often a coupon is redeemed."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pipelines.books.refusals import BookClosed, BookExpired, BookNotStarted
from pipelines.errors import Refusal


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when the coupons of a book are worth something, unless it was closed."""

    starts_at: datetime | None
    expires_at: datetime | None
    closed_at: datetime | None

    def ended(self, now: datetime) -> Refusal | None:
        """Why nothing is assigned or redeemed any more (EC-100)."""
        if self.closed_at is not None:
            return BookClosed()
        if self.expires_at is not None and self.expires_at <= now:
            return BookExpired()
        return None

    def refuse_redemption(self, now: datetime) -> Refusal | None:
        """Why its coupons cannot be redeemed at that moment; they may be assigned before they start."""
        if self.starts_at is not None and self.starts_at > now:
            return BookNotStarted(self.starts_at)
        return self.ended(now)


@dataclass(frozen=True, slots=True)
class BookRules:
    """What decides about the coupons of a book; limits of None are none."""

    id: UUID
    agency_id: UUID
    client_id: UUID
    name: str
    seals_codes: bool
    allow_multi_redemption: bool
    max_redemptions_per_coupon: int | None
    max_redemptions_per_user: int | None
    max_redemptions: int | None
    max_assignments_per_user: int | None
    max_assignments: int | None
    starts_at: datetime | None
    expires_at: datetime | None
    closed_at: datetime | None
    #: Whether whoever holds a coupon is told by mail that it was redeemed.
    tells_holder: bool
    version: int

    @property
    def redemptions_per_coupon(self) -> int | None:
        """How often one coupon may be redeemed; None for any number of times."""
        return self.max_redemptions_per_coupon if self.allow_multi_redemption else 1

    @property
    def counts_people(self) -> bool:
        """Whether what each person has of it is counted."""
        return self.max_assignments_per_user is not None or (
            self.max_redemptions_per_user is not None
        )

    @property
    def counts_itself(self) -> bool:
        """Whether what it gives as a whole is counted; whoever counts waits for each other."""
        return self.max_assignments is not None or self.max_redemptions is not None

    @property
    def window(self) -> Window:
        return Window(self.starts_at, self.expires_at, self.closed_at)

    def ended(self, now: datetime) -> Refusal | None:
        """As its window says."""
        return self.window.ended(now)

    def refuse_distribution(self, begins_at: datetime, now: datetime) -> Refusal | None:
        """Why none of it is distributed from that moment on: it is over, or will be by then."""
        if (ended := self.ended(now)) is not None:
            return ended
        if self.expires_at is not None and self.expires_at <= begins_at:
            return BookExpired("The book will have expired when the distribution begins.")
        return None

    def refuse_redemption(self, now: datetime) -> Refusal | None:
        """As its window says."""
        return self.window.refuse_redemption(now)
