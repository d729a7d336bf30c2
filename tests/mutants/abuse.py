"""Rules against abuse, broken one at a time: limits, names, misses, people."""

from tests.mutants.mutants import Mutant

LIMITS = ("tests/web/test_rate_limits.py",)
AWAY = ("tests/web/test_rates_away.py",)
NAMES = ("tests/web/test_trusted_hosts.py",)
MISSES = ("tests/web/test_misses.py",)
HUMANS = ("tests/web/test_humans.py",)

ABUSE = (
    Mutant(
        "a refused request is answered all the same",
        "web/rate_limits.py",
        "        if not standing.is_allowed:",
        "        if not standing.is_allowed and False:",
        LIMITS,
    ),
    Mutant(
        "an address stands in Redis as it is",
        "web/rate_limits.py",
        "        return whole.hexdigest()[:_DIGEST_CHARACTERS]",
        "        return text",
        LIMITS,
    ),
    Mutant(
        "each address of an IPv6 network counts by itself",
        "web/client_address.py",
        "IPV6_PREFIX = 64",
        "IPV6_PREFIX = 128",
        LIMITS,
    ),
    Mutant(
        "a process by itself allows as much as all together",
        "web/rate_windows.py",
        "            lambda own: own.hit(rule.halved(), subject),",
        "            lambda own: own.hit(rule, subject),",
        AWAY,
    ),
    Mutant(
        "every request waits for a silent Redis",
        "web/rate_windows.py",
        "            if self._ask_at is None or self._now() < self._ask_at:",
        "            if self._ask_at is None:",
        AWAY,
    ),
    Mutant(
        "a caller says which address it has",
        "web/client_address.py",
        "    if proxies:",
        "    if proxies := proxies or 1:",
        LIMITS,
    ),
    Mutant(
        "one proxy more is believed than stands there",
        "web/client_address.py",
        "app.wsgi_app, x_for=proxies,",
        "app.wsgi_app, x_for=proxies + 1,",
        NAMES,
    ),
    Mutant(
        "any name is ours",
        "web/trusted_hosts.py",
        "or name in hosts:",
        "or name:",
        NAMES,
    ),
    Mutant(
        "a malformed link is not looked for",
        "pipelines/provisioning/reveal.py",
        "    if len(raw) != 16 + TAG_BYTES:\n        return NOBODY",
        "    if len(raw) != 16 + TAG_BYTES:\n        raise NotFound",
        MISSES,
    ),
    Mutant(
        "who guesses is never blocked",
        "web/misses.py",
        "        windows.hit(BLOCK, subject)",
        "        pass",
        MISSES,
    ),
    Mutant(
        "a credential's repeats are new misses",
        "web/misses.py",
        'f"{subject}:{code}"',
        'f"{subject}:{code}:{state.total}"',
        MISSES,
    ),
    Mutant(
        "who the company refuses is let in",
        "web/humans.py",
        "    if verdict is Verdict.REFUSED:",
        "    if verdict is Verdict.REFUSED and False:",
        HUMANS,
    ),
    Mutant(
        "a company's outage lifts the limit",
        "web/humans.py",
        "        spend(policy, account=account, at_half=True)",
        "        pass",
        HUMANS,
    ),
    Mutant(
        "every page trusts the company",
        "web/humans.py",
        '    return cast("str", g.get("captcha_sources", ""))',
        '    return WIDGETS["turnstile"].sources',
        HUMANS,
    ),
)
