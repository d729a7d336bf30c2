"""How often who may ask: every limit of the front in one table (SEC-03, SEC-18, S2-045)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

MINUTE = 60
HOUR = 3600
#: A demo and a test ask in a minute what a tenant asks in an hour.
LOOSER = 100


class Subject(StrEnum):
    """Whose requests a rule counts together."""

    #: The network that sends them: an IPv4 address, or the /64 of an IPv6 one.
    ADDRESS = "address"
    #: The e-mail address that is typed in, whoever types it and whether or not anybody has it.
    ACCOUNT = "account"
    #: The API key, else the person, else the network.
    CALLER = "caller"


class Policy(StrEnum):
    """What a route may be asked for."""

    API = "api"
    SUBMIT = "submit"
    UPLOAD = "upload"
    LOGIN = "login"
    CODE = "code"
    SESSION = "session"
    RESET = "reset"
    REGISTER = "register"
    INVITE = "invite"
    VALIDATE = "validate"
    APPLY = "apply"
    VALIDATE_FOR = "validate_for"
    APPLY_FOR = "apply_for"
    REVEAL = "reveal"
    RECEIPT = "receipt"
    TRIAL = "trial"
    REDELIVER = "redeliver"
    REDEEM = "redeem"
    MISS = "miss"
    PARTNER_TOKEN = "partner_token"
    WIDGET = "widget"
    CLAIM = "claim"
    WIDGET_PAGE = "widget_page"
    TOKEN_CHECK = "token_check"
    DOUBT = "doubt"
    DOUBT_FOR = "doubt_for"


@dataclass(frozen=True, slots=True)
class Rule:
    """At most `quota` requests of one subject in any `seconds`.

    A guard protects people from whoever guesses: it is not loosened for demos and tests.
    """

    name: str
    subject: Subject
    quota: int
    seconds: int
    is_guard: bool = True

    def halved(self) -> "Rule":
        """What one process allows while it cannot count together with the others."""
        return replace(self, quota=max(1, self.quota // 2))


Table = Mapping[Policy, tuple[Rule, ...]]


def _caller(name: str, quota: int, seconds: int) -> Rule:
    """A share of the machine, no guard."""
    return Rule(name, Subject.CALLER, quota, seconds, is_guard=False)


# Rules are asked in their order, and the first refusal ends it: what one network sends too much of
# is not counted against the person it names.
TABLE: Table = {
    Policy.API: (_caller("api", 600, MINUTE),),
    Policy.SUBMIT: (_caller("submit", 60, MINUTE),),
    Policy.UPLOAD: (_caller("upload", 60, HOUR),),
    Policy.LOGIN: (
        Rule("login-ip", Subject.ADDRESS, 20, MINUTE),
        Rule("login", Subject.ACCOUNT, 5, MINUTE),
    ),
    # The second step of a sign-in; wrong codes count in PostgreSQL like wrong passwords.
    Policy.CODE: (Rule("code-ip", Subject.ADDRESS, 20, MINUTE),),
    Policy.SESSION: (Rule("session-ip", Subject.ADDRESS, 30, MINUTE, is_guard=False),),
    Policy.RESET: (
        Rule("reset-ip", Subject.ADDRESS, 20, HOUR),
        Rule("reset", Subject.ACCOUNT, 3, HOUR),
    ),
    Policy.REGISTER: (
        Rule("register-ip", Subject.ADDRESS, 20, HOUR, is_guard=False),
        Rule("register", Subject.ACCOUNT, 3, HOUR),
    ),
    # Each sends a mail with the inviter's words in it.
    Policy.INVITE: (
        _caller("invite", 60, HOUR),
        Rule("invite-to", Subject.ACCOUNT, 5, HOUR, is_guard=False),
    ),
    Policy.VALIDATE: (
        Rule("validate-ip", Subject.ADDRESS, 10, MINUTE),
        Rule("validate", Subject.CALLER, 10, MINUTE),
    ),
    Policy.APPLY: (
        Rule("apply-ip", Subject.ADDRESS, 5, MINUTE),
        Rule("apply", Subject.CALLER, 5, MINUTE),
    ),
    # A storefront asks for all its customers, from one network: each of them counts alone.
    Policy.VALIDATE_FOR: (Rule("validate-for", Subject.ACCOUNT, 10, MINUTE),),
    Policy.APPLY_FOR: (Rule("apply-for", Subject.ACCOUNT, 5, MINUTE),),
    # A link has 128 bits and each card its own five an hour: this only bounds the work, and a
    # whole office opens its gifts from one network.
    Policy.REVEAL: (Rule("reveal-ip", Subject.ADDRESS, 60, MINUTE, is_guard=False),),
    # A code is worth a card: tries of one network, and of one code from anywhere.
    Policy.REDEEM: (
        Rule("redeem-ip", Subject.ADDRESS, 20, MINUTE),
        Rule("redeem", Subject.ACCOUNT, 10, MINUTE),
    ),
    # A company's receipts come from few networks, one or two for each message of a large job.
    Policy.RECEIPT: (Rule("receipt-ip", Subject.ADDRESS, 12_000, MINUTE, is_guard=False),),
    # Each has us call an address of the caller's choice: a test, or an event once more.
    Policy.TRIAL: (_caller("trial", 20, MINUTE),),
    Policy.REDELIVER: (_caller("redeliver", 60, MINUTE),),
    # EC-029: codes that nobody has. A network's count each time, a credential's once per code.
    Policy.MISS: (
        Rule("miss-ip", Subject.ADDRESS, 50, HOUR),
        Rule("miss", Subject.CALLER, 100, HOUR),
    ),
    # Of one partner from one network; whoever names another partner each time counts by the network.
    Policy.PARTNER_TOKEN: (
        Rule("partner-token-ip", Subject.ADDRESS, 120, MINUTE, is_guard=False),
        Rule("partner-token", Subject.ACCOUNT, 30, MINUTE),
    ),
    # A visit, and all visits of a network: a whole office looks at the same site.
    Policy.WIDGET: (
        Rule("widget-ip", Subject.ADDRESS, 600, MINUTE, is_guard=False),
        Rule("widget", Subject.ACCOUNT, 60, MINUTE, is_guard=False),
    ),
    Policy.CLAIM: (Rule("claim", Subject.ACCOUNT, 20, MINUTE, is_guard=False),),
    Policy.WIDGET_PAGE: (Rule("widget-page-ip", Subject.ADDRESS, 600, MINUTE, is_guard=False),),
    Policy.TOKEN_CHECK: (_caller("token-check", 60, MINUTE),),
    # After so many wrong passwords the form asks for a human (S2-048).
    Policy.DOUBT: (
        Rule("doubt-ip", Subject.ADDRESS, 10, HOUR),
        Rule("doubt", Subject.ACCOUNT, 3, HOUR),
    ),
    # So many discount codes that nobody has, of one shopper.
    Policy.DOUBT_FOR: (Rule("doubt-for", Subject.ACCOUNT, 10, HOUR),),
}
NAMES = frozenset(rule.name for rules in TABLE.values() for rule in rules)


def table(given: Mapping[str, tuple[int, int]], *, is_production: bool) -> Table:
    """The limits of this installation; `given` has (quota, seconds) by a rule's name.

    Raises `KeyError` for a name that no rule has.
    """
    for name in given:
        if name not in NAMES:
            raise KeyError(name)

    def kept(rule: Rule) -> Rule:
        if rule.name in given:
            quota, seconds = given[rule.name]
            return replace(rule, quota=quota, seconds=seconds)
        if is_production or rule.is_guard:
            return rule
        return replace(rule, quota=rule.quota * LOOSER)

    return {policy: tuple(kept(rule) for rule in rules) for policy, rules in TABLE.items()}
