"""Let each caller ask so often and no oftener, and say in headers how it stands (SEC-18, S2-045).

A route says `@limited(Policy.SUBMIT)`. Where the subject is in the body, as with an e-mail address,
the decorator stands below the one that reads it: `@limited(Policy.LOGIN, account=by_email)`.
"""

import functools
import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from flask import Flask, Response, current_app, g, request
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from models.people import Role
from pipelines.access.principals import Principal
from pipelines.access.rate_policies import Policy, Rule, Subject, Table
from pipelines.access.users import normalised
from pipelines.errors import Kind, Refusal
from pipelines.wiring import House
from web.client_address import client_network
from web.rate_windows import SharedWindows, Standing

View = TypeVar("View", bound=Callable[..., Any])
#: Where a view keeps the policies of its route.
POLICIES = "policies"
EXTENSION = "largesse.rates"
_LABEL = "rates"
_DIGEST_CHARACTERS = 32


class RateLimited(Refusal):
    """This subject asked as often as it may; the answer says when it may again."""

    code = "rate_limited"
    kind = Kind.THROTTLED

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"Too many requests. Try again {_in_words(seconds)}.", retry_after_seconds=seconds
        )


@dataclass(slots=True)
class Rates:
    """The limits of this app and where they are counted."""

    table: Table
    windows: SharedWindows
    #: Nothing that is counted is stored as it was sent.
    key: bytes = field(repr=False)
    refused: dict[str, int] = field(default_factory=dict)

    def subject(self, rule: Rule, account: str | None) -> str:
        """The name under which a rule counts this request."""
        match rule.subject:
            case Subject.ADDRESS:
                named = f"network:{client_network()}"
            case Subject.ACCOUNT:
                assert account is not None, f"{rule.name} counts by a name that it must be given"
                named = f"account:{normalised(account)}"
            case Subject.CALLER:
                named = _caller()
        return self.digest(named)

    def digest(self, text: str) -> str:
        """A name that does not lead back to what it stands for."""
        whole = hmac.new(self.key, text.encode("utf-8", "replace"), hashlib.sha256)
        return whole.hexdigest()[:_DIGEST_CHARACTERS]

    def note_refused(self, name: str) -> None:
        self.refused[name] = self.refused.get(name, 0) + 1


def register_rate_limits(app: Flask, house: House) -> None:
    """Give the app its counters, and each answer the headers of what was counted for it."""
    app.extensions[EXTENSION] = Rates(
        house.rates,
        SharedWindows(house.settings.edge.rates_url),
        house.settings.keyring.lasting_key(_LABEL),
    )
    app.after_request(_tell)


def rates() -> Rates:
    """The counters of the app that serves this request."""
    return cast("Rates", current_app.extensions[EXTENSION])


def limited(
    policy: Policy,
    *,
    account: Callable[..., str] | None = None,
    otherwise: Callable[[RateLimited], Response] | None = None,
    methods: frozenset[str] | None = None,
) -> Callable[[View], View]:
    """Count each request to the view, and refuse it before the view is called.

    `account` takes the view's arguments and gives the name that an ACCOUNT rule counts by;
    `otherwise` is a page's own way to say that it was too often; `methods` are those that
    count, where a view has several.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def counted(*args: Any, **kwargs: Any) -> Any:
            if methods is not None and request.method not in methods:
                return view(*args, **kwargs)
            try:
                spend(policy, account=None if account is None else account(*args, **kwargs))
            except RateLimited as refusal:
                if otherwise is None:
                    raise
                return otherwise(refusal)
            return view(*args, **kwargs)

        setattr(counted, POLICIES, (*policies_of(view), policy))
        return cast("View", counted)

    return decorate


def policies_of(view: Callable[..., Any]) -> tuple[Policy, ...]:
    """The policies that a view's route declares."""
    return cast("tuple[Policy, ...]", getattr(view, POLICIES, ()))


def spend(policy: Policy, *, account: str | None = None, at_half: bool = False) -> None:
    """Count this request under a policy; raises `RateLimited`."""
    counters = rates()
    for rule in counters.table[policy]:
        asked = rule.halved() if at_half else rule
        standing = counters.windows.hit(asked, counters.subject(asked, account))
        _counted().append((asked, standing))
        if not standing.is_allowed:
            counters.note_refused(rule.name)
            raise RateLimited(standing.seconds)


def forgive(policy: Policy, *, account: str) -> None:
    """Forget what was counted against an account; its network's count stays."""
    counters = rates()
    for rule in counters.table[policy]:
        if rule.subject is Subject.ACCOUNT:
            counters.windows.clear(rule, counters.subject(rule, account))


class RateMetrics(Collector):
    """What was refused by each limit, and whether the processes count together."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def collect(self) -> Iterable[Metric]:
        counters: Rates = self._app.extensions[EXTENSION]
        refused = CounterMetricFamily(
            "largesse_rate_limited", "Requests refused, by limit.", labels=["limit"]
        )
        for name, times in sorted(counters.refused.items()):
            refused.add_metric([name], times)
        shared = GaugeMetricFamily(
            "largesse_rates_shared", "1 while all processes count together, in Redis."
        )
        shared.add_metric([], 1 if counters.windows.is_shared else 0)
        return [refused, shared]


def _caller() -> str:
    principal: Principal | None = g.get("principal")
    if principal is None:
        return f"network:{client_network()}"
    kind = "key" if principal.role is Role.STOREFRONT_KEY else "user"
    return f"{kind}:{principal.actor_id}"


def _counted() -> list[tuple[Rule, Standing]]:
    if "counted" not in g:
        g.counted = []
    return cast("list[tuple[Rule, Standing]]", g.counted)


def _tell(response: Response) -> Response:
    """The draft's two fields, the limit that is nearest first."""
    counted: list[tuple[Rule, Standing]] = g.get("counted") or []
    if not counted:
        return response
    nearest = sorted(counted, key=lambda pair: (pair[1].is_allowed, pair[1].remaining))
    response.headers["RateLimit-Policy"] = ", ".join(
        f'"{rule.name}";q={rule.quota};w={rule.seconds}' for rule, _standing in nearest
    )
    response.headers["RateLimit"] = ", ".join(
        f'"{rule.name}";r={standing.remaining};t={standing.seconds}' for rule, standing in nearest
    )
    return response


def _in_words(seconds: int) -> str:
    if seconds < 120:
        return f"in {seconds} seconds" if seconds > 1 else "in a second"
    return f"in {-(-seconds // 60)} minutes"
