"""Campaigns in words: state, what pays, what is left, what was issued: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.provisioning.follow_credit import CREDIT_EXHAUSTED
from pipelines.tenants.campaign_views import IssuedFrom, PayingAccount
from pipelines.tenants.campaigns import PAUSED_BY_PERSON
from web.console.formats import money, number
from web.console.job_words import SOURCES, StateWords

CAMPAIGN_STATES: Mapping[str, StateWords] = {
    "active": StateWords("Active", "check", "good"),
    "paused": StateWords("Paused", "pause", "warn"),
    "over": StateWords("Over", "clock", "plain"),
    "closed": StateWords("Closed", "stop", "plain"),
}
PAUSES: Mapping[str, str] = {
    PAUSED_BY_PERSON: "Somebody paused it. New jobs are refused until somebody resumes it.",
    CREDIT_EXHAUSTED: "It paused by itself: what is left does not pay for its cheapest card. "
    "It goes on by itself when credit comes in.",
}
MODES: Mapping[str, str] = {
    "shared": "draws on the client's credit",
    "isolated": "has its own budget",
}
FROZEN = StateWords("Frozen", "stop", "bad")
RESTRICTED = StateWords("Restricted, it owes", "stop", "bad")
UNLIMITED = StateWords("Unlimited", "check", "good")
WELL = StateWords("Well", "check", "good")
NO_CREDIT = StateWords("No credit", "alert", "bad")
NOT_USED = StateWords("Not used yet", "clock", "plain")
#: As `credit.follow.SHORTAGE` counts them.
SHORTAGES: Mapping[int, StateWords] = {
    0: WELL,
    1: StateWords("Low, 20 % or less", "alert", "warn"),
    2: StateWords("Low, 10 % or less", "alert", "warn"),
    3: StateWords("Used up", "cross", "bad"),
}


@dataclass(frozen=True, slots=True)
class SourceLine:
    """What came from one source."""

    source: str
    cards: str
    charged: str


def account_state(
    *,
    shortage: int,
    is_frozen: bool,
    is_restricted: bool,
    is_used: bool,
    unlimited: bool,
    balance: int,
) -> StateWords:
    """How a credit account stands, by word and icon; one that nothing ever moved in lacks nothing."""
    if is_frozen:
        return FROZEN
    if is_restricted:
        return RESTRICTED
    if unlimited:
        return UNLIMITED
    if not is_used:
        return NOT_USED
    if shortage == 0 and balance <= 0:
        return NO_CREDIT
    return SHORTAGES[shortage]


def payer_state(payer: PayingAccount) -> StateWords:
    return account_state(
        shortage=payer.shortage,
        is_frozen=payer.frozen_at is not None,
        is_restricted=payer.restricted_at is not None,
        is_used=payer.is_used,
        unlimited=payer.unlimited,
        balance=payer.balance,
    )


def source_lines(issued: Sequence[IssuedFrom]) -> list[SourceLine]:
    """A line for each currency and source, in the order in which the waterfall asks them."""
    order = {source: place for place, (source, _) in enumerate(SOURCES)}
    names = dict(SOURCES)
    return [
        _source_line(one, names.get(one.source, one.source), several=len(issued) > 1)
        for one in sorted(issued, key=lambda one: (one.currency, order.get(one.source, 9)))
    ]


def spent_words(issued: Sequence[IssuedFrom]) -> str:
    """`$75.00`, or one sum for each currency."""
    sums: dict[str, int] = {}
    for one in issued:
        sums[one.currency] = sums.get(one.currency, 0) + one.charge_minor
    return ", ".join(money(amount, currency) for currency, amount in sorted(sums.items())) or "–"


def _source_line(one: IssuedFrom, source: str, *, several: bool) -> SourceLine:
    return SourceLine(
        source=f"{source}, {one.currency}" if several else source,
        cards=number(one.cards),
        charged=money(one.charge_minor, one.currency),
    )
