"""Referral programs and rewards in words: pure."""

from collections.abc import Mapping

from models.discounts import CodeState
from models.referrals import RewardState
from web.console.job_words import StateWords

PROGRAMS: Mapping[str, StateWords] = {
    CodeState.ACTIVE: StateWords("Active", "check", "good"),
    CodeState.PAUSED: StateWords("Paused", "pause", "warn"),
    CodeState.ARCHIVED: StateWords("Put away", "stop", "plain"),
}
#: What a state of a program means for its codes.
EFFECTS: Mapping[str, str] = {
    CodeState.ACTIVE: "Customers get codes of their own, and friends can use them.",
    CodeState.PAUSED: "It makes no new codes, and friends cannot use those that are there. What was earned is given.",
    CodeState.ARCHIVED: "It is put away for good with its codes. What was earned is given.",
}
REWARDS: Mapping[str, StateWords] = {
    RewardState.PENDING: StateWords("Pending", "clock", "info"),
    RewardState.ISSUED: StateWords("Issued", "check", "good"),
    RewardState.VOID: StateWords("Void", "cross", "warn"),
    RewardState.OVER_LIMIT: StateWords("Over the limit", "stop", "plain"),
}
