"""What the environment may say about the edge, and what it is told when it says it wrongly."""

import pytest

from pipelines.edge_settings import EdgeBroken, EdgeSettings, read_edge_settings


def read(*, is_production: bool = True, **given: str) -> EdgeSettings:
    url = "https://gifts.example.com"
    given = {"TRUSTED_PROXIES": "0"} | given
    return read_edge_settings(given, public_url=url, is_production=is_production)


def test_at_its_least_nobody_is_trusted_and_production_has_one_name():
    edge = read()

    assert (edge.proxies, edge.hosts) == (0, {"gifts.example.com"})
    assert (edge.rates_url, dict(edge.rates), edge.captcha) == (None, {}, None)


@pytest.mark.parametrize("given", [{}, {"TRUSTED_PROXIES": ""}])
def test_production_says_how_many_proxies_stand_before_it(given: dict[str, str]):
    """Behind one that is not counted, one visitor's wrong passwords would shut out everybody."""
    url = "https://gifts.example.com"

    with pytest.raises(EdgeBroken, match="all visitors count as one"):
        read_edge_settings(given, public_url=url, is_production=True)
    workers = read_edge_settings(given, public_url=url, is_production=True, is_front=False)
    assert workers.proxies == 0
    assert read_edge_settings(given, public_url=url, is_production=False).proxies == 0


def test_a_demo_is_reached_on_loopback_too():
    assert read(is_production=False).hosts == {
        "gifts.example.com",
        "127.0.0.1",
        "localhost",
        "::1",
    }


def test_more_names_are_added_to_the_public_one():
    edge = read(TRUSTED_HOSTS="Api.Example.com, [2001:db8::1]")

    assert edge.hosts == {"gifts.example.com", "api.example.com", "2001:db8::1"}


def test_any_name_will_do_for_a_demo_alone():
    assert read(is_production=False, TRUSTED_HOSTS="*").hosts is None
    with pytest.raises(EdgeBroken, match="name the hosts"):
        read(TRUSTED_HOSTS="*")


def test_rates_are_counted_in_the_redis_there_is():
    redis, rabbit = "redis://store/0", "amqp://broker"

    assert read(QUEUE_URL=redis).rates_url == redis
    assert read(QUEUE_URL=rabbit).rates_url is None
    assert read(QUEUE_URL=rabbit, REDIS_URL=redis).rates_url == redis


def test_limits_are_written_as_people_say_them():
    edge = read(LARGESSE_RATE_LIMITS="submit=600/minute, upload=10/hour,login-ip=40/minute")

    assert edge.rates == {"submit": (600, 60), "upload": (10, 3600), "login-ip": (40, 60)}


def test_a_captcha_is_whole_or_not_there():
    whole = {"CAPTCHA_PROVIDER": "hcaptcha", "CAPTCHA_SITE_KEY": "site", "CAPTCHA_SECRET": "s"}

    captcha = read(**whole).captcha

    assert captcha is not None
    assert captcha.verify_url == "https://api.hcaptcha.com/siteverify"
    assert "'s'" not in repr(captcha)
    for name in whole:
        with pytest.raises(EdgeBroken, match="Set all of"):
            read(**(whole | {name: ""}))


@pytest.mark.parametrize(
    "given",
    [
        {"TRUSTED_PROXIES": "-1"},
        {"TRUSTED_PROXIES": "9"},
        {"TRUSTED_PROXIES": "127.0.0.1"},
        {"TRUSTED_PROXIES": "²"},
        {"TRUSTED_HOSTS": "https://gifts.example.com"},
        {"TRUSTED_HOSTS": "gifts.example.com:443"},
        {"LARGESSE_RATE_LIMITS": "submit=60"},
        {"LARGESSE_RATE_LIMITS": "submit=0/minute"},
        {"LARGESSE_RATE_LIMITS": "submit=60/week"},
        {"LARGESSE_RATE_LIMITS": "submit=9999999/minute"},
        {"LARGESSE_MISS_ALARM": "panic"},
        {"CAPTCHA_PROVIDER": "abacus", "CAPTCHA_SITE_KEY": "k", "CAPTCHA_SECRET": "s"},
        {
            "CAPTCHA_PROVIDER": "turnstile",
            "CAPTCHA_SITE_KEY": "k",
            "CAPTCHA_SECRET": "s",
            "CAPTCHA_VERIFY_URL": "http://127.0.0.1:8100",
        },
    ],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(given: dict[str, str]):
    with pytest.raises(EdgeBroken, match=r"\.$"):
        read(**given)
