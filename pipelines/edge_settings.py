"""What the environment says about the edge: proxies, host names, rate limits, proof of a human."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

#: More proxies in a row than this are a mistake, and would let a caller name its own address.
PROXIES_MAX = 8
UNITS: Mapping[str, int] = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
QUOTA_MAX = 1_000_000
#: Where a demo or a test is reached besides its PUBLIC_URL.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
ANY_HOST = "*"
VERIFY_URLS: Mapping[str, str] = {
    "turnstile": "https://challenges.cloudflare.com/turnstile/v0/siteverify",
    "hcaptcha": "https://api.hcaptcha.com/siteverify",
}
#: What anonymous doors do while codes are guessed at five times the usual rate.
ALARMS = ("captcha", "deny")
_RATE = re.compile(r"([a-z-]+)=([1-9][0-9]{0,6})/(second|minute|hour|day)")
_REDIS = ("redis://", "rediss://", "unix://")


class EdgeBroken(Exception):
    """A variable of the edge cannot be read; the text says what to write."""


@dataclass(frozen=True, slots=True)
class CaptchaSettings:
    """The company that tells people from programs."""

    provider: str
    site_key: str
    secret: str = field(repr=False)
    verify_url: str = ""


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """How the front meets the outside."""

    proxies: int = 0
    #: Lower-case names without a port; None takes any.
    hosts: frozenset[str] | None = LOOPBACK
    #: The Redis in which all processes count together.
    rates_url: str | None = field(default=None, repr=False)
    #: (quota, seconds) by a rule's name, where they differ from the house's.
    rates: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    captcha: CaptchaSettings | None = None
    miss_alarm: str = ALARMS[0]
    #: The pretend shop that embeds the widget; a demo alone leads there.
    demo_partner_url: str = ""


def read_edge_settings(
    given: Mapping[str, str], *, public_url: str, is_production: bool, is_front: bool = True
) -> EdgeSettings:
    """Read the edge's variables, of which only the front needs all; raises `EdgeBroken`."""
    return EdgeSettings(
        proxies=_proxies(given.get("TRUSTED_PROXIES", ""), must_be_said=is_production and is_front),
        hosts=_hosts(given.get("TRUSTED_HOSTS", ""), public_url, is_production=is_production),
        rates_url=next(
            (
                url
                for name in ("QUEUE_URL", "REDIS_URL")
                if (url := given.get(name, "")).startswith(_REDIS)
            ),
            None,
        ),
        rates=_rates(given.get("LARGESSE_RATE_LIMITS", "")),
        captcha=_captcha(given, is_production=is_production),
        miss_alarm=_alarm(given.get("LARGESSE_MISS_ALARM", "") or ALARMS[0]),
        demo_partner_url=given.get("DEMO_PARTNER_URL", ""),
    )


def _proxies(written: str, *, must_be_said: bool) -> int:
    if must_be_said and not written:
        raise EdgeBroken(
            "Set TRUSTED_PROXIES to how many proxies of yours stand before the front, 0 if none: "
            "behind one that is not counted all visitors count as one and are limited together."
        )
    text = written or "0"
    if not (text.isascii() and text.isdigit() and len(text) == 1 and int(text) <= PROXIES_MAX):
        raise EdgeBroken(
            f"TRUSTED_PROXIES is how many proxies of yours stand before the front, 0 to "
            f"{PROXIES_MAX}."
        )
    return int(text)


def _hosts(text: str, public_url: str, *, is_production: bool) -> frozenset[str] | None:
    named = {name.strip().lower() for name in text.split(",") if name.strip()}
    if ANY_HOST in named:
        if is_production:
            raise EdgeBroken("TRUSTED_HOSTS=* is for demos; name the hosts in production.")
        return None
    if any("/" in name or ("[" not in name and name.count(":") == 1) for name in named):
        raise EdgeBroken("TRUSTED_HOSTS has host names without scheme, port or path.")
    named = {name.strip("[]") for name in named} | {urlsplit(public_url).hostname or ""}
    return frozenset(named - {""} | (frozenset() if is_production else LOOPBACK))


def _rates(text: str) -> dict[str, tuple[int, int]]:
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _RATE.fullmatch(part)
        if match is None or int(match[2]) > QUOTA_MAX:
            raise EdgeBroken("Write LARGESSE_RATE_LIMITS as submit=600/minute,upload=100/hour.")
        found[match[1]] = (int(match[2]), UNITS[match[3]])
    return found


def _captcha(given: Mapping[str, str], *, is_production: bool) -> CaptchaSettings | None:
    names = ("CAPTCHA_PROVIDER", "CAPTCHA_SITE_KEY", "CAPTCHA_SECRET")
    provider, site_key, secret = (given.get(name, "") for name in names)
    if not (provider or site_key or secret):
        return None
    if provider not in VERIFY_URLS or not site_key or not secret:
        raise EdgeBroken(
            f"Set all of {', '.join(names)}, or none; the provider is one of "
            f"{', '.join(VERIFY_URLS)}."
        )
    url = given.get("CAPTCHA_VERIFY_URL", "") or VERIFY_URLS[provider]
    if not url.startswith("https://" if is_production else ("https://", "http://")):
        raise EdgeBroken("CAPTCHA_VERIFY_URL is an https:// address.")
    return CaptchaSettings(provider, site_key, secret, url)


def _alarm(text: str) -> str:
    if text not in ALARMS:
        raise EdgeBroken(f"LARGESSE_MISS_ALARM is one of {', '.join(ALARMS)}.")
    return text
