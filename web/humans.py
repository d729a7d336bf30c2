"""Ask whether a person is there, at doors that need no sign-in (S2-048); off without its settings.

A route says `@humans_only(Policy.RESET, account=...)` below its `@limited`, so that nobody has us
ask the company oftener than the limit. Who it refuses is refused. While it does not answer, people
are let in at half of the route's limits: a company's outage must not shut everybody out.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from flask import Flask, Response, current_app, g, request

from pipelines.access.authenticate import InvalidCredentials
from pipelines.access.rate_policies import Policy
from pipelines.edge_settings import CaptchaSettings
from pipelines.errors import Kind, Refusal
from pipelines.providers.captcha import CaptchaVerifier, Verdict
from pipelines.providers.transport import VendorTransport
from pipelines.telemetry import get_logger
from web.rate_limits import rates, spend

log = get_logger(__name__)
View = TypeVar("View", bound=Callable[..., Any])

EXTENSION = "largesse.humans"
#: How programs that show the widget themselves send its answer.
HEADER = "Captcha-Response"
#: A company that did not answer is left alone for so long.
AWAY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Widget:
    """What a page needs to ask the question, and whom it must trust for that."""

    field: str
    style_class: str
    script: str
    sources: str
    site_key: str = ""


WIDGETS = {
    "turnstile": Widget(
        "cf-turnstile-response",
        "cf-turnstile",
        "https://challenges.cloudflare.com/turnstile/v0/api.js",
        "https://challenges.cloudflare.com",
    ),
    "hcaptcha": Widget(
        "h-captcha-response",
        "h-captcha",
        "https://js.hcaptcha.com/1/api.js",
        "https://hcaptcha.com https://*.hcaptcha.com",
    ),
}


class CaptchaRequired(Refusal):
    """This door wants to know that a person is there."""

    code = "captcha_required"
    kind = Kind.FORBIDDEN
    detail = f"Show that you are a person, and send the widget's answer in {HEADER}."


class CaptchaFailed(Refusal):
    """The answer is wrong, old or was used before."""

    code = "captcha_failed"
    kind = Kind.FORBIDDEN
    detail = "That you are a person could not be confirmed. Try the check again."


@dataclass(slots=True)
class Gate:
    """The company of this app; monotonic time until which it is left alone."""

    settings: CaptchaSettings
    verifier: CaptchaVerifier
    away_until: float = 0.0


def register_humans(app: Flask, settings: CaptchaSettings | None) -> None:
    if settings is not None:
        verifier = CaptchaVerifier(
            VendorTransport(), url=settings.verify_url, secret=settings.secret
        )
        app.extensions[EXTENSION] = Gate(settings, verifier)


def gate() -> Gate | None:
    """The company that is asked; None where none is set up."""
    return cast("Gate | None", current_app.extensions.get(EXTENSION))


def humans_only(
    policy: Policy,
    *,
    account: Callable[..., str] | None = None,
    when: Callable[..., bool] | None = None,
    otherwise: Callable[[Refusal], Response] | None = None,
) -> Callable[[View], View]:
    """Let only people into the view, where that is set up and `when` does not say otherwise.

    `account` and `when` take the view's arguments; `policy` is that of the route's `@limited`;
    `otherwise` is a page's own way to ask.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def asked(*args: Any, **kwargs: Any) -> Any:
            if gate() is None or (when is not None and not when(*args, **kwargs)):
                return view(*args, **kwargs)
            try:
                prove_human(policy, account=None if account is None else account(*args, **kwargs))
            except (CaptchaRequired, CaptchaFailed) as refusal:
                if otherwise is None:
                    raise
                return otherwise(refusal)
            return view(*args, **kwargs)

        return cast("View", asked)

    return decorate


def humans_after_failures(account: Callable[..., str]) -> Callable[[View], View]:
    """Let only people into a sign-in after some wrong passwords, which this counts."""

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def asked(*args: Any, **kwargs: Any) -> Any:
            named = account(*args, **kwargs)
            if is_doubtful(named):
                prove_human(Policy.LOGIN, account=named)
            try:
                return view(*args, **kwargs)
            except InvalidCredentials:
                note_failure(named)
                raise

        return cast("View", asked)

    return decorate


def prove_human(policy: Policy, *, account: str | None = None) -> None:
    """Return for a person. Raises `CaptchaRequired`, `CaptchaFailed`, `RateLimited`."""
    asked = gate()
    if asked is None:
        return
    widget = WIDGETS[asked.settings.provider]
    response = request.headers.get(HEADER, "") or request.form.get(widget.field, "")
    if not response:
        raise CaptchaRequired(
            extra={"provider": asked.settings.provider, "site_key": asked.settings.site_key}
        )
    verdict = _verdict(asked, response)
    if verdict is Verdict.REFUSED:
        raise CaptchaFailed
    if verdict is Verdict.AWAY:
        spend(policy, account=account, at_half=True)


def is_doubtful(account: str, policy: Policy = Policy.DOUBT) -> bool:
    """Whether an address, or this network, typed so much that is wrong that a person is asked."""
    if gate() is None:
        return False
    counters = rates()
    return not all(
        counters.windows.look(rule, counters.subject(rule, account)).is_allowed
        for rule in counters.table[policy]
    )


def note_failure(account: str, policy: Policy = Policy.DOUBT) -> None:
    """Count a wrong password, or what else the policy is for."""
    if gate() is None:
        return
    counters = rates()
    for rule in counters.table[policy]:
        counters.windows.hit(rule, counters.subject(rule, account))


def widget() -> Widget | None:
    """What this page shows to ask; the page's policy then trusts the company (`trusted_sources`)."""
    asked = gate()
    if asked is None:
        return None
    known = WIDGETS[asked.settings.provider]
    g.captcha_sources = known.sources
    return Widget(
        known.field, known.style_class, known.script, known.sources, asked.settings.site_key
    )


def trusted_sources() -> str:
    """Whom the page being answered trusts besides ourselves; empty for all other pages."""
    return cast("str", g.get("captcha_sources", ""))


def _verdict(asked: Gate, response: str) -> Verdict:
    if time.monotonic() < asked.away_until:
        return Verdict.AWAY
    verdict = asked.verifier.verify(response)
    if verdict is Verdict.AWAY:
        asked.away_until = time.monotonic() + AWAY_SECONDS
    return verdict
